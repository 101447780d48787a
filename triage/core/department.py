"""What is going on in the department, as figures: who waits, how long it took, who agrees."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import median, quantiles

from triage.core.agreement import Confusion, Kappa
from triage.core.drift import Distribution, Scored, distributions
from triage.core.periods import Periods, which
from triage.core.reasons import Code
from triage.core.study import Finding, Label, StudyStatus
from triage.core.studytype import StudyType
from triage.core.worklist import PRIORITIES, Band, Priority


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


def department(facts: Facts, when: Periods, zone: str) -> Department:
    """Make the figures of *facts*, which begin with the first of the periods."""
    # Those that came last come last; where the clock was set, some are from the future.
    scored = [each for each in facts.arrivals if each.model and each.probability is not None]
    newest = max(scored, key=lambda each: each.received_at, default=None)
    model = newest.model if newest else None
    final = [a for a in scored if a.model == model and a.status is StudyStatus.SCORED]
    stations = Counter(each.station for each in final)
    waiting = tuple(_waiting(facts.queues, when.now))
    waits = [each.longest_seconds for each in waiting if each.longest_seconds is not None]
    return Department(
        as_of=when.now,
        zone=zone,
        today=when.today,
        week=when.week,
        since=facts.since,
        model=model,
        studies_waiting=sum(each.studies for each in waiting),
        longest_wait_seconds=max(waits, default=None),
        waiting=waiting,
        turn_around=tuple(_turn_around(facts.readings, when)),
        agreement=tuple(_agreement([r for r in facts.readings if r.model == model])),
        scores_by_type=_scores(final, lambda each: each.study_type, list(StudyType), when),
        scores_by_station=_scores(
            final, lambda each: each.station, [name for name, _ in stations.most_common()], when
        ),
        days=tuple(_days(facts, when)),
        received=len(facts.arrivals),
        failures=tuple(_failures(facts.arrivals, when)),
    )


def _waiting(queues: Iterable[Queue], now: datetime) -> Iterable[Waiting]:
    of_band = {queue.band: queue for queue in queues}
    for band in Band:
        queue = of_band.get(band)
        yield Waiting(
            kind=Kind[band.name],
            priority=PRIORITIES[band],
            studies=queue.studies if queue else 0,
            claimed=queue.claimed if queue else 0,
            longest_seconds=_seconds(queue.since, now) if queue else None,
        )


def _seconds(begin: datetime, end: datetime) -> float:
    """Return the seconds between two moments; a clock that was set makes none negative."""
    return max(0.0, (end - begin).total_seconds())


def _turn_around(readings: Sequence[Reading], when: Periods) -> Iterable[TurnAround]:
    kinds: list[tuple[By, str, Callable[[Reading], bool]]] = [
        (By.MODEL, "abnormal", lambda each: each.label is Label.ABNORMAL),
        (By.MODEL, "normal", lambda each: each.label is Label.NORMAL),
        (By.MODEL, "not_scored", lambda each: each.label is None),
        (By.READER, "abnormal", lambda each: each.finding is Finding.ABNORMAL),
        (By.READER, "normal", lambda each: each.finding is Finding.NORMAL),
        (By.READER, "not_entered", lambda each: each.finding is None),
    ]
    week = [each for each in readings if each.read_at >= when.week]
    for by, of, belongs in kinds:
        some = [each for each in week if belongs(each)]
        yield TurnAround(
            by=by,
            of=of,
            today=_wait(each for each in some if each.read_at >= when.today),
            week=_wait(some),
        )


def _wait(readings: Iterable[Reading]) -> Wait:
    waits = [_seconds(each.waiting_since, each.read_at) for each in readings]
    return Wait(
        studies=len(waits),
        median_seconds=median(waits) if waits else None,
        ninety_seconds=quantiles(waits * 2 if len(waits) == 1 else waits, n=10, method="inclusive")[
            -1
        ]
        if waits
        else None,
        longest_seconds=max(waits, default=None),
    )


def _agreement(readings: Iterable[Reading]) -> Iterable[Agreement]:
    both = [each for each in readings if each.finding and each.label]
    by_type = defaultdict(list)
    for each in both:
        by_type[each.study_type].append(each)
    for part in StudyType:
        if part in by_type:
            yield _agree(part, by_type[part])
    yield _agree(None, both)


def _agree(part: StudyType | None, readings: Iterable[Reading]) -> Agreement:
    counted = Counter((str(each.label), str(each.finding)) for each in readings)
    # What the reader says stands where others have the truth; kappa is the same either way.
    counts = Confusion(
        tp=counted["abnormal", "abnormal"],
        fp=counted["abnormal", "normal"],
        fn=counted["normal", "abnormal"],
        tn=counted["normal", "normal"],
    )
    return Agreement(
        study_type=part,
        studies=counts.total,
        both_abnormal=counts.tp,
        model_alone=counts.fp,
        reader_alone=counts.fn,
        both_normal=counts.tn,
        kappa=counts.kappa,
    )


def _scores(
    arrivals: Iterable[Arrival],
    key: Callable[[Arrival], str | None],
    order: Sequence[str | None],
    when: Periods,
) -> tuple[Distribution, ...]:
    groups = defaultdict[str | None, list[Scored]](list)
    for each in arrivals:
        week = which(when.weeks, each.received_at)
        if week is not None and each.probability is not None:
            groups[key(each)].append(
                Scored(
                    week=week,
                    probability=each.probability,
                    abnormal=each.label is Label.ABNORMAL,
                )
            )
    # One of no known type, which `study.unknown_part = score` admits, comes last.
    names = [*(name for name in order if name in groups)]
    names += [name for name in groups if name not in names]
    return tuple(distributions({name: groups[name] for name in names}, when.weeks))


def _days(facts: Facts, when: Periods) -> Iterable[Day]:
    came = Counter[int | None]()
    scored, views, read = came.copy(), came.copy(), came.copy()
    for each in facts.arrivals:
        day = which(when.days, each.received_at)
        came[day] += 1
        scored[day] += each.label is not None
        views[day] += each.views
    for reading in facts.readings:
        read[which(when.days, reading.read_at)] += 1
    for number, begin in enumerate(when.days):
        yield Day(
            begin=begin,
            received=came[number],
            scored=scored[number],
            views=views[number],
            read=read[number],
        )


def _failures(arrivals: Iterable[Arrival], when: Periods) -> Iterable[Failure]:
    seen = [
        each
        for each in arrivals
        if each.code and (each.probability is None or each.code == Code.PARTLY_SCORED)
    ]
    today = Counter(each.code for each in seen if each.received_at >= when.today)
    week = Counter(each.code for each in seen if each.received_at >= when.week)
    for code, count in Counter(each.code for each in seen if each.code).most_common():
        yield Failure(code=code, today=today[code], week=week[code], all=count)
