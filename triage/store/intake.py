"""Filing a received instance into its study: one transaction, durable when it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from triage.core.audit import OURSELVES, AuditKind, sender_name
from triage.core.study import Instance, InstanceState, ReadingState, StudyStatus
from triage.core.worklist import Band, Cause, Move
from triage.store.audit import note
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh
from triage.store.exposures import concerns_others, settle
from triage.store.files import take_turn_on_file
from triage.store.instances import (
    add_former,
    add_instance,
    note_file_is_there,
    replace_instance,
    requeue,
    version,
)
from triage.store.spool import Kept
from triage.store.tables import ACCESSION_NUMBER, instance, study


class Outcome(StrEnum):
    """What filing an instance came to; all of them are a success for the sender."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same bytes were there: nothing changed
    RESTORED = "restored"  # the same bytes, whose file had gone: it is there again
    REPLACED = "replaced"  # the same UID with other bytes: the new ones count
    SUPERSEDED = "superseded"  # a file that was found, older than the bytes that count


@dataclass(frozen=True)
class Filed:
    """The answer of `file_instance`."""

    outcome: Outcome
    reopened: bool  # a complete study grows again
    moves: tuple[Move, ...] = ()  # of its study, and of the one that its instance was in


@dataclass(frozen=True, kw_only=True)
class _Grown:
    """What an arrival did to its study."""

    reopened: bool  # it was complete
    unread_again: bool  # it had been read


def file_instance(
    database: Database,
    received: Instance,
    now: datetime,
    *,
    write: Callable[[], Kept | None] = lambda: None,
    found: datetime | None = None,
) -> Filed:
    """File *received* under its study, as it came at *now*.

    The same SOP Instance UID with the same bytes changes nothing. With other
    bytes the newest count, the former stay on disk, and the study reopens.

    *write* writes its file where it is not, or no longer, in the spool, and says what
    was found there, then or before. It is called with the study locked: retention,
    which locks it too, may have deleted the file since it was written.

    *found* is given for a file of the spool without a row: when it was found;
    *now* is then when it came.

    Raises DatabaseUnavailable, or what *write* raises; then nothing was filed.
    """
    with database.writing() as connection:
        # Versions of one instance may come at once, and for different studies.
        database.take_turn(connection, f"instance {received.sop_instance_uid}")
        take_turn_on_file(database, connection, received.digest)
        study_id = _open_study(connection, received, now)
        kept = write()
        former = _current(connection, received.sop_instance_uid)
        if former is not None and former.digest == received.digest:
            filed = _file_again(connection, former, received, now, kept)
        elif former is not None and found and former.received_at > now:
            filed = _file_former(connection, study_id, received, now)
        else:
            filed = _file_new(connection, study_id, former, received, now, found=bool(found))
        if filed.outcome is not Outcome.DUPLICATE:
            if found:
                record(connection, study_id, found, "file_adopted", received.sop_instance_uid)
            _keep_for_a_while(connection, study_id, found or now)
            note(
                connection,
                study_id,
                AuditKind.ADOPTED if found else AuditKind.RECEIVED,
                OURSELVES
                if found
                else sender_name(received.calling_ae_title, received.calling_address),
                found or now,
                sop_instance_uid=received.sop_instance_uid,
                detail=filed.outcome,
            )
        return filed


def _file_new(
    connection: Connection,
    study_id: int,
    former: Row[*tuple[Any, ...]] | None,
    received: Instance,
    now: datetime,
    *,
    found: bool,
) -> Filed:
    """File bytes that count from now on."""
    if former is not None:
        replace_instance(connection, former.id)
    add_instance(connection, study_id, received, now, former.id if former else None)
    if former is not None or concerns_others(connection, study_id, received):
        settle(connection, study_id)
    same_pixels = former is not None and former.pixel_digest == received.pixel_digest
    grown = _grow(
        connection,
        study_id,
        received,
        now,
        unread=received.radiograph and not same_pixels,
        found=found,
    )
    derived = []
    if former is not None:
        record(connection, study_id, now, "instance_replaced", received.sop_instance_uid)
        if former.study_id != study_id:
            record(connection, former.study_id, now, "instance_replaced", "in another study")
            settle(connection, former.study_id)
            derived.append(refresh(connection, former.study_id, now, Cause.INSTANCE_REPLACED))
    derived.append(refresh(connection, study_id, now, _cause(grown, former is not None)))
    return Filed(
        Outcome.NEW if former is None else Outcome.REPLACED,
        reopened=grown.reopened,
        moves=tuple(each.move for each in derived if each.move),
    )


def _cause(grown: _Grown, replaced: bool) -> Cause:
    if grown.unread_again:
        return Cause.IMAGE_AFTER_READING
    if replaced:
        return Cause.INSTANCE_REPLACED
    return Cause.REOPENED if grown.reopened else Cause.RECEIVED


def _file_again(
    connection: Connection,
    former: Row[*tuple[Any, ...]],
    received: Instance,
    now: datetime,
    kept: Kept | None,
) -> Filed:
    """File bytes that are known: where their file had gone, what it was wanted for goes on."""
    restored = former.deleted_at is not None or (
        kept is not None and _was_lost(former, received, kept)
    )
    if not requeue(connection, former.id, everything=restored) and not restored:
        if former.size != received.size:  # of the file meta information around the same bytes
            note_file_is_there(connection, former.id, received.size)
        return Filed(Outcome.DUPLICATE, reopened=False)
    note_file_is_there(connection, former.id, received.size)
    record(connection, former.study_id, now, "file_restored", received.sop_instance_uid)
    move = refresh(connection, former.study_id, now, Cause.RECEIVED).move
    return Filed(Outcome.RESTORED, reopened=False, moves=(move,) if move else ())


