"""The pages: HTML around what the JSON interface tells."""

from hashlib import sha256
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from triage.core.studytype import StudyType
from triage.errors import AmbiguousStudy, StudyNotFound
from triage.store import queries
from triage.web.access import Whoever
from triage.web.api import Study
from triage.web.department import duration, name_of, zone_named
from triage.web.rendering import render
from triage.web.site import Here
from triage.web.study import study_values

router = APIRouter(include_in_schema=False)
REFRESH = "Triage-Refresh"  # the header of a page that looks whether it is up to date


@router.get("/")
def worklist(request: Request, who: Whoever) -> Response:
    """Show the worklist; its rows come by `/api/v1/events`."""
    return render(request, "worklist.html", who=who, study_types=list(StudyType))


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
    return render(
        request, "department.html", who=who, sheet=sheet, duration=duration, name_of=name_of
    )


@router.get("/studies/{study}")
def study(request: Request, site: Here, who: Whoever, study: Study) -> Response:
    """Show a study: its views, what the network says of them, and what became of it."""
    try:
        study_id = queries.find_study(site.database, study)
    except (StudyNotFound, AmbiguousStudy) as error:
        found = [line.strip() for line in str(error).splitlines()[1:]]
        status = HTTPStatus.CONFLICT if found else HTTPStatus.NOT_FOUND
        return render(request, "no-study.html", status, who=who, name=study, found=found)
    # Written before anything is shown: what cannot be written down is not shown.
    again = REFRESH in request.headers  # by the page itself, as long as it is open
    note = site.looks.note_part if again else site.looks.note
    note(site.database, study_id, who.name)
    page = render(request, "study.html", who=who, **study_values(site, study_id))
    return _unless_known(request, page)


def _unless_known(request: Request, page: Response) -> Response:
    """Return the page, or a word that it is the one which the browser has shown already."""
    tag = f'"{sha256(page.body).hexdigest()}"'
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    page.headers["ETag"] = tag
    return page
