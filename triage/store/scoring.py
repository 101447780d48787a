"""The queue of views: claimed by a scorer, given back with a result.

The rows are the queue. A scorer holds a view for a while (`held_until`); what
a dead scorer held is free again when its daemon notices, when a scorer starts
on the same machine, or, where nobody can know of its end, when the time is over.
One that is only slow, or cut off from the database, may lose its hold as well:
then its result is dropped, for whoever holds the view saves one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from triage.core.activation import CoarseMap
from triage.core.reasons import Code, reason
from triage.core.study import InstanceState, ViewState
from triage.core.studytype import StudyType
from triage.core.worklist import Cause, Move
from triage.store.activations import keep_maps
from triage.store.database import Database
from triage.store.derive import Derived, lock_studies, refresh_all
from triage.store.exposures import settle, with_raw_images
from triage.store.tables import instance, study, view

# Renewed by the scorer while it lives; what a dead machine held waits this long for the others.
HOLD = timedelta(seconds=10)
RENEW_EVERY = HOLD / 4  # so that a renewal or two may fail
RETRY_AFTER = timedelta(milliseconds=300)  # a file that cannot be read now may be readable soon
MAX_ATTEMPTS = 3  # failures of one view before it is set aside
MAX_INTERRUPTIONS = 10  # ends of the daemon while it worked on one view, likewise
INTERRUPTED = reason(
    Code.SCORER_CRASHED, "the scoring process ended while it tried this view; it is tried again"
)
SET_ASIDE = f"set aside after {MAX_ATTEMPTS} attempts, `triage rescore` tries again"
SCORE_STAYS = "its former score stays"
CRASHED = reason(Code.SCORER_CRASHED, "the scoring process ended each time it tried this view")


class Blame(StrEnum):
    """For which of the views that a dead scorer held its end counts as a failed attempt."""

    ALL = "all"  # it crashed, of one of them
    ALONE = "alone"  # it was killed: perhaps by the kernel for the memory that one view took
    NONE = "none"  # it was told to end, or its daemon ended


@dataclass(frozen=True, kw_only=True)
class Work:
    """A view that this scorer holds."""

    view_id: int
    study_id: int
    digest: str  # of its file in the spool
    frame: int
    study_type: StudyType | None
    study_instance_uid: str
    sop_instance_uid: str
    new_since: datetime | None = None  # when it came; None for one that was scored before


# Made once; see `triage.store.derive`.
_TROUBLE = view.c.attempts + view.c.interruptions
_NEXT = (
    select(
        view.c.id,
        view.c.study_id,
        view.c.frame,
        view.c.scored_at,
        _TROUBLE.label("trouble"),
        instance.c.digest,
        instance.c.study_type,
        instance.c.sop_instance_uid,
        instance.c.received_at,
        study.c.study_instance_uid,
    )
    .join(instance, view.c.instance_id == instance.c.id)
    .join(study, view.c.study_id == study.c.id)
    .where(
        view.c.state == ViewState.PENDING,
        or_(
            view.c.held_until.is_(None),
            view.c.held_until < bindparam("now"),
            view.c.held_until > bindparam("clock_was_set_back"),
        ),
    )
    .where(instance.c.state == InstanceState.SCORABLE)
    .order_by(_TROUBLE, view.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=view, skip_locked=True)
)
_HOLD = (
    update(view)
    .where(view.c.id.in_(bindparam("views", expanding=True)))
    .values(held_by=bindparam("scorer"), held_until=bindparam("until"))
)
_HELD = (
    select(view.c.id, view.c.attempts, view.c.scored_at, view.c.probability)
    .where(view.c.id.in_(bindparam("views", expanding=True)))
    .where(view.c.held_by == bindparam("scorer"))
    .order_by(view.c.id)
    .with_for_update()
)
_SCORED = (
    update(view)
    .where(view.c.id == bindparam("scored_view"))
    .values(held_by=None, held_until=None, state=ViewState.SCORED)
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What scoring one view came to: a probability and its map, or why there is none."""

    work: Work
    probability: float | None = None
    map: CoarseMap | None = None
    threshold: float | None = None
    model: str | None = None
    reason: str | None = None
    final: bool = False  # trying again would change nothing


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What of the results was stored, and what became of the studies."""

    results: tuple[Result, ...]
    studies: tuple[Derived, ...]


@dataclass(frozen=True, kw_only=True)
class Freed:
    """What became of the views that dead scorers held."""

    views: int
    moves: tuple[Move, ...]  # of studies whose views were set aside


def hold_views(
    database: Database, scorer: str, limit: int, clock: Callable[[], datetime]
) -> list[Work]:
    """Take up to *limit* pending views, the earliest first.

    A view that has failed or been interrupted before comes after all others and
    alone, so that one that kills or stops the scorer takes no other with it.

    *clock* is asked when the database's turn has come, for which a busy one lets wait
    as long as a hold lasts.
    """
    # After a power cut nobody holds anything; that a view was being tried then may be forgotten too.
    with database.writing(durable=False) as connection:
        now = clock()
        asked = {"now": now, "clock_was_set_back": now + 2 * HOLD, "most": limit}
        rows = connection.execute(_NEXT, asked).all()
        if not rows:
            return []
        rows = rows[:1] if rows[0].trouble else [row for row in rows if not row.trouble]
        connection.execute(
            _HOLD,
            {"views": [row.id for row in rows], "scorer": scorer, "until": clock() + HOLD},
        )
    return [
        Work(
            view_id=row.id,
            study_id=row.study_id,
            digest=row.digest,
            frame=row.frame,
            study_type=None if row.study_type is None else StudyType(row.study_type),
            study_instance_uid=row.study_instance_uid,
            sop_instance_uid=row.sop_instance_uid,
            new_since=row.received_at if row.scored_at is None else None,
        )
        for row in rows
    ]


def renew_holds(database: Database, scorer: str, clock: Callable[[], datetime]) -> None:
    """Hold on to what this scorer works on, however long the batch takes."""
    mine = select(view.c.id).where(view.c.held_by == scorer)
    with database.writing(durable=False) as connection:
        # What somebody else is changing is passed over: to wait for it, with the others
        # locked, might be to wait for each other.
        ids = connection.execute(mine.with_for_update(skip_locked=True)).scalars().all()
        connection.execute(update(view).where(view.c.id.in_(ids)).values(held_until=clock() + HOLD))


def save_results(
    database: Database, scorer: str, results: Sequence[Result], now: datetime
) -> Saved:
    """Store results and derive their studies again, in one transaction.

    A result whose view this scorer no longer holds is dropped: somebody else
    took it over.
    """
    stored: dict[int, list[Result]] = {}  # by study
    with database.writing() as connection:
        lock_studies(connection, (result.work.study_id for result in results))
        for result in _store(connection, scorer, results, now):
            stored.setdefault(result.work.study_id, []).append(result)
        if not stored:
            return Saved(results=(), studies=())
        # A presentation that cannot be read gives its place back to the raw image.
        for study_id in with_raw_images(connection, stored):
            settle(connection, study_id)
        causes = {study_id: _cause(of_study) for study_id, of_study in sorted(stored.items())}
        return Saved(
            results=tuple(result for of_study in stored.values() for result in of_study),
            studies=tuple(refresh_all(connection, causes, now)),
        )


def _cause(results: Sequence[Result]) -> Cause:
    scored = any(result.probability is not None for result in results)
    return Cause.SCORED if scored else Cause.NOT_SCORED


def _store(
    connection: Connection, scorer: str, results: Sequence[Result], now: datetime
) -> list[Result]:
    """Store results of views that this scorer still holds; return those."""
    asked = {"scorer": scorer, "views": [result.work.view_id for result in results]}
    held = {row.id: row for row in connection.execute(_HELD, asked)}
    mine: dict[int, Result] = {}
    for result in results:
        if result.work.view_id in held:  # and once only, should it have been taken twice
            mine.setdefault(result.work.view_id, result)
    scored = {key: result for key, result in mine.items() if result.probability is not None}
    if scored:
        connection.execute(
            _SCORED,
            [
                {
                    "scored_view": view_id,
                    "probability": result.probability,
                    "threshold": result.threshold,
                    "model": result.model,
                    "reason": result.reason,
                    "scored_at": now,
                }
                for view_id, result in scored.items()
            ],
        )
        keep_maps(connection, {view_id: result.map for view_id, result in scored.items()})
    for view_id, result in mine.items():
        if result.probability is None:
            _store_failure(connection, held[view_id], result, now)
    return list(mine.values())


def _store_failure(
    connection: Connection, held: Row[*tuple[Any, ...]], result: Result, now: datetime
) -> None:
    values: dict[str, object] = {
        "held_by": None,
        "held_until": None,
        "reason": result.reason,
        "attempts": held.attempts + 1,
    }
    if not result.final and held.attempts + 1 < MAX_ATTEMPTS:
        values["held_until"] = now + RETRY_AFTER * 4**held.attempts
    elif _is_lost(result) and held.scored_at is not None and held.probability is not None:
        # That its file is gone says nothing against the score which it had.
        values |= {"state": ViewState.SCORED, "reason": f"{result.reason}; {SCORE_STAYS}"}
    else:
        values |= {"state": ViewState.FAILED, "probability": None}
        if not result.final:
            values["reason"] = f"{result.reason}; {SET_ASIDE}"
    connection.execute(update(view).where(view.c.id == held.id).values(**values))


def _is_lost(result: Result) -> bool:
    return (result.reason or "").startswith(f"{Code.FILE_MISSING}:")


def free_views_of_dead(
    database: Database, is_dead: Callable[[str], bool], now: datetime, blame: Blame
) -> Freed:
    """Free what dead scorers held."""
    with database.writing() as connection:
        rows = connection.execute(
            select(
                view.c.id, view.c.study_id, view.c.held_by, view.c.attempts, view.c.interruptions
            ).where(view.c.held_by.is_not(None))
        ).all()
        # Not sorted by the database, which might walk over all views for that.
        dead = sorted((row for row in rows if is_dead(row.held_by)), key=lambda row: row.id)
        lock_studies(connection, (row.study_id for row in dead))
        blamed = blame is Blame.ALL or (blame is Blame.ALONE and len(dead) == 1)
        for row in dead:
            attempts = row.attempts + (1 if blamed else 0)
            interruptions = row.interruptions + (0 if blamed else 1)
            values: dict[str, object] = {
                "held_by": None,
                "held_until": None,
                "attempts": attempts,
                "interruptions": interruptions,
                "reason": INTERRUPTED,
            }
            if attempts >= MAX_ATTEMPTS or interruptions >= MAX_INTERRUPTIONS:
                values |= {"state": ViewState.FAILED, "probability": None, "reason": CRASHED}
            connection.execute(
                update(view)
                .where(view.c.id == row.id, view.c.held_by == row.held_by)
                .values(**values)
            )
        studies = sorted({row.study_id for row in dead})
        derived = refresh_all(connection, dict.fromkeys(studies, Cause.SCORER_CRASHED), now)
    return Freed(views=len(dead), moves=tuple(each.move for each in derived if each.move))
