"""What the rows say of the files in the spool."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from triage.core.audit import OURSELVES, AuditKind
from triage.core.study import InstanceState
from triage.store.audit import note_other
from triage.store.database import Database
from triage.store.derive import lock_studies
from triage.store.tables import instance, study

BATCH = 200  # rows that are looked at again in one transaction


@dataclass(frozen=True)
class KnownFile:
    """What its row says of a file."""

    study_id: int
    size: int  # bytes
    deleted: bool  # by retention
    # That it must be there: not of a version that came again with other bytes, which no sender
    # has any more, nor of a study whose time is over.
    wanted: bool


@dataclass(frozen=True, kw_only=True)
class LostFile:
    """An acknowledged image that is not, or not as it came, where its row says."""

    study_instance_uid: str
    accession_number: str | None
    sop_instance_uid: str
    digest: str
    size: int | None  # bytes that are there instead; None where there is no file


def known_files(
    database: Database, folder: str, listed: Iterable[str], due_before: datetime
) -> dict[str, KnownFile]:
    """Return the files that belong into a folder of the spool, by their digests.

    Of those that retention has deleted, which grow with the years, only what is *listed*.
    Studies that were read before *due_before* need theirs no more.
    """
    columns = select(
        instance.c.digest,
        instance.c.study_id,
        instance.c.size,
        instance.c.state,
        instance.c.deleted_at,
        study.c.kept_since,
    ).join(study, instance.c.study_id == study.c.id)
    # Hexadecimal digits end before g, in every collation.
    belongs = (instance.c.digest >= folder) & (instance.c.digest < f"{folder}g")
    with database.reading() as connection:
        rows = list(connection.execute(columns.where(belongs, instance.c.deleted_at.is_(None))))
        others = sorted(set(listed) - {row.digest for row in rows})
        for start in range(0, len(others), BATCH):
            these = instance.c.digest.in_(others[start : start + BATCH])
            rows += connection.execute(columns.where(these))
    return {
        row.digest: KnownFile(
            study_id=row.study_id,
            size=row.size,
            deleted=row.deleted_at is not None,
            wanted=row.deleted_at is None
            and row.state != InstanceState.REPLACED
            and (row.kept_since is None or row.kept_since >= due_before),
        )
        for row in rows
    }


def lost_files(
    database: Database, digests: Sequence[str], size_of: Callable[[str], int | None]
) -> list[LostFile]:
    """Return those of the files that are really not as their rows say.

    Whoever changes a file of a row locks its study, and so does this look.
    """
    lost = []
    for start in range(0, len(digests), BATCH):
        these = instance.c.digest.in_(digests[start : start + BATCH])
        with database.writing() as connection:
            ids = connection.execute(select(instance.c.study_id).where(these)).scalars().all()
            lock_studies(connection, ids)
            rows = connection.execute(
                select(
                    study.c.study_instance_uid,
                    study.c.accession_number,
                    instance.c.sop_instance_uid,
                    instance.c.digest,
                    instance.c.size,
                )
                .join(study, instance.c.study_id == study.c.id)
                .where(these, instance.c.deleted_at.is_(None))
                .order_by(instance.c.id)
            ).all()
            lost += [
                LostFile(
                    study_instance_uid=row.study_instance_uid,
                    accession_number=row.accession_number,
                    sop_instance_uid=row.sop_instance_uid,
                    digest=row.digest,
                    size=there,
                )
                for row in rows
                if (there := size_of(row.digest)) != row.size
            ]
    return lost


def set_aside(
    database: Database, digest: str, why: str, now: datetime, move: Callable[[], bool]
) -> bool:
    """Have a file moved into quarantine that is no received object; say whether it was.

    It is not when it has a row by now, or *move* says that it is another file. Whoever files
    its bytes takes the same turn, finds the file gone then, and writes it again. The audit
    trail is written before: what cannot be written down does not happen.
    """
    with database.writing() as connection:
        if not _has_no_row(connection, database, digest):
            return False
        note_other(connection, AuditKind.QUARANTINED, OURSELVES, now, f"{digest}.dcm: {why}")
    with database.writing() as connection:
        return _has_no_row(connection, database, digest) and move()


def _has_no_row(connection: Connection, database: Database, digest: str) -> bool:
    """Say whether no row speaks of a file, and have it stay so until the transaction ends."""
    database.take_turn(connection, file_turn(digest))
    row = connection.execute(select(instance.c.id).where(instance.c.digest == digest))
    return row.first() is None


def file_turn(digest: str) -> str:
    """Name the turn of whoever files a file, or moves it away.

    It comes after the turn on an instance, where that is taken too.
    """
    return f"file {digest}"
