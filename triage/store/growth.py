"""The row of a study as its images arrive: made, grown, reopened, unread again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from triage.core.study import Instance, ReadingState, StudyStatus
from triage.core.worklist import Band
from triage.store.derive import STUDY, record
from triage.store.tables import ACCESSION_NUMBER, study

# Made once; every image asks them.
_KNOWN = select(study.c.id).where(study.c.study_instance_uid == bindparam("uid"))
_KNOWN_LOCKED = _KNOWN.with_for_update()
# Two associations may bring the first images of a study at once: one of them makes the row, the
# other finds it.
_MAKE = {
    dialect: kind.insert(study)
    .on_conflict_do_nothing(index_elements=["study_instance_uid"])
    .returning(study.c.id)
    for dialect, kind in (("sqlite", sqlite), ("postgresql", postgresql))
}
_GROW = update(study).where(study.c.id == bindparam("of_study"))


@dataclass(frozen=True, kw_only=True)
class Grown:
    """What an arrival did to its study."""

    reopened: bool  # it was complete
    unread_again: bool  # it had been read


def open_study(
    connection: Connection, received: Instance, now: datetime, *, lock: bool
) -> tuple[int, bool]:
    """Find or make the row of the received instance's study; say whether it was made.

    With *lock* it is locked for this transaction, as whoever made it has it anyway.
    """
    uid = {"uid": received.study_instance_uid}
    study_id: int | None = connection.execute(_KNOWN_LOCKED if lock else _KNOWN, uid).scalar()
    if study_id is not None:
        return study_id, False
    study_id = connection.execute(
        _MAKE[connection.dialect.name],
        {
            "study_instance_uid": received.study_instance_uid,
            # Who sent it, until an image says more: often that is the modality itself.
            "station": received.calling_ae_title or None,
            **_said(received),
            "received_at": now,
            "opened_at": now,
            "last_received_at": now,
            "waiting_since": now,
            "status": StudyStatus.RECEIVING,
            "views": 0,
            "views_scored": 0,
            "reading_state": ReadingState.UNREAD,
            "image_after_reading": False,
            "overdue": False,
            "band": Band.NOT_SCORED,
            "weight": 0.0,
        },
    ).scalar()
    if study_id is None:
        return connection.execute(_KNOWN_LOCKED if lock else _KNOWN, uid).scalar_one(), False
    record(connection, study_id, now, "received", received.calling_ae_title or None)
    return study_id, True


def grow(
    connection: Connection,
    study_id: int,
    received: Instance,
    now: datetime,
    *,
    unread: bool,
    found: datetime | None,
) -> Grown:
    """Note the arrival in the study's row; say what it did to the study.

    Only a radiograph reopens it, whether it can be scored or not: a report that
    follows the reading must not bring the study back. *unread* says that a study
    that was read goes back on the list; a new header on the same pixels does not
    bring that about. *found* is given for a file of the spool without a row: when it was
    found; it may have come, at *now*, before what is known by now.
    """
    row = connection.execute(STUDY, {"study": study_id}).one()
    reopened = row.completed_at is not None and received.radiograph
    values = _texts(row, received, older=bool(found) and now < row.last_received_at)
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
        record(
            connection,
            study_id,
            now,
            "image_after_reading",
            f"former finding: {row.finding or 'none entered'}",
        )
        values |= {"finding": None, "read_by": None, "read_at": None}
    elif row.reading_state == ReadingState.READ:
        values["kept_since"] = found or now
    if values:  # a report without texts, after the study is complete, changes nothing
        connection.execute(_GROW, {"of_study": study_id, **values})
    return Grown(reopened=reopened, unread_again=unread_again)


def _texts(row: Row[*tuple[Any, ...]], received: Instance, *, older: bool) -> dict[str, object]:
    """Return what the header says of the study: the newest wins, and an *older* one fills gaps."""
    known = row._mapping
    return {key: value for key, value in _said(received).items() if not (older and known[key])}


def _said(received: Instance) -> dict[str, object]:
    """Return what the header says of the study."""
    said = {
        "accession_number": received.accession_number[:ACCESSION_NUMBER],
        "patient_id": received.patient_id,
        "patient_name": received.patient_name,
        "study_description": received.study_description,
        # What made a report says nothing of the images.
        "station": received.station if received.radiograph else "",
    }
    return {key: value for key, value in said.items() if value}


def keep_for_a_while(connection: Connection, study_id: int, now: datetime) -> None:
    """Let the time of a read study's pixel data begin again: some has come."""
    connection.execute(
        update(study)
        .where(study.c.id == study_id, study.c.reading_state == ReadingState.READ)
        .values(kept_since=now)
    )
