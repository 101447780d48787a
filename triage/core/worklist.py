"""The reading order.

Overdue studies first, by arrival; then abnormal ones by probability, highest
first; then those not scored, whatever the reason, by arrival; then normal ones
by arrival; ties by arrival, then Study Instance UID. A cap on the wait stands
above the network's opinion because prioritisation alone lengthens the worst
wait (Baltruschat et al. 2020).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

from triage.core.study import Label, StudyStatus


class Band(IntEnum):
    """The four bands of the worklist, in reading order; stored with each study."""

    OVERDUE = 0
    ABNORMAL = 1
    NOT_SCORED = 2
    NORMAL = 3


class Priority(StrEnum):
    """The values of Scheduled Procedure Step Priority (0074,1200), as DICOM UPS names them."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


PRIORITIES = {
    Band.OVERDUE: Priority.HIGH,
    Band.ABNORMAL: Priority.HIGH,
    Band.NOT_SCORED: Priority.MEDIUM,
    Band.NORMAL: Priority.LOW,
}


@dataclass(frozen=True, order=True)
class Place:
    """The stored part of the order key; arrival and UID follow it."""

    band: Band
    weight: float  # minus the probability among the abnormal, 0 elsewhere


def place(*, overdue: bool, label: Label | None, probability: float | None) -> Place:
    """Return the place of a study in the reading order."""
    if overdue:
        return Place(Band.OVERDUE, 0.0)
    if label is None or probability is None:
        return Place(Band.NOT_SCORED, 0.0)
    if label is Label.ABNORMAL:
        return Place(Band.ABNORMAL, -probability)
    return Place(Band.NORMAL, 0.0)


class Cause(StrEnum):
    """What moved a study on the worklist."""

    SCORED = "scored"
    NOT_SCORED = "not_scored"  # a view that had counted could not be scored again
    RECEIVED = "received"
    REOPENED = "reopened"
    INSTANCE_REPLACED = "instance_replaced"
    IMAGE_AFTER_READING = "image_after_reading"
    UNREAD = "unread"  # it had been marked as read by mistake
    OVERDUE = "overdue"
    NO_LONGER_OVERDUE = "no_longer_overdue"
    SCORER_CRASHED = "scorer_crashed"
    RESCORE = "rescore"
    DERIVED_AGAIN = "derived_again"  # whatever else changed what its row is made of


@dataclass(frozen=True, kw_only=True)
class Move:
    """A study's change of place on the worklist."""

    study_instance_uid: str
    accession_number: str | None
    before: Place | None  # None: it was off the list, read
    after: Place
    label: Label | None
    probability: float | None  # of the deciding group, as of now
    cause: Cause


@dataclass(frozen=True, kw_only=True)
class WorklistRow:
    """One row of the view `worklist`; the fields are its columns, in its order."""

    position: int | None  # 1 is next; None for a study that was read
    priority: Priority
    overdue: bool
    label: Label | None
    probability: float | None  # of the deciding group, 0 to 1
    provisional: bool
    status: StudyStatus
    reason: str | None
    study_type: str | None
    views: int
    views_scored: int
    accession_number: str | None
    patient_id: str | None
    patient_name: str | None
    study_instance_uid: str
    study_description: str | None
    received_at: datetime  # first acknowledged image
    completed_at: datetime | None
    waiting_seconds: float
    claimed_by: str | None
    model: str | None
