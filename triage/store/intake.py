"""Filing a received instance into its study: one transaction, durable when it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from triage.core.audit import OURSELVES, AuditKind, sender_name
from triage.core.study import Instance, InstanceState
from triage.core.worklist import Cause, Move
from triage.store.audit import note
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh
from triage.store.exposures import concerns_others, settle
from triage.store.files import file_turn
from triage.store.growth import Grown, grow, keep_for_a_while, open_study
from triage.store.instances import (
    add_former,
    add_instance,
    note_file_is_there,
    replace_instance,
    requeue,
    version,
    was_restored,
)
from triage.store.spool import Kept
from triage.store.tables import instance

# Built once, for every image needs it; see `triage.store.derive`.
_CURRENT = select(
    instance.c.id,
    instance.c.study_id,
    instance.c.digest,
    instance.c.pixel_digest,
    instance.c.size,
    instance.c.received_at,
    instance.c.deleted_at,
).where(
    instance.c.sop_instance_uid == bindparam("uid"),
    instance.c.state != InstanceState.REPLACED,
)


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
        turn = f"instance {received.sop_instance_uid}"
        database.take_turn(connection, turn, file_turn(received.digest))
        former = _current(connection, received.sop_instance_uid)
        # Two studies are locked in their order, and so not before both are known.
        study_id, made = open_study(connection, received, now, lock=former is None)
        if former is not None:
            lock_studies(connection, {study_id, former.study_id})
        kept = write()
        if former is not None:  # and retention may have had it until the study was locked
            former = _current(connection, received.sop_instance_uid)
        if former is not None and former.digest == received.digest:
            filed = _file_again(connection, former, received, now, kept)
        elif former is not None and found and former.received_at > now:
            filed = _file_former(connection, study_id, received, now)
        else:
            filed = _file_new(connection, study_id, former, received, now, made=made, found=found)
        if filed.outcome is not Outcome.DUPLICATE:
            if found:
                record(connection, study_id, found, "file_adopted", received.sop_instance_uid)
            if filed.outcome in (Outcome.RESTORED, Outcome.SUPERSEDED):  # else it has grown
                keep_for_a_while(connection, study_id, found or now)
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
    made: bool,
    found: datetime | None,
) -> Filed:
    """File bytes that count from now on; *made* says that the study was made for them."""
    if former is not None:
        replace_instance(connection, former.id)
    add_instance(connection, study_id, received, now, former.id if former else None)
    if former is not None or concerns_others(connection, study_id, received, alone=made):
        settle(connection, study_id)
    same_pixels = former is not None and former.pixel_digest == received.pixel_digest
    grown = Grown(reopened=False, unread_again=False)
    if not made:
        grown = grow(
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


def _cause(grown: Grown, replaced: bool) -> Cause:
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
        kept is not None and _was_lost(connection, former, received, kept)
    )
    if not requeue(connection, former.id, everything=restored) and not restored:
        if former.size != received.size:  # of the file meta information around the same bytes
            note_file_is_there(connection, former.id, received.size)
        return Filed(Outcome.DUPLICATE, reopened=False)
    note_file_is_there(connection, former.id, received.size)
    record(connection, former.study_id, now, "file_restored", received.sop_instance_uid)
    move = refresh(connection, former.study_id, now, Cause.RECEIVED).move
    return Filed(Outcome.RESTORED, reopened=False, moves=(move,) if move else ())


def _was_lost(
    connection: Connection, former: Row[*tuple[Any, ...]], received: Instance, kept: Kept
) -> bool:
    """Say whether what was found where the file belongs was not what its row had promised."""
    # Another association may have brought the same object while this one looked for its file:
    # then the row promised nothing yet, or the other one has restored it.
    if kept.whole or kept.at <= former.received_at:
        return False
    if was_restored(connection, former.study_id, received.sop_instance_uid, kept.at):
        return False
    # Of the row's size and not of the received one's, it differs by its file meta information.
    return bool(kept.found != former.size or former.size == received.size)


def _file_former(connection: Connection, study_id: int, received: Instance, now: datetime) -> Filed:
    """File bytes that were found, where newer ones of the instance count already."""
    if version(connection, received) is not None:  # another daemon found them too
        return Filed(Outcome.DUPLICATE, reopened=False)
    add_former(connection, study_id, received, now)
    return Filed(Outcome.SUPERSEDED, reopened=False)


def _current(connection: Connection, sop_instance_uid: str) -> Row[*tuple[Any, ...]] | None:
    return connection.execute(_CURRENT, {"uid": sop_instance_uid}).one_or_none()