def _was_lost(former: Row[*tuple[Any, ...]], received: Instance, kept: Kept) -> bool:
    """Say whether what was found where the file belongs was not what its row had promised."""
    # Another association may have brought the same object while this one looked for its file,
    # and then the row promised nothing yet.
    if kept.whole or kept.at <= former.received_at:
        return False
    # Of the row's size and not of the received one's, it differs by its file meta information.
    return bool(kept.found != former.size or former.size == received.size)


def _file_former(connection: Connection, study_id: int, received: Instance, now: datetime) -> Filed:
    """File bytes that were found, where newer ones of the instance count already."""
    if version(connection, received) is not None:  # another daemon found them too
        return Filed(Outcome.DUPLICATE, reopened=False)
    add_former(connection, study_id, received, now)
    return Filed(Outcome.SUPERSEDED, reopened=False)


def _keep_for_a_while(connection: Connection, study_id: int, now: datetime) -> None:
    """Let the time of a read study's pixel data begin again: some has come."""
    connection.execute(
        update(study)
        .where(study.c.id == study_id, study.c.reading_state == ReadingState.READ)
        .values(kept_since=now)
    )


def _open_study(connection: Connection, received: Instance, now: datetime) -> int:
    """Find or make the study's row and lock it, with that of the instance's former study."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    # Two associations may bring the first images of a study at once: one of
    # them makes the row, the other finds it.
    made = connection.execute(
        dialect.insert(study)
        .values(
            study_instance_uid=received.study_instance_uid,
            received_at=now,
            opened_at=now,
            last_received_at=now,
            waiting_since=now,
            status=StudyStatus.RECEIVING,
            views=0,
            views_scored=0,
            reading_state=ReadingState.UNREAD,
            image_after_reading=False,
            overdue=False,
            band=Band.NOT_SCORED,
            weight=0.0,
        )
        .on_conflict_do_nothing(index_elements=["study_instance_uid"])
        .returning(study.c.id)
    ).scalar()
    study_id: int = (
        made
        or connection.execute(
            select(study.c.id).where(study.c.study_instance_uid == received.study_instance_uid)
        ).scalar_one()
    )
    if made:
        record(connection, study_id, now, "received", received.calling_ae_title or None)
    former = connection.execute(
        select(instance.c.study_id).where(
            instance.c.sop_instance_uid == received.sop_instance_uid,
            instance.c.state != InstanceState.REPLACED,
        )
    ).scalar()
    lock_studies(connection, {study_id, former or study_id})
    return study_id


def _current(connection: Connection, sop_instance_uid: str) -> Row[*tuple[Any, ...]] | None:
    return connection.execute(
        select(
            instance.c.id,
            instance.c.study_id,
            instance.c.digest,
            instance.c.pixel_digest,
            instance.c.size,
            instance.c.received_at,
            instance.c.deleted_at,
        ).where(
            instance.c.sop_instance_uid == sop_instance_uid,
            instance.c.state != InstanceState.REPLACED,
        )
    ).one_or_none()


def _grow(
    connection: Connection,
    study_id: int,
    received: Instance,
    now: datetime,
    *,
    unread: bool,
    found: bool,
) -> _Grown:
    """Note the arrival in the study's row; say what it did to the study.

    Only a radiograph reopens it, whether it can be scored or not: a report that
    follows the reading must not bring the study back. *unread* says that a study
    that was read goes back on the list; a new header on the same pixels does not
    bring that about. *found* says that it came before what is known by now.
    """
    row = connection.execute(select(study).where(study.c.id == study_id)).one()
    reopened = row.completed_at is not None and received.radiograph
    values: dict[str, object] = {
        key: getattr(received, key)
        for key in ("accession_number", "patient_id", "patient_name", "study_description")
        if getattr(received, key)
    }
    if "accession_number" in values:
        values["accession_number"] = received.accession_number[:ACCESSION_NUMBER]
    if row.completed_at is None or reopened:
        values["last_received_at"] = max(now, row.last_received_at) if found else now
    if found and now < row.received_at:
        values["received_at"] = now
        if row.waiting_since == row.received_at:
            values["waiting_since"] = now
    if reopened:
        values |= {"opened_at": now, "completed_at": None}
        record(connection, study_id, now, "reopened", received.sop_instance_uid)
    unread_again = unread and row.reading_state == ReadingState.READ
    if unread_again:
        values |= {
            "reading_state": ReadingState.UNREAD,
            "image_after_reading": True,
            "waiting_since": now,
            "overdue": False,
            "claimed_by": None,
            "claimed_at": None,
            "kept_since": None,
        }
        record(connection, study_id, now, "image_after_reading", f"former finding: {row.finding}")
        values |= {"finding": None, "read_by": None, "read_at": None}
    if values:  # a report without texts, after the study is complete, changes nothing
        connection.execute(update(study).where(study.c.id == study_id).values(**values))
    return _Grown(reopened=reopened, unread_again=unread_again)
