"""Keeps a study's row equal to what its views say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from triage.core.assessment import Assessment, assess
from triage.core.reasons import Code, reason
from triage.core.study import (
    InstanceState,
    Intent,
    ReadingState,
    Score,
    Side,
    StudyStatus,
    View,
    ViewState,
)
from triage.core.studytype import StudyType
from triage.core.worklist import Band, Cause, Move, Place, place
from triage.store.tables import history, instance, study, view

TOGETHER = 8  # studies whose rows are derived together; for more, PostgreSQL may read all views
# A study always has instances; if none of them counts, they came again elsewhere.
MOVED = reason(Code.INSTANCE_REPLACED, "its images were sent again as part of another study")


@dataclass(frozen=True, kw_only=True)
class Derived:
    """What deriving a study's row again came to; to be logged once it is committed."""

    study_instance_uid: str
    status: StudyStatus
    move: Move | None  # None: it stands where it stood


TOLD = (Cause.OVERDUE, Cause.NO_LONGER_OVERDUE)  # have lines of their own in the history
BACK = (Cause.IMAGE_AFTER_READING, Cause.UNREAD)  # what brings a study back that was read

# Made once, and one statement where two would do: every change of a study asks them.
STUDY = select(study).where(study.c.id == bindparam("study"))
_STUDIES = select(study).where(study.c.id.in_(bindparam("studies", expanding=True)))
_UPDATE = update(study).where(study.c.id == bindparam("study"))
_CONTENTS_OF_ANY = (
    select(
        instance.c.study_id,
        instance.c.id.label("instance_id"),
        instance.c.study_type,
        instance.c.side,
        instance.c.intent,
        instance.c.exposure_id,
        instance.c.state.label("instance_state"),
        instance.c.reason.label("instance_reason"),
        view.c.id,
        view.c.frame,
        view.c.state,
        view.c.probability,
        view.c.threshold,
        view.c.model,
        view.c.reason,
    )
    .outerjoin(view, view.c.instance_id == instance.c.id)
    .where(instance.c.state != InstanceState.REPLACED)
    .order_by(view.c.id, instance.c.id)
)
_CONTENTS = _CONTENTS_OF_ANY.where(instance.c.study_id == bindparam("study"))
_CONTENTS_OF_MANY = _CONTENTS_OF_ANY.where(
    instance.c.study_id.in_(bindparam("studies", expanding=True))
)
_RECORD = insert(history)


def record(
    connection: Connection,
    study_id: int,
    now: datetime,
    kind: str,
    detail: str | None = None,
    actor: str | None = None,
) -> None:
    """Add a line to the study's history."""
    connection.execute(_RECORD, _line(study_id, now, kind, detail, actor))


def _line(
    study_id: int, now: datetime, kind: str, detail: str | None, actor: str | None = None
) -> dict[str, object]:
    return {"study_id": study_id, "at": now, "kind": kind, "detail": detail, "actor": actor}


def lock_studies(connection: Connection, study_ids: Iterable[int]) -> None:
    """Take the studies' rows for this transaction.

    Always in the order of their ids: two transactions that lock the same
    studies in different orders would wait for each other for ever. SQLite has one writer at
    a time anyway, and no locks of rows.
    """
    if connection.dialect.name == "sqlite":
        return
    ids = sorted(set(study_ids))
    connection.execute(
        select(study.c.id).where(study.c.id.in_(ids)).order_by(study.c.id).with_for_update()
    )


def views_of(connection: Connection, study_id: int) -> list[View]:
    """Return the views that may count, those of instances that were replaced left out."""
    return _views(connection.execute(_CONTENTS, {"study": study_id}).all())


def _views(rows: Iterable[Row[*tuple[Any, ...]]]) -> list[View]:
    return [
        View(
            study_type=None if row.study_type is None else StudyType(row.study_type),
            side=Side(row.side),
            state=ViewState(row.state),
            probability=row.probability,
            threshold=0.5 if row.threshold is None else row.threshold,
            model=row.model,
            reason=row.reason,
            exposure=None if row.exposure_id is None else f"{row.exposure_id}/{row.frame}",
            stand_in=row.instance_state != InstanceState.SCORABLE,
            low_trust=row.intent == Intent.PROCESSING,
        )
        for row in rows
        if row.id is not None and (row.instance_state == InstanceState.SCORABLE or _stands_in(row))
    ]


def _stands_in(row: Row[*tuple[Any, ...]]) -> bool:
    """Say whether it is of a raw image that was scored before its presentation came."""
    return row.exposure_id is not None and row.state == ViewState.SCORED


def _unscorable_reasons(rows: Iterable[Row[*tuple[Any, ...]]]) -> list[str]:
    """Return why instances are not for the network, once for each."""
    reasons = {
        row.instance_id: row.instance_reason
        for row in rows
        if row.instance_state == InstanceState.UNSCORABLE and row.instance_reason is not None
    }
    return [reasons[instance_id] for instance_id in sorted(reasons)]


