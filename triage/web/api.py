"""The JSON interface, `/api/v1`: what the commands do, with their documents."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AfterValidator, BaseModel, ConfigDict

from triage.core.audit import AuditKind
from triage.core.department import Department
from triage.core.documents import encode, row_document, study_document
from triage.core.study import Finding
from triage.store import audit, queries, reading
from triage.web.access import Whoever, while_admitted
from triage.web.department import zone_named
from triage.web.site import Here

router = APIRouter(prefix="/api/v1")

Study = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        pattern="^[^\x00]*$",
        description="A Study Instance UID or an accession number.",
    ),
]
Limit = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The first N studies.")]

Zone = Annotated[
    str,
    AfterValidator(lambda name: zone_named(name) and name),
    Query(max_length=64, description="The IANA time zone whose days and weeks are meant."),
]


class Reading(BaseModel):
    """What a reader says of a study."""

    model_config = ConfigDict(extra="forbid")

    finding: Finding | None = None


@router.get("/worklist")
def worklist(site: Here, _who: Whoever, limit: Limit = None) -> Response:
    """Return the reading worklist, in reading order."""
    return _json([row_document(row) for row in queries.worklist(site.database, limit)])


@router.get("/department", response_model=Department)
def department(site: Here, _who: Whoever, zone: Zone = "UTC") -> Response:
    """Return the figures of the department, at most some seconds old."""
    return _json(dataclasses.asdict(site.figures.of(zone).figures))


@router.get("/events", response_class=EventSourceResponse)
async def events(site: Here, who: Whoever) -> AsyncIterator[ServerSentEvent]:
    """Stream the worklist as it is, and then what changes on it."""
    async for change in while_admitted(site, who, site.feed.changes()):
        yield ServerSentEvent(raw_data=change.data, id=str(change.number), event="worklist")


@router.get("/studies/{study}")
def show(site: Here, who: Whoever, study: Study) -> Response:
    """Return why a study stands where it stands: views, groups, history."""
    study_id = queries.find_study(site.database, study)
    # Written before anything is shown: what cannot be written down is not shown.
    audit.note_access(site.database, study_id, AuditKind.SHOWN, who.name, datetime.now(UTC))
    return _json(study_document(queries.show_study(site.database, study_id, datetime.now(UTC))))


@router.post("/studies/{study}/claim", status_code=204)
def claim(site: Here, who: Whoever, study: Study) -> None:
    """Claim a study for reading; it stays in its place."""
    study_id = queries.find_study(site.database, study)
    reading.claim(site.database, study_id, who.name, datetime.now(UTC))


@router.post("/studies/{study}/release", status_code=204)
def release(site: Here, who: Whoever, study: Study) -> None:
    """Give up a claim."""
    study_id = queries.find_study(site.database, study)
    reading.release(site.database, study_id, who.name, datetime.now(UTC))


@router.post("/studies/{study}/read", status_code=204)
def read(
    site: Here, who: Whoever, study: Study, said: Annotated[Reading | None, Body()] = None
) -> None:
    """Mark a study as read; it leaves the worklist."""
    finding = said.finding if said else None
    study_id = queries.find_study(site.database, study)
    reading.mark_read(site.database, study_id, who.name, finding, datetime.now(UTC))


def _json(document: Any) -> Response:
    return Response(encode(document), media_type="application/json")
