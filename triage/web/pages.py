"""The pages: HTML around what the JSON interface tells."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.templating import Jinja2Templates

from triage import __version__
from triage.core.studytype import StudyType
from triage.web.access import Whoever
from triage.web.department import duration, name_of, zone_named
from triage.web.site import Here

router = APIRouter(include_in_schema=False)
_templates = Jinja2Templates(Path(__file__).parent / "templates")


@router.get("/")
def worklist(request: Request, who: Whoever) -> Response:
    """Show the worklist; its rows come by `/api/v1/events`."""
    return _page(request, "worklist.html", who=who, study_types=list(StudyType))


@router.get("/department")
def department(
    request: Request,
    site: Here,
    who: Whoever,
    zone: Annotated[str, Query(max_length=64)] = "UTC",
) -> Response:
    """Show the figures of the department; days and weeks are those of *zone*."""
    try:
        zone_named(zone)
    except ValueError:  # a browser may know zones that this machine does not
        zone = "UTC"
    sheet = site.figures.of(zone)
    return _page(
        request, "department.html", who=who, sheet=sheet, duration=duration, name_of=name_of
    )


def _page(request: Request, template: str, **values: object) -> Response:
    return _templates.TemplateResponse(request, template, {"version": __version__, **values})
