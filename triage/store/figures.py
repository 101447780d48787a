"""What the figures of the department are made from.

Each question is bounded: by what is on the worklist, or by a time whose studies an index finds,
and of those by `BOUND`, the newest first.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, case, func, select, text

from triage.core.figures import Arrival, Facts, Queue, Reading
from triage.core.reasons import code_of
from triage.core.study import Finding, Label, ReadingState, StudyStatus
from triage.core.worklist import Band
from triage.store.database import Database
from triage.store.tables import ON_WORKLIST, study

BOUND = 100_000  # studies of the time in question; a quarter's of a department with 1,000 a day

_QUEUES = (
    select(
        study.c.band,
        func.count().label("studies"),
        func.sum(case((study.c.reading_state == ReadingState.CLAIMED, 1), else_=0)).label(
            "claimed"
        ),
        func.min(study.c.waiting_since).label("since"),
    )
    .where(ON_WORKLIST)
    .group_by(study.c.band)
)
_ARRIVALS = select(
    *(study.c.received_at, study.c.study_type, study.c.station, study.c.status, study.c.reason),
    *(study.c.label, study.c.probability, study.c.model, study.c.views),
)
# In these very words the index on `read_at` is of use.
_READINGS = select(
    *(study.c.waiting_since, study.c.read_at, study.c.study_type, study.c.label),
    *(study.c.finding, study.c.model),
).where(text("reading_state = 'read'"))


def department_facts(database: Database, since: datetime) -> Facts:
    """Return who waits now, and what came and what was read from *since* on, of one moment."""
    with database.reading() as connection:
        arrivals, readings = _arrivals(connection, since), _readings(connection, since)
        return Facts(
            queues=tuple(_queue(row) for row in connection.execute(_QUEUES)),
            arrivals=tuple(arrivals),
            readings=tuple(readings),
            since=max(
                since,
                arrivals[-1].received_at if len(arrivals) == BOUND else since,
                readings[-1].read_at if len(readings) == BOUND else since,
            ),
        )


def _queue(row: Row[Any]) -> Queue:
    return Queue(
        band=Band(row.band), studies=row.studies, claimed=int(row.claimed), since=row.since
    )


def _arrivals(connection: Connection, since: datetime) -> list[Arrival]:
    came = study.c.received_at
    rows = connection.execute(_ARRIVALS.where(came >= since).order_by(came.desc()).limit(BOUND))
    return [
        Arrival(
            received_at=row.received_at,
            study_type=row.study_type,
            station=row.station,
            status=StudyStatus(row.status),
            code=code_of(row.reason) or None,
            label=row.label and Label(row.label),
            probability=row.probability,
            model=row.model,
            views=row.views,
        )
        for row in rows
    ]


def _readings(connection: Connection, since: datetime) -> list[Reading]:
    read = study.c.read_at
    rows = connection.execute(_READINGS.where(read >= since).order_by(read.desc()).limit(BOUND))
    return [
        Reading(
            waiting_since=row.waiting_since,
            read_at=row.read_at,
            study_type=row.study_type,
            label=row.label and Label(row.label),
            finding=row.finding and Finding(row.finding),
            model=row.model,
        )
        for row in rows
    ]
