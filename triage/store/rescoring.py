"""Putting a study's views into the queue again, by what its files say today."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from triage.core.audit import AuditKind
from triage.core.study import Instance, InstanceState
from triage.core.worklist import Cause, Move
from triage.store.audit import note
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh
from triage.store.exposures import settle
from triage.store.instances import QUEUED, add_views, drop_pending, judge_instance
from triage.store.tables import instance, view


@dataclass(frozen=True)
class StoredFile:
    """One current instance and the name of its file in the spool."""

    instance_id: int
    sop_instance_uid: str
    digest: str
    deleted: bool  # by retention: it can be scored no more


def files_of(database: Database, study_id: int) -> list[StoredFile]:
    """Return the files of the study's instances, those that came again left out."""
    with database.reading() as connection:
        rows = connection.execute(
            select(
                instance.c.id,
                instance.c.sop_instance_uid,
                instance.c.digest,
                instance.c.deleted_at,
            )
            .where(instance.c.study_id == study_id, instance.c.state != InstanceState.REPLACED)
            .order_by(instance.c.id)
        ).all()
    return [
        StoredFile(row.id, row.sop_instance_uid, row.digest, row.deleted_at is not None)
        for row in rows
    ]


def rescore_study(
    database: Database, study_id: int, today: Mapping[int, Instance], now: datetime, by: str
) -> Move | None:
    """Queue the study's views again; their former scores stay until the new ones come.

    Those whose pixel data retention has deleted keep their scores for good. Returns
    the study's move, should another judgement of what is in it move it at once.

    *today* says, by row id, what the headers mean by the rules and settings of
    today; an instance that is not in it (its file is gone) stays as it was judged.
    """
    with database.writing() as connection:
        lock_studies(connection, [study_id])
        for instance_id, judged in today.items():
            _judge(connection, study_id, instance_id, judged)
        _queue(connection, study_id)
        settle(connection, study_id)
        record(connection, study_id, now, "rescore", actor=by)
        note(connection, study_id, AuditKind.RESCORED, by, now)
        return refresh(connection, study_id, now, Cause.RESCORE).move


def _judge(connection: Connection, study_id: int, instance_id: int, judged: Instance) -> None:
    """Store today's verdict on an instance, unless it came again or lost its file meanwhile."""
    counts = select(instance.c.id).where(
        instance.c.id == instance_id,
        instance.c.state != InstanceState.REPLACED,
        instance.c.deleted_at.is_(None),
    )
    if connection.execute(counts).first() is None:
        return
    judge_instance(connection, instance_id, judged)
    views = select(view.c.id).where(view.c.instance_id == instance_id).limit(1)
    if not judged.frames:
        drop_pending(connection, instance_id, judged.reason)
    elif connection.execute(views).first() is None:
        add_views(connection, study_id, instance_id, judged.frames)


def _queue(connection: Connection, study_id: int) -> None:
    scorable = select(instance.c.id).where(
        instance.c.study_id == study_id,
        instance.c.state == InstanceState.SCORABLE,
        instance.c.deleted_at.is_(None),
    )
    connection.execute(update(view).where(view.c.instance_id.in_(scorable)).values(**QUEUED))


def rescorable_study_ids(database: Database) -> list[int]:
    """Return every study of whose pixel data something is left, the earliest first."""
    with database.reading() as connection:
        found = connection.execute(
            select(instance.c.study_id).where(instance.c.deleted_at.is_(None))
        )
        # Sorted here: SQLite would walk over every instance to have them in that order.
        return sorted(set(found.scalars()))
