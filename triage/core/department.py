"""The rules of the department's figures: who waits, how long it took, who agrees."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from statistics import median, quantiles

from triage.core.agreement import Confusion
from triage.core.drift import Distribution, Scored, distributions
from triage.core.figures import (
    Agreement,
    Arrival,
    By,
    Day,
    Department,
    Facts,
    Failure,
    Kind,
    Queue,
    Reading,
    TurnAround,
    Wait,
    Waiting,
)
from triage.core.periods import Periods, which
from triage.core.reasons import Code
from triage.core.study import Finding, Label, StudyStatus
from triage.core.studytype import StudyType
from triage.core.worklist import PRIORITIES, Band


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
    if not waits:
        return Wait(studies=0, median_seconds=None, ninety_seconds=None, longest_seconds=None)
    # Of one there are no quantiles to the library; of it twice there are.
    tenths = quantiles(waits if len(waits) > 1 else waits * 2, n=10, method="inclusive")
    return Wait(
        studies=len(waits),
        median_seconds=median(waits),
        ninety_seconds=tenths[-1],
        longest_seconds=max(waits),
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
