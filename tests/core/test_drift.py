"""Drift: the test against SciPy's, the correction against statsmodels', and what is marked."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import kolmogorov
from scipy.stats import ks_2samp
from statsmodels.stats.multitest import multipletests

from triage.core.drift import Scored, distributions, holm, kolmogorov_smirnov

WEEKS = [datetime(2025, 1, 6, tzinfo=UTC) + timedelta(weeks=n) for n in range(13)]
# Rounded, so that many are equal.
SCORES = st.lists(st.floats(0, 1).map(lambda x: round(x, 2)), min_size=2, max_size=60)


def scores(random, week, count, shift=0.0):
    drawn = np.clip(random.beta(2, 4, count) + shift, 0, 1)
    return [Scored(week=week, probability=float(p), abnormal=bool(p > 0.5)) for p in drawn]


def quarter(random, a_week=80, shift=0.0, since=13):
    return [
        score
        for week in range(13)
        for score in scores(random, week, a_week, shift if week >= since else 0.0)
    ]


@settings(deadline=None)
@given(SCORES, SCORES)
def test_the_distance_is_scipys(one, other):
    distance, p = kolmogorov_smirnov(sorted(one), sorted(other))

    assert distance == pytest.approx(ks_2samp(one, other, method="asymp").statistic)
    assert 0 <= p <= 1


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1, 0.2])
def test_p_is_nearly_the_exact_one(shift):
    random = np.random.default_rng(3)
    one, other = random.beta(2, 4, 300), random.beta(2, 4, 60) + shift

    _, p = kolmogorov_smirnov(sorted(one), sorted(other))

    assert p == pytest.approx(ks_2samp(one, other, method="exact").pvalue, rel=0.15, abs=1e-4)


@pytest.mark.parametrize("distance", [0.002, 0.01, 0.02, 0.05, 0.1, 0.4])
def test_p_is_kolmogorovs_tail(distance):
    n = 1000
    one = [k / n for k in range(n)]
    shifted = [x + distance for x in one]
    measured, p = kolmogorov_smirnov(one, shifted)
    root = (n / 2) ** 0.5

    assert p == pytest.approx(kolmogorov((root + 0.12 + 0.11 / root) * measured), abs=1e-12)


@pytest.mark.parametrize("tests", [1, 2, 30])
def test_the_correction_is_statsmodels(tests):
    ps = [*np.random.default_rng(tests).random(tests) ** 4, 0.01, 0.01, 1.0]

    assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]))


def test_a_shift_is_marked_from_the_week_in_which_it_came():
    random = np.random.default_rng(1)
    groups = {"DX-1": quarter(random), "DX-2": quarter(random, shift=0.3, since=10)}

    steady, shifted = distributions(groups, WEEKS)

    assert [week.drifts for week in shifted.weeks] == [False] * 10 + [True] * 3
    assert not any(week.drifts for week in steady.weeks)
    assert (steady.drifts, shifted.drifts) == (False, True)


def test_what_has_come_back_drifts_no_more():
    random = np.random.default_rng(1)
    there_and_back = quarter(random, shift=0.3, since=10)
    there_and_back = [score for score in there_and_back if score.week != 12]
    (found,) = distributions({"hand": [*there_and_back, *scores(random, 12, 80)]}, WEEKS)

    assert (found.weeks[11].drifts, found.drifts) == (True, False)


def test_where_nothing_changes_hardly_any_department_is_ever_marked():
    random = np.random.default_rng(7)
    marked = 0
    for _ in range(100):
        groups = {part: quarter(random, a_week=40) for part in ("elbow", "hand", "wrist")}
        found = distributions(groups, WEEKS)
        marked += any(week.drifts for each in found for week in each.weeks)

    assert marked <= 4  # at 1 % each, five or more come in 4 of 1,000 such runs


def test_a_difference_that_is_certain_and_small_is_not_marked():
    random = np.random.default_rng(1)
    (found,) = distributions({"hand": quarter(random, 3000, shift=0.02, since=8)}, WEEKS)

    assert found.weeks[12].p < 0.01
    assert found.weeks[12].distance < 0.1
    assert not found.drifts


@pytest.mark.parametrize(("before", "in_week", "tested"), [(49, 20, 0), (50, 19, 0), (50, 20, 1)])
def test_a_few_studies_say_nothing(before, in_week, tested):
    random = np.random.default_rng(1)
    few = [*scores(random, 0, before), *scores(random, 9, in_week, 0.5)]

    (found,) = distributions({"hand": few}, WEEKS)

    assert sum(week.p is not None for week in found.weeks) == tested
    assert found.tested == found.drifts == bool(tested)


def test_the_reference_begins_with_the_first_scores():
    random = np.random.default_rng(1)
    (found,) = distributions({"hand": scores(random, 6, 10)}, WEEKS)

    assert [n for n, week in enumerate(found.weeks) if week.reference] == [6, 7, 8, 9]
    assert (found.reference, found.studies) == (10, 10)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_quartiles_are_numpys(values):
    some = [Scored(week=3, probability=p, abnormal=False) for p in values]

    (found,) = distributions({"hand": some}, WEEKS)

    quartiles = found.weeks[3].quartiles
    expected = np.quantile(values, (0.25, 0.5, 0.75))
    assert (quartiles.low, quartiles.median, quartiles.high) == pytest.approx(list(expected))
    assert found.weeks[2].quartiles is found.weeks[2].abnormal is None
