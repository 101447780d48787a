"""Why the views that wait are not scored, while nothing scores them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from triage.core.study import ViewState
from triage.core.worklist import Cause
from triage.store.database import Database
from triage.store.derive import lock_studies, refresh_all
from triage.store.tables import view

PAGE = 1000  # views a transaction


def explain_pending(database: Database, why: str, now: datetime, after: int = 0) -> int | None:
    """Give pending views a reason why nothing scores them, and show it in their studies.

    Works through the next thousand views at most from row *after* on, so that no
    transaction grows with the backlog; returns the row to go on from, None at the end.
    """
    page = (
        select(view.c.id, view.c.study_id, view.c.reason)
        .where(view.c.state == ViewState.PENDING, view.c.held_by.is_(None), view.c.id > after)
        .order_by(view.c.id)
        .limit(PAGE)
    )
    with database.writing() as connection:
        rows = connection.execute(page).all()
        _explain(connection, [row for row in rows if row.reason != why], why, now)
        return rows[-1].id if rows else None


def explain_new(database: Database, why: str, now: datetime) -> int:
    """Likewise, for a thousand views at most that have no reason yet; return how many they were."""
    page = (
        select(view.c.id, view.c.study_id)
        .where(view.c.state == ViewState.PENDING, view.c.reason.is_(None))
        .where(view.c.held_by.is_(None))
        .order_by(view.c.id)
        .limit(PAGE)
    )
    with database.reading() as connection:  # most looks find nothing
        if connection.execute(page.limit(1)).first() is None:
            return 0
    with database.writing() as connection:
        rows = connection.execute(page).all()
        _explain(connection, rows, why, now)
        return len(rows)


def _explain(
    connection: Connection, views: Sequence[Row[*tuple[Any, ...]]], why: str, now: datetime
) -> None:
    studies = sorted({row.study_id for row in views})
    lock_studies(connection, studies)
    # One that was taken, or scored, before its study was locked needs no reason.
    waits = (view.c.state == ViewState.PENDING) & view.c.held_by.is_(None)
    ids = [row.id for row in views]
    connection.execute(update(view).where(view.c.id.in_(ids), waits).values(reason=why))
    refresh_all(connection, dict.fromkeys(studies, Cause.DERIVED_AGAIN), now)
