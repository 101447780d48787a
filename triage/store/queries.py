"""Every question that the readers ask, answered by records of the core."""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, func, literal, select, text, tuple_

from triage.core.detail import (
    GroupDetail,
    HistoryLine,
    InstanceDetail,
    StudyDetail,
    group_name,
)
from triage.core.exposure import LOW_TRUST, counts_with
from triage.core.grouping import deciding_group, group_views
from triage.core.reasons import Code, reason
from triage.core.study import InstanceState, Intent, Label, ReadingState, StudyStatus, ViewState
from triage.core.wanted import Wanted
from triage.core.worklist import PRIORITIES, Band, Priority, WorklistRow
from triage.errors import AmbiguousStudy, StudyNotFound
from triage.store.columns import Moment, moment_of
from triage.store.database import Database
from triage.store.derive import views_of
from triage.store.tables import ACCESSION_NUMBER, ON_WORKLIST, history, instance, study, view

# The view comes in reading order, and ends at the limit; sorted by `position` from outside, every
# study that waits would be numbered first. The order of what is left is asked for by name. OFFSET
# keeps SQLite from making one question of the two.
WORKLIST = text(
    "SELECT * FROM (SELECT * FROM worklist LIMIT :limit OFFSET 0) AS page ORDER BY position"
)
EVERYTHING = 2**31 - 1  # rows
_READING_ORDER = (study.c.band, study.c.weight, study.c.received_at, study.c.study_instance_uid)


def worklist(
    database: Database, limit: int | None = None, wanted: Wanted | None = None
) -> list[WorklistRow]:
    """Return the reading worklist in reading order, the first *limit* of those that are wanted."""
    everything = limit is None or wanted is not None
    with database.reading() as connection:
        rows = connection.execute(WORKLIST, {"limit": EVERYTHING if everything else limit})
        found = (worklist_row(row._mapping) for row in rows)
        return list(islice((row for row in found if wanted is None or wanted.admits(row)), limit))


def worklist_row(values: RowMapping) -> WorklistRow:
    """Return a row of the view `worklist` as the core knows it."""
    return WorklistRow(
        **{
            **values,
            "priority": Priority(values["priority"]),
            "status": StudyStatus(values["status"]),
            "label": None if values["label"] is None else Label(values["label"]),
            # SQLite has no booleans of its own.
            "overdue": bool(values["overdue"]),
            "provisional": bool(values["provisional"]),
            "received_at": moment_of(values["received_at"]),
            "completed_at": moment_of(values["completed_at"]),
            "waiting_seconds": float(values["waiting_seconds"]),
        }
    )


def count_on_worklist(database: Database) -> int:
    """Count the studies that wait for a reader."""
    with database.reading() as connection:
        # Not from the view, which SQLite would number for that.
        count = select(func.count()).select_from(study).where(ON_WORKLIST)
        return connection.execute(count).scalar_one()


def pending_views(database: Database, now: datetime) -> tuple[int, float]:
    """Count the views that wait for a score, and the seconds that the first has waited."""
    with database.reading() as connection:
        count, first = connection.execute(
            select(func.count(), func.min(instance.c.received_at))
            .select_from(view)
            .join(instance, view.c.instance_id == instance.c.id)
            .where(view.c.state == ViewState.PENDING)
            .where(instance.c.state == InstanceState.SCORABLE)
        ).one()
    return count, 0.0 if first is None else (now - first).total_seconds()


def find_study(database: Database, name: str) -> int:
    """Find a study by Study Instance UID or accession number; return its row's id.

    Raises StudyNotFound, or AmbiguousStudy when several share the accession number.
    """
    with database.reading() as connection:
        found = connection.execute(
            select(study.c.id).where(study.c.study_instance_uid == name)
        ).scalar()
        if found is not None:
            return int(found)
        rows = connection.execute(
            select(study.c.id, study.c.study_instance_uid)
            .where(study.c.accession_number == name[:ACCESSION_NUMBER])
            .order_by(study.c.received_at)
        ).all()
    if not rows:
        raise StudyNotFound(f"no study has the Study Instance UID or accession number {name!r}")
    if len(rows) > 1:
        uids = "\n".join(f"  {row.study_instance_uid}" for row in rows)
        raise AmbiguousStudy(f"{len(rows)} studies have the accession number {name!r}:\n{uids}")
    return int(rows[0].id)


def study_uid(database: Database, study_id: int) -> str:
    """Return the Study Instance UID of a study's row."""
    with database.reading() as connection:
        found = connection.execute(
            select(study.c.study_instance_uid).where(study.c.id == study_id)
        ).scalar_one()
        return str(found)


