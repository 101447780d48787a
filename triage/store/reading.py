"""The reader's side: claim, release, read, and back when it was a mistake.

*operator* is who asks for it, where that is another than the reader; the audit
trail names both.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from triage.core.audit import AuditKind
from triage.core.study import ReadingState
from triage.core.worklist import Cause, Move
from triage.errors import StudyClaimed
from triage.store.audit import note
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh
from triage.store.tables import history, study


def claim(
    database: Database, study_id: int, reader: str, now: datetime, operator: str = ""
) -> None:
    """Claim the study for *reader*; claiming one's own again changes nothing.

    Raises StudyClaimed, naming the holder, when another reader has it, or when
    it was read already.
    """
    with database.writing() as connection:
        row = _locked(connection, study_id)
        if row.reading_state == ReadingState.READ:
            raise StudyClaimed(_read_by(row))
        if row.reading_state == ReadingState.CLAIMED:
            if row.claimed_by == reader:
                return
            raise StudyClaimed(f"{row.study_instance_uid} is claimed by {row.claimed_by}")
        _change(
            connection,
            study_id,
            reading_state=ReadingState.CLAIMED,
            claimed_by=reader,
            claimed_at=now,
        )
        record(connection, study_id, now, "claimed", actor=reader)
        note(connection, study_id, AuditKind.CLAIMED, _actor(reader, operator), now)


def release(
    database: Database, study_id: int, reader: str, now: datetime, operator: str = ""
) -> bool:
    """Give up a claim, and say whether there was one; an unclaimed study stays as it is.

    Raises StudyClaimed, naming the holder, when another reader has it.
    """
    with database.writing() as connection:
        row = _locked(connection, study_id)
        if row.reading_state != ReadingState.CLAIMED:
            return False
        if row.claimed_by != reader:
            raise StudyClaimed(
                f"{row.study_instance_uid} is claimed by {row.claimed_by}; "
                f"to release it for them, add --by {row.claimed_by!r}"
            )
        _change(
            connection,
            study_id,
            reading_state=ReadingState.UNREAD,
            claimed_by=None,
            claimed_at=None,
        )
        record(connection, study_id, now, "released", actor=_actor(reader, operator))
        note(connection, study_id, AuditKind.RELEASED, _actor(reader, operator), now)
        return True


def mark_read(
    database: Database,
    study_id: int,
    reader: str,
    finding: str | None,
    now: datetime,
    operator: str = "",
) -> None:
    """Take the study off the worklist, with the reader's own *finding* where it was given.

    A claim is not needed, and one's own finding may be said again, otherwise. Raises
    StudyClaimed, naming the other, when another reader has it or has read it.
    """
    with database.writing() as connection:
        row = _locked(connection, study_id)
        if row.reading_state == ReadingState.READ and row.read_by != reader:
            raise StudyClaimed(f"{_read_by(row)}; triage unread puts it back")
        if row.reading_state == ReadingState.CLAIMED and row.claimed_by != reader:
            raise StudyClaimed(f"{row.study_instance_uid} is claimed by {row.claimed_by}")
        _change(
            connection,
            study_id,
            reading_state=ReadingState.READ,
            claimed_by=None,
            claimed_at=None,
            read_by=reader,
            read_at=now,
            finding=finding,
            kept_since=now,
            image_after_reading=False,
        )
        record(connection, study_id, now, "read", finding, actor=reader)
        note(connection, study_id, AuditKind.READ, _actor(reader, operator), now, detail=finding)
        refresh(connection, study_id, now)


def mark_unread(
    database: Database,
    study_id: int,
    reader: str,
    now: datetime,
    operator: str = "",
    *,
    of: str | None = None,
) -> Move | None:
    """Put a study that was read back on the worklist, at the place and with the wait that it had.

    For what was marked by mistake: anybody may, whoever read it, because nothing is hidden by it.
    The former finding stays in the history. Return where it stands now, to be logged; None where
    it was not read, and nothing has changed.

    *of* is whose reading is meant. Raises StudyClaimed, naming the other, when another has read it.
    """
    with database.writing() as connection:
        row = _locked(connection, study_id)
        if row.reading_state != ReadingState.READ:
            return None
        if of not in (None, row.read_by):
            raise StudyClaimed(_read_by(row))
        _change(
            connection,
            study_id,
            reading_state=ReadingState.UNREAD,
            read_by=None,
            read_at=None,
            finding=None,
            kept_since=None,
            image_after_reading=_was_late(connection, study_id),
        )
        detail = ", ".join(filter(None, (f"was read by {row.read_by}", row.finding)))
        record(connection, study_id, now, "unread", detail, actor=reader)
        note(connection, study_id, AuditKind.UNREAD, _actor(reader, operator), now, detail=detail)
        return refresh(connection, study_id, now, Cause.UNREAD).move


def _was_late(connection: Connection, study_id: int) -> bool:
    """Say whether a study that is read had come back for an image after a reading before."""
    kinds = connection.execute(
        select(history.c.kind)
        .where(history.c.study_id == study_id)
        .where(history.c.kind.in_(["image_after_reading", "read", "unread"]))
        .order_by(history.c.id)
    ).scalars()
    was_late = late = read = False
    for kind in kinds:
        if kind == "image_after_reading":
            late, read = True, False
        elif kind == "unread":
            late, read = was_late, False
        else:
            was_late = was_late if read else late
            late, read = False, True
    return was_late


def _read_by(row: Row[*tuple[Any, ...]]) -> str:
    return f"{row.study_instance_uid} was read by {row.read_by} at {row.read_at:%Y-%m-%d %H:%M} UTC"


def _actor(reader: str, operator: str) -> str:
    return reader if operator in ("", reader) else f"{operator} for {reader}"


def _locked(connection: Connection, study_id: int) -> Row[*tuple[Any, ...]]:
    lock_studies(connection, [study_id])
    return connection.execute(
        select(
            study.c.study_instance_uid,
            study.c.reading_state,
            study.c.claimed_by,
            study.c.read_by,
            study.c.read_at,
            study.c.finding,
        ).where(study.c.id == study_id)
    ).one()


def _change(connection: Connection, study_id: int, **values: object) -> None:
    connection.execute(update(study).where(study.c.id == study_id).values(**values))
