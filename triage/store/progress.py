"""The two things that only time brings about: a study completes, a wait grows too long."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, update

from triage.core.completion import CLOCK_SLACK, is_complete
from triage.core.study import Growth, Patience, ReadingState, StudyStatus
from triage.core.worklist import Cause, Move
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh_all
from triage.store.tables import study

BATCH = 200  # studies a transaction, so that no tick holds the database for long


def complete_studies(
    database: Database, now: datetime, patience: Patience
) -> list[tuple[str, StudyStatus]]:
    """Complete the studies that are silent or open long enough.

    Returns (Study Instance UID, status) of each.
    """
    due = or_(
        study.c.last_received_at <= now - timedelta(seconds=patience.quiet),
        study.c.opened_at <= now - timedelta(seconds=patience.limit),
        study.c.last_received_at > now + timedelta(seconds=CLOCK_SLACK),
    )
    receiving = study.c.status == StudyStatus.RECEIVING
    ids = _ids(database, receiving & due, study.c.last_received_at)
    if not ids:
        return []
    with database.writing() as connection:
        lock_studies(connection, ids)
        rows = connection.execute(
            select(study.c.id, study.c.opened_at, study.c.last_received_at)
            .where(study.c.id.in_(ids), receiving)
            .order_by(study.c.id)
        ).all()
        # An image may have come between the look and the lock.
        complete = {
            row.id: Cause.DERIVED_AGAIN
            for row in rows
            if is_complete(
                Growth(opened_at=row.opened_at, last_received_at=row.last_received_at),
                now,
                patience,
            )
        }
        derived = refresh_all(connection, complete, now, close=True)
    return [(each.study_instance_uid, each.status) for each in derived]


def mark_overdue(database: Database, now: datetime, max_wait: float) -> list[Move]:
    """Bring `overdue` up to date, in both directions; return the studies that moved.

    The way back is needed when `worklist.max_wait` was raised or turned off.
    """
    waiting = study.c.reading_state != ReadingState.READ
    if max_wait > 0:
        limit = now - timedelta(seconds=max_wait)
        newly = waiting & study.c.overdue.is_(False) & (study.c.waiting_since < limit)
        no_longer = waiting & study.c.overdue.is_(True) & (study.c.waiting_since >= limit)
        return _set(database, newly, now, overdue=True) + _set(
            database, no_longer, now, overdue=False
        )
    return _set(database, waiting & study.c.overdue.is_(True), now, overdue=False)


def _set(
    database: Database, which: ColumnElement[bool], now: datetime, *, overdue: bool
) -> list[Move]:
    moves: list[Move] = []
    more = True
    while more and (ids := _ids(database, which, study.c.waiting_since)):
        more = len(ids) == BATCH
        with database.writing() as connection:
            lock_studies(connection, ids)
            rows = connection.execute(select(study.c.id).where(study.c.id.in_(ids), which))
            moved = _mark(connection, list(rows.scalars()), now, overdue=overdue)
        moves += moved
    return moves


def _mark(connection: Connection, ids: list[int], now: datetime, *, overdue: bool) -> list[Move]:
    connection.execute(update(study).where(study.c.id.in_(ids)).values(overdue=overdue))
    cause = Cause.OVERDUE if overdue else Cause.NO_LONGER_OVERDUE
    for study_id in ids:
        record(connection, study_id, now, cause.value)
    derived = refresh_all(connection, dict.fromkeys(ids, cause), now)
    return [each.move for each in derived if each.move]


def _ids(database: Database, which: ColumnElement[bool], first: ColumnElement[Any]) -> list[int]:
    """Look without locking, the *first* before the others: most ticks find nothing.

    The order is that of the index. Without one, PostgreSQL may hope to find enough of them
    early in the table, and then walks over all of it where there are none.
    """
    with database.reading() as connection:
        rows = connection.execute(select(study.c.id).where(which).order_by(first).limit(BATCH))
        return [row.id for row in rows]