def refresh(
    connection: Connection,
    study_id: int,
    now: datetime,
    cause: Cause = Cause.DERIVED_AGAIN,
    *,
    close: bool = False,
) -> Derived:
    """Derive the study's row again; *close* says that it is complete as of now.

    *cause* is what moved the study, should it stand elsewhere now.

    Call it after every change of its instances, views or wait, in the same
    transaction, with the study locked.
    """
    (derived,) = refresh_all(connection, {study_id: cause}, now, close=close)
    return derived


def refresh_all(
    connection: Connection, causes: Mapping[int, Cause], now: datetime, *, close: bool = False
) -> list[Derived]:
    """Do the same for several studies, each with its cause; in the order of *causes*.

    Some together take as many statements as one: whoever brings an image waits for them.
    """
    derived: list[Derived] = []
    waiting = iter(causes.items())
    while some := dict(islice(waiting, TOGETHER)):
        derived += _refresh(connection, some, now, close=close)
    return derived


def _refresh(
    connection: Connection, causes: Mapping[int, Cause], now: datetime, *, close: bool
) -> list[Derived]:
    if len(causes) == 1:  # as for every image that comes
        (only,) = causes
        rows = connection.execute(STUDY, {"study": only}).all()
        contents = {only: [*connection.execute(_CONTENTS, {"study": only})]}
    else:
        these = {"studies": list(causes)}
        rows = connection.execute(_STUDIES, these).all()
        contents = {study_id: [] for study_id in causes}
        for found in connection.execute(_CONTENTS_OF_MANY, these):
            contents[found.study_id].append(found)
    changes = {
        row.id: _derive(row, contents[row.id], now, causes[row.id], close=close) for row in rows
    }
    connection.execute(_UPDATE, [changes[study_id].values for study_id in causes])
    if lines := [change.line for change in changes.values() if change.line]:
        connection.execute(_RECORD, lines)
    return [changes[study_id].derived for study_id in causes]


@dataclass(frozen=True, kw_only=True)
class _Change:
    values: dict[str, object]  # of the study's row
    line: dict[str, object] | None  # of its history
    derived: Derived


def _derive(
    row: Row[*tuple[Any, ...]],
    contents: Sequence[Row[*tuple[Any, ...]]],
    now: datetime,
    cause: Cause,
    *,
    close: bool,
) -> _Change:
    """Say what becomes of the study's *row*, given its instances with their views."""
    views = _views(contents)
    closed = close or row.completed_at is not None
    assessment = assess(
        views,
        closed=closed,
        unscorable_reasons=_unscorable_reasons(contents) or ([] if views else [MOVED]),
        image_after_reading=row.image_after_reading,
    )
    score = assessment.score
    label = score.label if score else None
    probability = score.probability if score else None
    where = place(overdue=row.overdue, label=label, probability=probability)
    move = _move(row, where, score, cause)
    line = None
    if assessment.status not in (row.status, StudyStatus.RECEIVING):
        line = _line(row.id, now, assessment.status.value, _outcome(assessment))
    elif move and move.before and move.before.band != where.band and cause not in TOLD:
        line = _line(row.id, now, "moved", _moved(move, assessment))
    return _Change(
        values={
            "study": row.id,
            "status": assessment.status,
            "completed_at": (row.completed_at or now) if closed else None,
            "reason": assessment.reason,
            "study_type": score.study_type if score else _first_type(views),
            "side": score.side if score else None,
            "label": label,
            "probability": probability,
            "model": score.model if score else None,
            "views": assessment.views,
            "views_scored": assessment.views_scored,
            "band": where.band,
            "weight": where.weight,
        },
        line=line,
        derived=Derived(
            study_instance_uid=row.study_instance_uid, status=assessment.status, move=move
        ),
    )


def _move(
    row: Row[*tuple[Any, ...]], where: Place, score: Score | None, cause: Cause
) -> Move | None:
    """Return how the study moves whose row was *row*, if it does."""
    # One that was read comes from off the list, wherever its row still says it stood.
    before = None if cause in BACK else Place(Band(row.band), row.weight)
    if before == where or row.reading_state == ReadingState.READ:
        return None
    return Move(
        study_instance_uid=row.study_instance_uid,
        accession_number=row.accession_number,
        before=before,
        after=where,
        label=score.label if score else None,
        probability=score.probability if score else None,
        cause=cause,
    )


def _moved(move: Move, assessment: Assessment) -> str:
    """Say what a move between two outcomes comes from."""
    if move.probability is None:
        return "no view is scored any more"
    return (
        f"{move.label} {move.probability:.4f}, "
        f"{assessment.views_scored} of {assessment.views} views so far"
    )


def _first_type(views: list[View]) -> StudyType | None:
    return next((view.study_type for view in views if view.study_type), None)


def _outcome(assessment: Assessment) -> str | None:
    if assessment.status is StudyStatus.SCORED and assessment.score is not None:
        score = assessment.score
        return (
            f"{score.label} {score.probability:.4f}, "
            f"{assessment.views_scored} of {assessment.views} views, {score.model}"
        )
    return assessment.reason
