"""What the department's figures are made from, and what they are: records alone."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from triage.core.agreement import Kappa
from triage.core.drift import Distribution
from triage.core.study import Finding, Label, StudyStatus
from triage.core.worklist import Band, Priority


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The studies of one band of the worklist."""

    band: Band
    studies: int
    claimed: int
    since: datetime  # since when the first of them waits


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A study that came, as it is now."""

    received_at: datetime
    study_type: str | None
    station: str | None
    status: StudyStatus
    code: str | None  # of its reason, a `triage.core.reasons.Code`
    label: Label | None
    probability: float | None
    model: str | None
    views: int


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A study that was read, as it is now."""

    waiting_since: datetime  # its first image, or the one that came after an earlier reading
    read_at: datetime
    study_type: str | None
    label: Label | None
    finding: Finding | None  # None: the reader entered none
    model: str | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the figures are made from."""

    queues: tuple[Queue, ...]
    arrivals: tuple[Arrival, ...]
    readings: tuple[Reading, ...]
    since: datetime  # they are whole from then on


class Kind(StrEnum):
    """Why studies wait where they do, in the order of reading."""

    OVERDUE = "overdue"
    ABNORMAL = "abnormal"
    NOT_SCORED = "not_scored"
    NORMAL = "normal"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Studies that wait; `longest_seconds` is None where none does."""

    kind: Kind
    priority: Priority
    studies: int
    claimed: int
    longest_seconds: float | None


class By(StrEnum):
    """Who calls a study abnormal or normal."""

    MODEL = "model"
    READER = "reader"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """How long the studies took that were read in some time, in seconds; None of no study."""

    studies: int
    median_seconds: float | None
    ninety_seconds: float | None  # nine of ten were read within
    longest_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class TurnAround:
    """From arrival to reading, for the studies that *by* calls abnormal or normal."""

    by: By
    of: str  # `abnormal`, `normal`, `not_scored` by the model, `not_entered` by the reader
    today: Wait
    week: Wait


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far the model and the readers agree on the studies of a type; None: on all of them."""

    study_type: str | None
    studies: int
    both_abnormal: int
    model_alone: int  # abnormal by the model, normal by the reader
    reader_alone: int
    both_normal: int
    kappa: Kappa | None  # None where it is not defined


@dataclass(frozen=True, kw_only=True)
class Day:
    """What came and what was read on a day."""

    begin: datetime
    received: int
    scored: int  # of those received
    views: int  # of those received
    read: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Studies that the model has not seen, or not wholly, for one reason; by arrival."""

    code: str
    today: int
    week: int
    all: int


@dataclass(frozen=True, kw_only=True)
class Department:
    """The figures. Days and weeks begin where the reader is (`zone`), weeks on Monday."""

    as_of: datetime
    zone: str
    today: datetime
    week: datetime
    since: datetime  # what is not of today or this week begins then
    model: str | None  # whose agreement and scores are shown: the one that scored last
    studies_waiting: int
    longest_wait_seconds: float | None  # None where nothing waits
    waiting: tuple[Waiting, ...]
    turn_around: tuple[TurnAround, ...]
    agreement: tuple[Agreement, ...]  # over all types last
    scores_by_type: tuple[Distribution, ...]
    scores_by_station: tuple[Distribution, ...]  # that with the most studies first
    days: tuple[Day, ...]
    received: int  # studies since `since`
    failures: tuple[Failure, ...]
