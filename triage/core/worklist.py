"""The reading order.

Overdue studies first, by arrival; then abnormal ones by probability, highest
first; then those not scored, whatever the reason, by arrival; then normal ones
by arrival; ties by arrival, then Study Instance UID. A cap on the wait stands
above the network's opinion because prioritisation alone lengthens the worst
wait (Baltruschat et al. 2020).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from triage.core.study import Label


class Band(IntEnum):
    """The four bands of the worklist, in reading order; stored with each study."""

    OVERDUE = 0
    ABNORMAL = 1
    NOT_SCORED = 2
    NORMAL = 3


@dataclass(frozen=True, order=True)
class Place:
    """The stored part of the order key; arrival and UID follow it."""

    band: Band
    weight: float  # minus the probability among the abnormal, 0 elsewhere


def is_overdue(waiting_since: datetime, now: datetime, max_wait: float) -> bool:
    """Say whether a study has waited longer than *max_wait* seconds; 0 turns the cap off."""
    return max_wait > 0 and (now - waiting_since).total_seconds() > max_wait


def place(*, overdue: bool, label: Label | None, probability: float | None) -> Place:
    """Return the place of a study in the reading order."""
    if overdue:
        return Place(Band.OVERDUE, 0.0)
    if label is None or probability is None:
        return Place(Band.NOT_SCORED, 0.0)
    if label is Label.ABNORMAL:
        return Place(Band.ABNORMAL, -probability)
    return Place(Band.NORMAL, 0.0)
