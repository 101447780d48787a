"""The pages: HTML around what the JSON interface tells."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.templating import Jinja2Templates

from triage import __version__
from triage.core.studytype import StudyType
from triage.web.access import Whoever

router = APIRouter(include_in_schema=False)
_templates = Jinja2Templates(Path(__file__).parent / "templates")


@router.get("/")
def worklist(request: Request, who: Whoever) -> Response:
    """Show the worklist; its rows come by `/api/v1/events`."""
    return _page(request, "worklist.html", who=who, study_types=list(StudyType))


def _page(request: Request, template: str, **values: object) -> Response:
    return _templates.TemplateResponse(request, template, {"version": __version__, **values})
