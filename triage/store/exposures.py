"""Keeps each instance's part in its study right: what stands for which exposure."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, case, or_, select, update

from triage.core.exposure import Candidate, Standing, left_out, stand
from triage.core.study import Exposure, Instance, InstanceState, Intent, Side, ViewState
from triage.core.studytype import StudyType
from triage.store.instances import PIXELS_DELETED, drop_pending
from triage.store.tables import instance, view

# Current instances with something to score, set aside or not.
_CANDIDATE = (instance.c.state != InstanceState.REPLACED) & (instance.c.frames > 0)


def concerns_others(
    connection: Connection, study_id: int, received: Instance, *, alone: bool
) -> bool:
    """Say whether *received* may change how the study's other instances stand, or they it.

    Most studies hold no copies and no raw images, and need no more than this look; one in which
    it is *alone* not even that.
    """
    if not received.frames:
        return False
    exposure = received.exposure
    if exposure.intent is Intent.PROCESSING:
        return True
    if alone:
        return False
    asked = {
        "pixels": received.pixel_digest,
        "event": exposure.event,
        "source": exposure.source,
    }
    known = {name: value for name, value in asked.items() if value}
    found = connection.execute(
        _alike(frozenset(known)), {"of_study": study_id, "own": received.sop_instance_uid, **known}
    )
    return found.first() is not None


@cache
def _alike(known: frozenset[str]) -> Select[tuple[int]]:
    """Ask for one instance that may be of the same exposure, by what is *known* of the new one.

    Made once for each: SQLAlchemy takes longer to make it than the database to answer.
    """
    alike = [
        instance.c.intent == Intent.PROCESSING,
        instance.c.source_uid == bindparam("own"),
    ]
    if "pixels" in known:
        alike.append(instance.c.pixel_digest == bindparam("pixels"))
    if "event" in known:
        alike.append(instance.c.irradiation_event == bindparam("event"))
    if "source" in known:
        # Its source, or another image made from the same one.
        alike.append(instance.c.sop_instance_uid == bindparam("source"))
        alike.append(instance.c.source_uid == bindparam("source"))
    return (
        select(instance.c.id)
        .where(instance.c.study_id == bindparam("of_study"), _CANDIDATE, or_(*alike))
        .where(instance.c.sop_instance_uid != bindparam("own"))
        .limit(1)
    )


# Made once; see `triage.store.derive`.
_WITH_RAW = (
    select(instance.c.study_id)
    .distinct()
    .where(instance.c.study_id.in_(bindparam("studies", expanding=True)))
    .where(_CANDIDATE, instance.c.intent == Intent.PROCESSING)
    .order_by(instance.c.study_id)
)


def with_raw_images(connection: Connection, study_ids: Iterable[int]) -> list[int]:
    """Return those of the studies in which how views come out may change how instances stand."""
    return list(connection.execute(_WITH_RAW, {"studies": list(study_ids)}).scalars())


def settle(connection: Connection, study_id: int) -> None:
    """Work out again how the study's instances stand to each other, and store what changed."""
    rows = connection.execute(
        select(instance).where(instance.c.study_id == study_id, _CANDIDATE)
    ).all()
    hopeful = connection.execute(
        select(view.c.instance_id).where(
            view.c.study_id == study_id, view.c.state != ViewState.FAILED
        )
    )
    readable = set(hopeful.scalars())
    standings = stand(_candidate(row, readable=row.id in readable) for row in rows)
    for row in rows:
        _store(connection, row, standings[row.id])


def _candidate(row: Row[*tuple[Any, ...]], *, readable: bool) -> Candidate:
    return Candidate(
        key=row.id,
        sop_instance_uid=row.sop_instance_uid,
        pixel_digest=row.pixel_digest,
        study_type=None if row.study_type is None else StudyType(row.study_type),
        side=Side(row.side),
        exposure=Exposure(
            intent=Intent(row.intent),
            event=row.irradiation_event,
            acquired=row.acquired,
            view_position=row.view_position,
            source=row.source_uid,
        ),
        readable=readable,
    )


def _store(connection: Connection, row: Row[*tuple[Any, ...]], standing: Standing) -> None:
    why = left_out(standing.twin) if standing.twin else None
    state = InstanceState.UNSCORABLE if why else InstanceState.SCORABLE
    if (row.exposure_id, row.state, row.reason) == (standing.exposure, state, why):
        return
    connection.execute(
        update(instance)
        .where(instance.c.id == row.id)
        .values(exposure_id=standing.exposure, state=state, reason=why)
    )
    if row.state == state:
        return
    if why:
        drop_pending(connection, row.id, why)
        return
    scored = (view.c.probability.is_not(None), ViewState.SCORED)
    # What was never scored cannot be any more where its pixels are gone.
    unscored, remark = ViewState.PENDING, None
    if row.deleted_at is not None:
        unscored, remark = ViewState.FAILED, PIXELS_DELETED
    connection.execute(
        update(view)
        .where(view.c.instance_id == row.id, view.c.state == ViewState.FAILED)
        .values(
            state=case(scored, else_=unscored),
            reason=case((view.c.probability.is_not(None), None), else_=remark),
            attempts=0,
        )
    )