def show_study(database: Database, study_id: int, now: datetime) -> StudyDetail:
    """Return the study with its groups, views and history."""
    with database.reading() as connection:
        row = connection.execute(select(study).where(study.c.id == study_id)).one()
        position = _position(connection, row)
        views = views_of(connection, study_id)
        instances = connection.execute(
            select(instance, view.c.frame, view.c.probability, view.c.id.label("view_id"))
            .add_columns(view.c.state.label("view_state"), view.c.reason.label("view_reason"))
            .outerjoin(view, view.c.instance_id == instance.c.id)
            .where(instance.c.study_id == study_id)
            .order_by(instance.c.id, view.c.frame)
        ).all()
        events = connection.execute(
            select(history).where(history.c.study_id == study_id).order_by(history.c.id)
        ).all()
    uids = {entry.id: entry.sop_instance_uid for entry in instances}
    groups = group_views(views)
    decider = deciding_group(groups)
    return StudyDetail(
        row=_row(row, position, now),
        reading_state=row.reading_state,
        finding=row.finding,
        groups=[
            GroupDetail(
                group=group_name(group.study_type, group.side),
                study_type=group.study_type,
                side=group.side or None,
                probability=group.probability,
                threshold=group.threshold,
                views=group.views,
                deciding=group is decider,
            )
            for group in groups
        ],
        instances=[_instance(entry, uids) for entry in instances],
        history=[
            HistoryLine(at=line.at, kind=line.kind, detail=line.detail, actor=line.actor)
            for line in events
        ],
    )


def _position(connection: Connection, row: Row[*tuple[Any, ...]]) -> int | None:
    """Return the place of a study on the worklist; None of one that has left it."""
    if row.reading_state == ReadingState.READ:
        return None
    # Those before it are counted in the index, which numbering all that wait would not be.
    place = (row.band, row.weight, literal(row.received_at, Moment), row.study_instance_uid)
    before = select(func.count()).where(ON_WORKLIST, tuple_(*_READING_ORDER) < tuple_(*place))
    return connection.execute(before).scalar_one() + 1


def _instance(entry: Row[*tuple[Any, ...]], uids: Mapping[int, str]) -> InstanceDetail:
    counts = entry.state == InstanceState.SCORABLE
    return InstanceDetail(
        sop_instance_uid=entry.sop_instance_uid,
        series_instance_uid=entry.series_instance_uid,
        frame=entry.frame,
        state=entry.view_state if counts else entry.state,
        reason=entry.view_reason or _remark(entry, uids) if counts else _set_aside(entry),
        probability=entry.probability if entry.state != InstanceState.UNSCORABLE else None,
        group=group_name(entry.study_type, entry.side) if entry.view_id else None,
        study_type=entry.study_type,
        part_from=entry.part_from or None,
        side=entry.side or None,
        side_from=entry.side_from or None,
        exposed_field=entry.exposed_field or None,
    )


def waiting_since(database: Database, study_id: int) -> datetime:
    """Return since when the study waits for a reader; of one that was read, since when it had."""
    with database.reading() as connection:
        since: datetime = connection.execute(
            select(study.c.waiting_since).where(study.c.id == study_id)
        ).scalar_one()
    return since


def _set_aside(entry: Row[*tuple[Any, ...]]) -> str | None:
    """Say why an instance does not count, or what has become of it since."""
    return entry.reason or _deleted(entry)


def _deleted(entry: Row[*tuple[Any, ...]]) -> str | None:
    if entry.deleted_at is None:
        return None
    when = f"its pixel data was deleted at {entry.deleted_at:%Y-%m-%d %H:%M} UTC, after the reading"
    return reason(Code.PIXELS_DELETED, when)


def _remark(entry: Row[*tuple[Any, ...]], uids: Mapping[int, str]) -> str | None:
    """Say how a view that is scored counts, where that is not as any other."""
    if gone := _deleted(entry):
        return gone
    if entry.exposure_id not in (None, entry.id):
        return counts_with(uids[entry.exposure_id])
    return LOW_TRUST if entry.intent == Intent.PROCESSING else None


def _row(row: Row[*tuple[Any, ...]], position: int | None, now: datetime) -> WorklistRow:
    """Build what the view `worklist` says of a study, which a read study has left."""
    band = Band(row.band)
    until = row.read_at if row.reading_state == ReadingState.READ else now
    return WorklistRow(
        position=position,
        priority=PRIORITIES[band],
        overdue=row.overdue,
        label=None if row.label is None else Label(row.label),
        probability=row.probability,
        provisional=row.status == StudyStatus.RECEIVING,
        status=StudyStatus(row.status),
        reason=row.reason,
        study_type=row.study_type,
        views=row.views,
        views_scored=row.views_scored,
        accession_number=row.accession_number,
        patient_id=row.patient_id,
        patient_name=row.patient_name,
        study_instance_uid=row.study_instance_uid,
        study_description=row.study_description,
        received_at=row.received_at,
        completed_at=row.completed_at,
        waiting_seconds=(until - row.waiting_since).total_seconds(),
        claimed_by=row.claimed_by,
        model=row.model,
    )
