"""Agreement: checked against scikit-learn, statsmodels and McHugh's own example."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix
from statsmodels.stats.proportion import proportion_confint

from triage.core.agreement import Confusion, Interval, confusion, majority, proportion

READINGS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)
COUNTS = st.integers(0, 5000)


def counted(pairs):
    return confusion([truth for truth, _ in pairs], [said for _, said in pairs])


@given(READINGS)
def test_confusion_counts_as_scikit_learn_does(pairs):
    truth, said = zip(*pairs, strict=True)

    (tn, fp), (fn, tp) = confusion_matrix(truth, said, labels=[False, True])

    assert counted(pairs) == Confusion(tp=tp, fp=fp, fn=fn, tn=tn)


@given(READINGS)
def test_kappa_is_that_of_scikit_learn(pairs):
    truth, said = zip(*pairs, strict=True)
    kappa = counted(pairs).kappa

    if len({*truth, *said}) == 1:  # there it warns and gives nan
        assert kappa is None
    else:
        assert kappa.value == pytest.approx(cohen_kappa_score(truth, said), abs=1e-12)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_interval_of_kappa_is_mchughs_cut_off_at_the_ends_of_the_scale(tp, fp, fn, tn):
    counts = Confusion(tp=tp, fp=fp, fn=fn, tn=tn)
    kappa = counts.kappa
    if kappa is None or kappa.standard_error == 0:
        return
    n = tp + fp + fn + tn
    observed = (tp + tn) / n
    expected = (tp + fn) / n * (tp + fp) / n + (fp + tn) / n * (fn + tn) / n

    error = sqrt(observed * (1 - observed) / (n * (1 - expected) ** 2))

    assert kappa.standard_error == pytest.approx(error, rel=1e-6)
    assert kappa.interval.low == pytest.approx(max(-1, kappa.value - 1.96 * error), abs=1e-6)
    assert kappa.interval.high == pytest.approx(min(1, kappa.value + 1.96 * error), abs=1e-6)


def test_mchughs_own_example_has_her_standard_error():
    """Two raters of 222 cases who agree in 209: p_o 0.94, p_e 0.57, SE 0.037."""
    kappa = Confusion(tp=147, fp=3, fn=10, tn=62).kappa

    assert kappa.standard_error == pytest.approx(0.037, abs=5e-4)
    assert kappa.interval.high - kappa.interval.low == pytest.approx(2 * 1.96 * 0.037, abs=1e-3)
    assert kappa.value == pytest.approx(0.86, abs=5e-3)


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (7, 0, 0, 0), (0, 0, 0, 7)])
def test_kappa_of_one_answer_throughout_is_undefined(counts):
    assert Confusion(**dict(zip(("tp", "fp", "fn", "tn"), counts, strict=True))).kappa is None


def test_readers_who_always_contradict_each_other_have_kappa_minus_1():
    kappa = Confusion(tp=0, fp=5, fn=5, tn=0).kappa

    assert (kappa.value, kappa.interval.low) == (-1, -1)
    assert kappa.interval.high == pytest.approx(-1 + 2 * 0.2775, abs=1e-3)


@pytest.mark.parametrize(("half", "low"), [(1, -0.315), (10, 0.678), (500, 0.992)])
def test_a_few_studies_without_a_difference_are_no_certainty(half, low):
    """Of 2 agreements in 2, 20 in 20 and 1000 in 1000 Wilson's lower bounds are 0.342, 0.839, 0.996."""
    kappa = Confusion(tp=half, fp=0, fn=0, tn=half).kappa

    assert (kappa.value, kappa.interval.high) == (1, 1)
    assert kappa.interval.low == pytest.approx(low, abs=1e-3)


@given(COUNTS, COUNTS)
def test_wilsons_interval_is_that_of_statsmodels(successes, failures):
    total = successes + failures
    found = proportion(successes, total)

    if total == 0:
        assert found is None
    else:
        low, high = proportion_confint(successes, total, alpha=0.05, method="wilson")
        assert found.value == successes / total
        assert found.interval.low == pytest.approx(low, abs=1e-9)
        assert found.interval.high == pytest.approx(high, abs=1e-9)
        assert 0 <= found.interval.low <= found.value <= found.interval.high <= 1


def test_sensitivity_and_specificity_count_within_their_class():
    counts = Confusion(tp=6, fp=1, fn=2, tn=3)

    assert (counts.sensitivity, counts.specificity) == (proportion(6, 8), proportion(3, 4))
    assert Confusion(tp=0, fp=1, fn=0, tn=3).sensitivity is None
    assert Confusion(tp=1, fp=0, fn=3, tn=0).specificity is None


@pytest.mark.parametrize(
    ("votes", "said"),
    [((True,), True), ((True, False, True), True), ((False, True, False), False)],
)
def test_the_majority_decides(votes, said):
    assert majority(votes) is said


def test_votes_that_may_tie_are_refused():
    with pytest.raises(ValueError, match="odd"):
        majority([True, False])


@pytest.mark.parametrize(
    ("other", "apart"), [((0.6, 0.8), False), ((0.5, 0.7), False), ((0.61, 0.7), True)]
)
def test_intervals_are_apart_that_have_no_point_in_common(other, apart):
    one = Interval(0.2, 0.6)

    assert one.apart_from(Interval(*other)) is apart
    assert Interval(*other).apart_from(one) is apart
