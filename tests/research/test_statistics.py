"""Ranking and calibration: checked against scikit-learn and against slow, plain computations."""

import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from triage.research.statistics import (
    auroc,
    bootstrap_auroc,
    bootstrap_difference,
    calibration,
    roc,
)

# Few distinct probabilities, so that many tie.
SCORED = st.lists(
    st.tuples(st.booleans(), st.integers(0, 10).map(lambda tenth: tenth / 10)), max_size=60
)


def columns(pairs):
    return [truth for truth, _ in pairs], [probability for _, probability in pairs]


def sample(n, seed=0, patients=None):
    """Return truth, probabilities and patients of *n* studies."""
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.4
    probability = np.clip(random.normal(0.4 + 0.2 * truth, 0.2), 0, 1).round(2)
    return truth, probability, random.integers(0, patients or n, n)


@given(SCORED)
def test_auroc_is_that_of_scikit_learn_with_ties(pairs):
    truth, probability = columns(pairs)

    if len(set(truth)) < 2:
        assert auroc(truth, probability) is None
    else:
        assert auroc(truth, probability) == pytest.approx(
            roc_auc_score(truth, probability), abs=1e-12
        )


@given(SCORED)
def test_the_roc_has_the_corners_that_scikit_learn_gives(pairs):
    truth, probability = columns(pairs)
    assume(len(set(truth)) == 2)

    curve = roc(truth, probability)

    alarms, hits, _ = roc_curve(truth, probability, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_positive_rate, alarms, atol=1e-12)
    np.testing.assert_allclose(curve.true_positive_rate, hits, atol=1e-12)


def test_the_roc_of_one_class_is_undefined():
    assert roc([True, True], [0.1, 0.2]) is None
    assert roc([], []) is None


def plain_replicates(truth, probability, patient, seed, replicates):
    """Draw patients and put their studies together, one replicate after the other."""
    names = np.unique(patient)
    generator = np.random.default_rng(seed)
    for _ in range(replicates):
        drawn = names[generator.integers(len(names), size=len(names))]
        studies = np.concatenate([np.flatnonzero(patient == name) for name in drawn])
        if len(set(truth[studies])) == 2:
            yield [roc_auc_score(truth[studies], values[studies]) for values in probability]


def test_the_bootstrap_resamples_patients_with_all_their_studies():
    truth, probability, patient = sample(40, patients=15)

    found = bootstrap_auroc(truth, probability, patient, seed=7, replicates=200)

    areas = list(plain_replicates(truth, [probability], patient, 7, 200))
    assert (found.replicates, found.left_out) == (len(areas), 200 - len(areas))
    assert found.value == pytest.approx(roc_auc_score(truth, probability))
    assert [found.interval.low, found.interval.high] == pytest.approx(
        np.percentile(areas, [2.5, 97.5])
    )


def test_the_difference_takes_both_models_over_the_same_patients():
    truth, probability, patient = sample(40, patients=15)
    other = sample(40, seed=1)[1]

    found = bootstrap_difference(truth, probability, other, patient, seed=3, replicates=150)

    pairs = np.array(list(plain_replicates(truth, [probability, other], patient, 3, 150)))
    assert found.value == pytest.approx(
        roc_auc_score(truth, probability) - roc_auc_score(truth, other)
    )
    assert [found.interval.low, found.interval.high] == pytest.approx(
        np.percentile(pairs[:, 0] - pairs[:, 1], [2.5, 97.5])
    )


def test_a_model_differs_in_nothing_from_itself():
    truth, probability, patient = sample(50)

    found = bootstrap_difference(truth, probability, probability, patient, seed=0)

    assert (found.value, found.interval.low, found.interval.high) == (0, 0, 0)


def test_the_bootstrap_gives_the_same_interval_for_the_same_seed_alone():
    truth, probability, patient = sample(60)

    one, same, other = (
        bootstrap_auroc(truth, probability, patient, seed=seed, replicates=300)
        for seed in (1, 1, 2)
    )

    assert one == same
    assert one.interval != other.interval


def test_replicates_without_both_classes_are_left_out_and_counted():
    found = bootstrap_auroc([True, False], [0.9, 0.1], ["a", "b"], seed=0, replicates=1000)

    assert found.replicates + found.left_out == 1000
    assert 400 < found.left_out < 600  # half of the draws are one patient twice
    assert (found.interval.low, found.interval.high) == (1, 1)


def test_blocks_of_replicates_make_no_difference(monkeypatch):
    truth, probability, patient = sample(50)
    whole = bootstrap_auroc(truth, probability, patient, seed=0, replicates=100)

    monkeypatch.setattr("triage.research.statistics.WORK", 50 * 7)

    assert bootstrap_auroc(truth, probability, patient, seed=0, replicates=100) == whole


def test_the_interval_holds_the_true_area_about_as_often_as_it_says():
    """Normal scores a deviation apart have AUROC 0.760 (Hanley and McNeil 1982)."""
    held = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        truth = np.arange(120) < 60
        values = random.normal(truth * 1.0, 1)
        interval = bootstrap_auroc(truth, values, np.arange(120), seed=0, replicates=200).interval
        held += interval.low <= 0.7602 <= interval.high

    assert 0.90 <= held / 200 <= 0.99


def test_two_thousand_replicates_of_muras_validation_part_take_no_second():
    truth, probability, patient = sample(1199, patients=783)
    begun = time.process_time()

    bootstrap_auroc(truth, probability, patient, seed=0)

    assert time.process_time() - begun < 3  # measured: 0.2 s on one idle core


@settings(max_examples=60)
@given(SCORED, st.integers(1, 20))
def test_the_calibration_error_is_the_weighted_gap_of_the_bins(pairs, bins):
    truth, probability = columns(pairs)
    found = calibration(truth, probability, bins=bins)
    if not pairs:
        assert found is None
        return

    gaps = []
    edges = [place.low for place in found.bins] + [1.0]
    for k, place in enumerate(found.bins):
        inside = [(t, p) for t, p in pairs if edges[k] < p <= edges[k + 1] or (k == 0 and p == 0)]
        assert place.count == len(inside)
        if inside:
            part, mean = (sum(values) / len(inside) for values in zip(*inside, strict=True))
            assert (place.abnormal, place.probability) == pytest.approx((part, mean))
            gaps.append(len(inside) * abs(part - mean))
        else:
            assert (place.abnormal, place.probability) == (None, None)

    assert sum(place.count for place in found.bins) == len(pairs)
    assert found.ece == pytest.approx(sum(gaps) / len(pairs))


def test_a_probability_that_is_always_right_has_no_calibration_error():
    assert calibration([True, False, True], [1.0, 0.0, 1.0]).ece == 0
    assert calibration([True, False], [0.0, 1.0]).ece == 1
