"""Whether scores are distributed otherwise than they were.

Week by week they are held against the first weeks, by the two-sample test of Kolmogorov and
Smirnov: it sees any change of a distribution, not of its mean alone, and supposes no shape.
As many tests are made at once, Holm's procedure keeps the chance of a single false mark among
all of them under `LEVEL`; and as thousands of studies make the least difference significant,
a mark needs a distance of `DISTANCE` besides. The test takes studies to be independent, which
two of one patient are not quite.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp, sqrt
from statistics import quantiles

REFERENCE = 4  # weeks, the first that have scores
FEWEST = 20  # scores of a week that are held against the reference
FEWEST_REFERENCE = 50
LEVEL = 0.01  # chance of any false mark among all tests that are made together
DISTANCE = 0.1  # between the two distribution functions; what is less does not matter


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A study's final score."""

    week: int  # number of the week in which it came
    probability: float
    abnormal: bool


@dataclass(frozen=True, kw_only=True)
class Quartiles:
    """A quarter of the scores are lower than `low`, a quarter higher than `high`."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Week:
    """The scores of a week."""

    begin: datetime
    studies: int
    quartiles: Quartiles | None  # None where there is no score
    abnormal: float | None  # part of the studies, likewise
    reference: bool  # it is one of those that the later weeks are held against
    distance: float | None  # from the reference, 0 to 1; None where it was not tested
    p: float | None  # by Holm, of all tests made together
    drifts: bool


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """The scores of a study type or a station over time."""

    name: str | None  # None: nobody knows it
    studies: int
    reference: int  # studies
    weeks: tuple[Week, ...]
    tested: bool  # whether any week could be held against the reference
    drifts: bool  # whether the last of those stands apart from it


def distributions(
    groups: Mapping[str | None, Sequence[Scored]], weeks: Sequence[datetime]
) -> list[Distribution]:
    """Return how the scores of each group are distributed in each of *weeks*.

    All groups are one family of tests.
    """
    sorted_into = {name: _by_week(scores, len(weeks)) for name, scores in groups.items()}
    tests = {
        (name, week): found
        for name, of_week in sorted_into.items()
        for week, found in _tests(of_week).items()
    }
    adjusted = dict(zip(tests, holm([p for _, p in tests.values()]), strict=True))
    return [
        _distribution(
            name,
            of_week,
            [
                _week(
                    begin,
                    of_week[number],
                    reference=number in _reference(of_week),
                    distance=tests[name, number][0] if (name, number) in tests else None,
                    p=adjusted.get((name, number)),
                )
                for number, begin in enumerate(weeks)
            ],
        )
        for name, of_week in sorted_into.items()
    ]


def _distribution(
    name: str | None, of_week: Sequence[Sequence[Scored]], weeks: Sequence[Week]
) -> Distribution:
    tested = [week for week in weeks if week.p is not None]
    return Distribution(
        name=name,
        studies=sum(map(len, of_week)),
        reference=sum(len(of_week[week]) for week in _reference(of_week)),
        weeks=tuple(weeks),
        tested=bool(tested),
        drifts=bool(tested) and tested[-1].drifts,
    )


def _by_week(scores: Sequence[Scored], weeks: int) -> list[list[Scored]]:
    of_week: list[list[Scored]] = [[] for _ in range(weeks)]
    for score in scores:
        of_week[score.week].append(score)
    return of_week


def _reference(of_week: Sequence[Sequence[Scored]]) -> range:
    """Return the numbers of the first weeks, from the first that has scores."""
    first = next((number for number, scores in enumerate(of_week) if scores), len(of_week))
    return range(first, min(first + REFERENCE, len(of_week)))


def _tests(of_week: Sequence[Sequence[Scored]]) -> dict[int, tuple[float, float]]:
    """Return distance and p of each week that has scores enough."""
    numbers = _reference(of_week)
    reference = sorted(score.probability for week in numbers for score in of_week[week])
    if len(reference) < FEWEST_REFERENCE:
        return {}
    return {
        week: kolmogorov_smirnov(reference, sorted(score.probability for score in scores))
        for week, scores in enumerate(of_week)
        if week >= numbers.stop and len(scores) >= FEWEST
    }


def _week(
    begin: datetime,
    scores: Sequence[Scored],
    *,
    reference: bool,
    distance: float | None,
    p: float | None,
) -> Week:
    return Week(
        begin=begin,
        studies=len(scores),
        quartiles=_quartiles([score.probability for score in scores]),
        abnormal=sum(score.abnormal for score in scores) / len(scores) if scores else None,
        reference=reference,
        distance=distance,
        p=p,
        drifts=p is not None and distance is not None and p < LEVEL and distance >= DISTANCE,
    )


def _quartiles(values: Sequence[float]) -> Quartiles | None:
    if not values:
        return None
    # One value is all its quantiles; the library wants two.
    low, median, high = quantiles(
        values if len(values) > 1 else [*values] * 2, n=4, method="inclusive"
    )
    return Quartiles(low=low, median=median, high=high)


def kolmogorov_smirnov(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return the distance of two samples, each in rising order and not empty, and its p.

    p is asymptotic, with Stephens' correction for samples of finite size (Stephens 1970, as in
    Press et al., Numerical Recipes, 14.3.3); equal values make it too large, never too small.
    """
    distance, i, j = 0.0, 0, 0
    while i < len(one) and j < len(other):
        value = min(one[i], other[j])
        while i < len(one) and one[i] == value:
            i += 1
        while j < len(other) and other[j] == value:
            j += 1
        distance = max(distance, abs(i / len(one) - j / len(other)))
    root = sqrt(len(one) * len(other) / (len(one) + len(other)))
    return distance, _tail((root + 0.12 + 0.11 / root) * distance)


def _tail(x: float) -> float:
    """Return the chance that Kolmogorov's variable exceeds *x*."""
    if x < 0.2:  # it is 1 to twelve digits there, and the series converges slowly
        return 1.0
    terms = ((2 if k % 2 else -2) * exp(-2 * k * k * x * x) for k in range(1, 30))
    return min(1.0, max(0.0, sum(terms)))


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust the p of tests that are made together (Holm 1979): each is at most 1."""
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted
