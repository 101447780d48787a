"""The templates of the pages."""

import re
from pathlib import Path

from fastapi import Request, Response
from fastapi.templating import Jinja2Templates
from markupsafe import Markup, escape

from triage import __version__
from triage.core.printable import printable
from triage.web.address import written

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC")


def timed(sentence: str) -> Markup:
    """Return a sentence as HTML, whose moments a browser shows in the reader's zone."""
    safe = str(escape(printable(sentence)))
    return Markup(_MOMENT.sub(r'<time datetime="\1T\2Z">\g<0></time>', safe))  # noqa: S704  escaped


_templates = Jinja2Templates(Path(__file__).parent / "templates")
_templates.env.filters["printable"] = printable  # for what a sender wrote
_templates.env.filters["timed"] = timed
_templates.env.filters["written"] = written  # for what stands in an address


def render(request: Request, template: str, status: int = 200, **values: object) -> Response:
    """Return a page."""
    return _templates.TemplateResponse(
        request, template, {"version": __version__, **values}, status
    )
