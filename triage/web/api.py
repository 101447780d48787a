"""The JSON interface, `/api/v1`: what the commands do, with their documents."""

import dataclasses
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator

from triage.core.audit import AuditKind
from triage.core.documents import encode, row_document, study_document
from triage.core.figures import Department
from triage.core.study import Label, StudyStatus
from triage.core.studytype import StudyType
from triage.core.wanted import Wanted
from triage.core.worklist import Priority
from triage.pipeline.judge import rules_of
from triage.pipeline.moves import tell_moves
from triage.pipeline.rescore import Rescorer
from triage.store import audit, queries, reading
from triage.web import metrics as measurements
from triage.web import models
from triage.web.access import NotAllowed, Person, Role, Whoever, while_admitted
from triage.web.address import LONGEST, NAMED, meant
from triage.web.department import zone_named
from triage.web.openapi import problems
from triage.web.operations import measure
from triage.web.site import Here

router = APIRouter(prefix="/api/v1", tags=["worklist"], responses=problems(401, 403, 503))

Study = Annotated[
    str,
    Path(
        min_length=1,
        max_length=LONGEST,
        pattern=NAMED,
        description="A Study Instance UID or an accession number. One of other characters than "
        "letters, digits, '.', '-' and '_' as '~' and the hexadecimal digits of its UTF-8.",
    ),
    AfterValidator(meant),
]
Limit = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The first N studies.")]
Text = Annotated[
    str,
    Query(
        max_length=200,
        description="Words that all occur in accession number, patient, description or UID.",
    ),
]
Claimed = Annotated[bool | None, Query(description="Only those claimed, or only the others.")]

Zone = Annotated[
    str,
    AfterValidator(lambda name: zone_named(name) and name),
    Query(max_length=64, description="The IANA time zone whose days and weeks are meant."),
]


@router.get("/worklist", responses={200: {"model": list[models.WorklistRow]}, **problems(422)})
def worklist(
    site: Here,
    _who: Whoever,
    limit: Limit = None,
    priority: Annotated[list[Priority], Query()] = [],  # noqa: B006  FastAPI copies it
    study_type: Annotated[list[StudyType], Query()] = [],  # noqa: B006
    status: Annotated[list[StudyStatus], Query()] = [],  # noqa: B006
    label: Annotated[list[Label], Query()] = [],  # noqa: B006
    claimed: Claimed = None,
    text: Text = "",
) -> Response:
    """Return the reading worklist, in reading order; all of it, or what is asked for.

    A filter that is given several times admits any of its values. Positions are those of the
    whole worklist.
    """
    wanted = Wanted(
        priorities=set(priority),
        study_types=set(study_type),
        statuses=set(status),
        labels=set(label),
        claimed=claimed,
        text=text,
    )
    rows = queries.worklist(site.database, limit, None if wanted == Wanted() else wanted)
    return _json([row_document(row) for row in rows])


@router.get("/department", responses={200: {"model": Department}, **problems(422)})
def department(site: Here, _who: Whoever, zone: Zone = "UTC") -> Response:
    """Return the figures of the department, at most some seconds old."""
    return _json(dataclasses.asdict(site.figures.of(zone).figures))


