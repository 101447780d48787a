"""The templates of the pages."""

from pathlib import Path

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates

from triage import __version__
from triage.core.printable import printable

_templates = Jinja2Templates(Path(__file__).parent / "templates")
_templates.env.filters["printable"] = printable  # for what a sender wrote


def render(request: Request, template: str, status: int = 200, **values: object) -> Response:
    """Return a page."""
    return _templates.TemplateResponse(
        request, template, {"version": __version__, **values}, status
    )
