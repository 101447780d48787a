"""Filing a received instance into its study: one transaction, durable when it returns."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from triage.core.study import Instance, InstanceState, ReadingState, StudyStatus
from triage.core.worklist import Band, Cause, Move
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh
from triage.store.exposures import concerns_others, settle
from triage.store.instances import add_instance, replace_instance
from triage.store.tables import instance, study


class Outcome(StrEnum):
    """What filing an instance came to; all of them are a success for the sender."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same bytes were there: nothing changed
    REPLACED = "replaced"  # the same UID with other bytes: the new ones count


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


def file_instance(database: Database, received: Instance, now: datetime) -> Filed:
    """File *received* under its study.

    The same SOP Instance UID with the same bytes changes nothing. With other
    bytes the newest count, the former stay on disk, and the study reopens.

    Raises DatabaseUnavailable; then nothing was filed.
    """
    with database.writing() as connection:
        # Versions of one instance may come at once, and for different studies.
        database.take_turn(connection, f"instance {received.sop_instance_uid}")
        study_id = _open_study(connection, received, now)
        former = _current(connection, received.sop_instance_uid)
        if former is not None and former.digest == received.digest:
            return Filed(Outcome.DUPLICATE, reopened=False)
        if former is not None:
            replace_instance(connection, former.id)
        add_instance(connection, study_id, received, now, former.id if former else None)
        if former is not None or concerns_others(connection, study_id, received):
            settle(connection, study_id)
        same_pixels = former is not None and former.pixel_digest == received.pixel_digest
        grown = _grow(
            connection, study_id, received, now, unread=received.radiograph and not same_pixels
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
            instance.c.id, instance.c.study_id, instance.c.digest, instance.c.pixel_digest
        ).where(
            instance.c.sop_instance_uid == sop_instance_uid,
            instance.c.state != InstanceState.REPLACED,
        )
    ).one_or_none()


def _grow(
    connection: Connection, study_id: int, received: Instance, now: datetime, *, unread: bool
) -> _Grown:
    """Note the arrival in the study's row; say what it did to the study.

    Only a radiograph reopens it, whether it can be scored or not: a report that
    follows the reading must not bring the study back. *unread* says that a study
    that was read goes back on the list; a new header on the same pixels does not
    bring that about.
    """
    row = connection.execute(select(study).where(study.c.id == study_id)).one()
    reopened = row.completed_at is not None and received.radiograph
    values: dict[str, object] = {
        key: getattr(received, key)
        for key in ("accession_number", "patient_id", "patient_name", "study_description")
        if getattr(received, key)
    }
    if row.completed_at is None or reopened:
        values["last_received_at"] = now
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
        }
        record(connection, study_id, now, "image_after_reading", f"former finding: {row.finding}")
        values |= {"finding": None, "read_by": None, "read_at": None}
    if values:  # a report without texts, after the study is complete, changes nothing
        connection.execute(update(study).where(study.c.id == study_id).values(**values))
    return _Grown(reopened=reopened, unread_again=unread_again)