@router.get(
    "/events",
    response_class=StreamingResponse,  # FastAPI's own for events would write each for each page
    responses={
        200: {
            "description": "Server-sent events `worklist`, whose data is a `Change`: first the "
            "whole worklist, then what changes on it.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        204: {"description": "Nothing has changed since the event that is known."},
        **problems(422),
    },
)
async def events(
    site: Here,
    who: Whoever,
    once: Annotated[bool, Query(description="The worklist as it is, and no more.")] = False,
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """Stream the worklist as it is, and then what changes on it.

    With *once* it is the worklist alone, for who has no stream; 204 where nothing has changed since
    the event that `Last-Event-ID` names.
    """
    if once:
        event = await site.feed.once(last_event_id)
        return Response(event, 200 if event else 204, media_type="text/event-stream")
    return StreamingResponse(
        while_admitted(site, who, site.feed.events()),
        media_type="text/event-stream",
        # nginx would else keep what changes until its buffer is full.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/studies/{study}", responses={200: {"model": models.Study}, **problems(404, 409, 422)})
def show(site: Here, who: Whoever, study: Study) -> Response:
    """Return why a study stands where it stands: views, groups, history."""
    study_id = queries.find_study(site.database, study)
    # Written before anything is shown: what cannot be written down is not shown.
    audit.note_access(site.database, study_id, AuditKind.SHOWN, who.name, datetime.now(UTC))
    return _json(study_document(queries.show_study(site.database, study_id, datetime.now(UTC))))


@router.post("/studies/{study}/claim", status_code=204, responses=problems(404, 409, 422))
def claim(site: Here, who: Whoever, study: Study) -> None:
    """Claim a study for reading; it stays in its place. Claiming one's own changes nothing."""
    study_id = queries.find_study(site.database, study)
    reading.claim(site.database, study_id, who.name, datetime.now(UTC))


@router.post("/studies/{study}/release", status_code=204, responses=problems(400, 404, 409, 422))
def release(
    site: Here,
    who: Whoever,
    study: Study,
    said: Annotated[models.Releasing | None, Body()] = None,
) -> None:
    """Give up a claim; a study that nobody has claimed stays as it is.

    An administrator may give up another's, who has gone home with it: *reader* names whose.
    """
    reader = said.reader if said and said.reader else who.name
    if reader != who.name:
        _require_administrator(who)
    study_id = queries.find_study(site.database, study)
    reading.release(site.database, study_id, reader, datetime.now(UTC), who.name)


@router.post("/studies/{study}/read", status_code=204, responses=problems(400, 404, 409, 422))
def read(
    site: Here,
    who: Whoever,
    study: Study,
    said: Annotated[models.Reading | None, Body()] = None,
) -> None:
    """Mark a study as read; it leaves the worklist. A claim is not needed."""
    finding = said.finding if said else None
    study_id = queries.find_study(site.database, study)
    reading.mark_read(site.database, study_id, who.name, finding, datetime.now(UTC))


@router.post("/studies/{study}/unread", status_code=204, responses=problems(400, 404, 409, 422))
def unread(
    site: Here,
    who: Whoever,
    study: Study,
    said: Annotated[models.Unreading | None, Body()] = None,
) -> None:
    """Put a study that was marked as read by mistake back on the worklist.

    One that is on it stays as it is. Its former finding stays in the history. *reader* is whose
    reading is meant: where another has read it, nothing is done.
    """
    of = said.reader if said else None
    study_id = queries.find_study(site.database, study)
    move = reading.mark_unread(site.database, study_id, who.name, datetime.now(UTC), of=of)
    if move:
        tell_moves([move])


@router.post(
    "/studies/{study}/rescore",
    status_code=202,
    responses={202: {"model": models.Rescored}, **problems(404, 409, 422)},
)
def rescore(site: Here, who: Whoever, study: Study) -> Response:
    """Queue a study's views again, by the settings of today; for administrators.

    Its former score stays until the new one is there.
    """
    _require_administrator(who)
    study_id = queries.find_study(site.database, study)
    rescorer = Rescorer(site.database, site.spool, rules_of(site.settings.study))
    gone = rescorer.rescore(study_id, datetime.now(UTC), who.name)
    return _json({"pixels_deleted": gone}, 202)


@router.get("/metrics", tags=["operations"], responses={200: {"model": list[models.Metric]}})
async def metrics(site: Here, _who: Whoever) -> Response:
    """Return what `/metrics` tells Prometheus, as JSON."""
    return _json(measurements.document(await measure(site)))


def _require_administrator(who: Person) -> None:
    if who.role is not Role.ADMINISTRATOR:
        raise NotAllowed("only an administrator may do that")


def _json(document: Any, status: int = 200) -> Response:
    return Response(encode(document), status, media_type="application/json")
