"""Filing a received instance into its study: one transaction, durable when it returns."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, case, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from triage.core.reasons import Code, reason
from triage.core.study import Instance, InstanceState, ReadingState, StudyStatus, ViewState
from triage.core.worklist import Band
from triage.store.database import Database
from triage.store.derive import lock_studies, record, refresh
from triage.store.tables import instance, study, view

SUPERSEDED = reason(Code.INSTANCE_REPLACED, "the same SOP instance came again with other bytes")

NO_SCORE: dict[str, object] = {"probability": None, "threshold": None, "model": None}


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
            _replace(connection, former)
        _add(connection, study_id, received, now, former)
        same_pixels = former is not None and former.pixel_digest == received.pixel_digest
        reopened = _grow(
            connection, study_id, received, now, unread=received.radiograph and not same_pixels
        )
        if former is not None:
            record(connection, study_id, now, "instance_replaced", received.sop_instance_uid)
            if former.study_id != study_id:
                record(connection, former.study_id, now, "instance_replaced", "in another study")
                refresh(connection, former.study_id, now)
        refresh(connection, study_id, now)
        return Filed(Outcome.NEW if former is None else Outcome.REPLACED, reopened=reopened)


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


def _replace(connection: Connection, former: Row[*tuple[Any, ...]]) -> None:
    connection.execute(
        update(instance).where(instance.c.id == former.id).values(state=InstanceState.REPLACED)
    )
    connection.execute(
        update(view)
        .where(view.c.instance_id == former.id, view.c.state == ViewState.PENDING)
        .values(state=ViewState.FAILED, reason=SUPERSEDED)
    )


def _add(
    connection: Connection,
    study_id: int,
    received: Instance,
    now: datetime,
    former: Row[*tuple[Any, ...]] | None,
) -> None:
    state = InstanceState.SCORABLE if received.frames else InstanceState.UNSCORABLE
    # The bytes may be those of a still earlier version that comes back.
    again = connection.execute(
        select(instance.c.id).where(
            instance.c.sop_instance_uid == received.sop_instance_uid,
            instance.c.digest == received.digest,
        )
    ).scalar()
    if again is not None:
        connection.execute(
            update(instance)
            .where(instance.c.id == again)
            .values(state=state, reason=received.reason, frames=received.frames)
        )
        revived = connection.execute(
            update(view)
            .where(view.c.instance_id == again)
            .values(
                state=case(
                    (view.c.state == ViewState.FAILED, ViewState.PENDING), else_=view.c.state
                ),
                reason=None,
                attempts=0,
                interruptions=0,
            )
        )
        if not revived.rowcount:  # it was not for the network then, by the settings of that day
            _add_views(connection, study_id, again, received, former)
        return
    instance_id = connection.execute(
        insert(instance)
        .values(
            study_id=study_id,
            sop_instance_uid=received.sop_instance_uid,
            digest=received.digest,
            pixel_digest=received.pixel_digest,
            series_instance_uid=received.series_instance_uid,
            sop_class_uid=received.sop_class_uid,
            transfer_syntax_uid=received.transfer_syntax_uid,
            modality=received.modality,
            body_part=received.body_part,
            study_type=received.study_type,
            side=received.side,
            frames=received.frames,
            state=state,
            reason=received.reason,
            size=received.size,
            calling_ae_title=received.calling_ae_title,
            received_at=now,
        )
        .returning(instance.c.id)
    ).scalar_one()
    _add_views(connection, study_id, instance_id, received, former)


def _add_views(
    connection: Connection,
    study_id: int,
    instance_id: int,
    received: Instance,
    former: Row[*tuple[Any, ...]] | None,
) -> None:
    if received.frames:
        kept = _former_scores(connection, former)
        connection.execute(
            insert(view),
            [
                {
                    "study_id": study_id,
                    "instance_id": instance_id,
                    "frame": frame,
                    "state": ViewState.PENDING,
                    "attempts": 0,
                    "interruptions": 0,
                    **kept.get(frame, NO_SCORE),
                }
                for frame in range(1, received.frames + 1)
            ],
        )


def _former_scores(
    connection: Connection, former: Row[*tuple[Any, ...]] | None
) -> dict[int, dict[str, object]]:
    """Return what the replaced instance's views scored, by frame.

    It counts until the new bytes are scored, so that a study which stood first
    does not fall back while they wait.
    """
    if former is None:
        return {}
    rows = connection.execute(
        select(view.c.frame, view.c.probability, view.c.threshold, view.c.model).where(
            view.c.instance_id == former.id, view.c.probability.is_not(None)
        )
    ).mappings()
    return {row["frame"]: {key: row[key] for key in NO_SCORE} for row in rows}


def _grow(
    connection: Connection, study_id: int, received: Instance, now: datetime, *, unread: bool
) -> bool:
    """Note the arrival in the study's row; return whether it reopened a complete study.

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
    if unread and row.reading_state == ReadingState.READ:
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
    return reopened
