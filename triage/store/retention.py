"""Which pixel data may go, and the rows that say that it is gone.

A file goes in two transactions. The first marks the rows and writes the audit
trail, the second deletes the files of rows that are still marked, with the study
locked: who receives the same bytes meanwhile locks it too, takes the mark away
and writes the file again. So no row ever promises a file that retention deleted;
a daemon that is killed between the two leaves a file too many, which
`triage.pipeline.reconcile` deletes. A study that became unread between the two
keeps what is left of its files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, case, exists, select, update

from triage.core.audit import OURSELVES, AuditKind
from triage.core.study import ReadingState, ViewState
from triage.core.worklist import Cause, Move
from triage.errors import SpoolUnavailable
from triage.store.audit import note
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh
from triage.store.instances import PIXELS_DELETED, note_file_is_there, requeue
from triage.store.spool import Spool
from triage.store.tables import instance, study, view

T = TypeVar("T")
FILES = 100  # instances a transaction, so that none is long


@dataclass(frozen=True, kw_only=True)
class Marked:
    """Files that belong to nobody any more."""

    study_id: int
    study_instance_uid: str
    accession_number: str | None
    digests: tuple[str, ...]
    size: int  # bytes of all of them


def mark_oldest(
    database: Database, now: datetime, *, why: str, before: datetime | None = None
) -> Marked | None:
    """Mark files of the study that was read longest ago; None when there is none.

    With *before*, of one read before then only. Of a large study it takes a part;
    call it again. Another daemon may do the same at once, and takes another study.
    """
    oldest = select(study).where(
        study.c.kept_since.is_not(None), study.c.reading_state == ReadingState.READ
    )
    if before is not None:
        oldest = oldest.where(study.c.kept_since < before)
    oldest = oldest.order_by(study.c.kept_since, study.c.id).limit(1)
    if database.is_sqlite:  # which begins a change by keeping all others from theirs
        with database.reading() as connection:  # most ticks find nothing
            if connection.execute(oldest).first() is None:
                return None
    with database.writing() as connection:
        row = connection.execute(oldest.with_for_update(skip_locked=True)).one_or_none()
        if row is None:
            return None
        files = connection.execute(
            select(instance.c.id, instance.c.digest, instance.c.size)
            .where(instance.c.study_id == row.id, instance.c.deleted_at.is_(None))
            .order_by(instance.c.id)
            .limit(FILES)
        ).all()
        marked = Marked(
            study_id=row.id,
            study_instance_uid=row.study_instance_uid,
            accession_number=row.accession_number,
            digests=tuple(file.digest for file in files),
            size=sum(file.size for file in files),
        )
        if files:
            _mark(connection, [file.id for file in files], now)
            detail = f"{len(files)} files, {marked.size} bytes, {why}"
            record(connection, row.id, now, "pixels_deleted", detail)
            note(connection, row.id, AuditKind.PIXELS_DELETED, OURSELVES, now, detail=detail)
            refresh(connection, row.id, now)
        left = exists().where(instance.c.study_id == row.id, instance.c.deleted_at.is_(None))
        connection.execute(update(study).where(study.c.id == row.id, ~left).values(kept_since=None))
    return marked


@dataclass(frozen=True, kw_only=True)
class Disposal:
    """What became of files that were marked."""

    deleted: int = 0
    kept: int = 0  # their study is no longer read
    failed: dict[str, str] = field(default_factory=dict)  # digests that stay marked, and why
    moves: tuple[Move, ...] = ()


def delete_marked(
    database: Database, spool: Spool, study_id: int, digests: Sequence[str], now: datetime
) -> Disposal:
    """Delete those of the study's files that are still marked, if it is still read.

    If it is not, those that are there count again, and what was never scored waits again.

    One file that cannot be deleted, or looked at, keeps no other from it. Raises
    DatabaseUnavailable; do it again then.
    """
    with database.writing() as connection:
        lock_studies(connection, [study_id])
        marked = connection.execute(
            select(
                instance.c.id, instance.c.digest, instance.c.size, instance.c.sop_instance_uid
            ).where(
                instance.c.study_id == study_id,
                instance.c.digest.in_(digests),
                instance.c.deleted_at.is_not(None),
            )
        ).all()
        if _is_read(connection, study_id):
            _, failed = _each([file.digest for file in marked], spool.delete)
            return Disposal(deleted=len(marked) - len(failed), failed=failed)
        found, failed = _each([file.digest for file in marked], spool.find)
        kept = [file for file in marked if found.get(file.digest) is not None]
        for file in kept:
            note_file_is_there(connection, file.id, file.size)
            requeue(connection, file.id, everything=True)
            record(connection, study_id, now, "file_restored", file.sop_instance_uid)
            note(
                connection,
                study_id,
                AuditKind.ADOPTED,
                OURSELVES,
                now,
                sop_instance_uid=file.sop_instance_uid,
                detail="restored",
            )
        move = refresh(connection, study_id, now, Cause.RECEIVED).move if kept else None
        return Disposal(kept=len(kept), failed=failed, moves=(move,) if move else ())


def _each(digests: Sequence[str], act: Callable[[str], T]) -> tuple[dict[str, T], dict[str, str]]:
    """Do something to each file; return what it came to, and where it cannot be done why not."""
    done: dict[str, T] = {}
    failed: dict[str, str] = {}
    for digest in digests:
        try:
            done[digest] = act(digest)
        except SpoolUnavailable as error:
            failed[digest] = str(error)
    return done, failed


def note_deleting_again(database: Database, study_id: int, size: int, now: datetime) -> None:
    """Write down that a file of *size* bytes, deleted before and there again, is to be deleted.

    It is written before the deletion, for what cannot be written down does not happen; and
    not at all where the study is not read, whose file `delete_marked` keeps.
    """
    with database.writing() as connection:
        lock_studies(connection, [study_id])
        if _is_read(connection, study_id):
            detail = f"1 files, {size} bytes, deleted before and there again"
            record(connection, study_id, now, "pixels_deleted", detail)
            note(connection, study_id, AuditKind.PIXELS_DELETED, OURSELVES, now, detail=detail)


def _is_read(connection: Connection, study_id: int) -> bool:
    state = select(study.c.reading_state).where(study.c.id == study_id)
    return bool(connection.execute(state).scalar_one() == ReadingState.READ)


def _mark(connection: Connection, instances: list[int], now: datetime) -> None:
    connection.execute(update(instance).where(instance.c.id.in_(instances)).values(deleted_at=now))
    # A view that waits, for a model or to be scored again, waits in vain from now on: it keeps
    # the score that it has. Its scorer, if one is at it, no longer holds it.
    scored = view.c.probability.is_not(None)
    connection.execute(
        update(view)
        .where(view.c.instance_id.in_(instances), view.c.state == ViewState.PENDING)
        .values(
            state=case((scored, ViewState.SCORED), else_=ViewState.FAILED),
            reason=case((scored, None), else_=PIXELS_DELETED),
            held_by=None,
            held_until=None,
        )
    )
