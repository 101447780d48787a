"""Which pixel data may go, and the rows that say that it is gone.

A file goes in two transactions. The first marks the rows and writes the audit
trail, the second deletes the files of rows that are still marked, with the study
locked: who receives the same bytes meanwhile locks it too, takes the mark away
and writes the file again. So no row ever promises a file that retention deleted;
a daemon that is killed between the two leaves a file too many, which
`triage.pipeline.reconcile` deletes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, case, exists, select, update

from triage.core.audit import OURSELVES, AuditKind
from triage.core.study import ReadingState, ViewState
from triage.store.audit import note
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh
from triage.store.instances import PIXELS_DELETED
from triage.store.tables import instance, study, view

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


def delete_marked(
    database: Database, study_id: int, digests: Sequence[str], delete: Callable[[str], None]
) -> int:
    """Delete those of the study's files that are still marked; return how many that were.

    Raises DatabaseUnavailable, or what *delete* raises; do it again then.
    """
    with database.writing() as connection:
        lock_studies(connection, [study_id])
        marked = connection.execute(
            select(instance.c.digest).where(
                instance.c.study_id == study_id,
                instance.c.digest.in_(digests),
                instance.c.deleted_at.is_not(None),
            )
        ).scalars()
        count = 0
        for digest in marked:
            delete(digest)
            count += 1
        return count


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
