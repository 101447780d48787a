import math
from pathlib import Path

import numpy as np
import pytest

from triage.core.studytype import StudyType
from triage.research.calibrate import (
    COLDEST,
    HOTTEST,
    Scale,
    best_threshold,
    cuts,
    fit,
    fit_temperature,
    quality,
)
from triage.research.mura import LabelledStudy
from triage.research.predictions import Prediction

PLAIN = Scale(temperature=1.0, threshold=0.5, thresholds={})


def _sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def _prediction(number, abnormal, views, study_type=StudyType.HAND):
    study = LabelledStudy(
        study_type=study_type,
        patient=f"patient{number}",
        name="study1",
        abnormal=bool(abnormal),
        images=(Path("image1.png"),) * len(views),
    )
    return Prediction(study=study, views=tuple(views), probability=sum(views) / len(views))


def _drawn(logits, temperature, seed=0):
    """Draw labels that the logits, divided by the temperature, are the truth of."""
    chances = [_sigmoid(logit / temperature) for logit in logits]
    return np.random.default_rng(seed).random(len(logits)) < chances


def _loss(logits, truth, weights, temperature):
    """Of views, one by one."""
    chances = [_sigmoid(logit / temperature) for logit in logits]
    return sum(
        -weight * math.log(chance if true else 1 - chance)
        for chance, true, weight in zip(chances, truth, weights, strict=True)
    )


def _kappa(truth, said):
    """Of two lists of booleans, by the definition; 0 where it is undefined."""
    n = len(truth)
    observed = sum(a == b for a, b in zip(truth, said, strict=True)) / n
    by_chance = sum(truth) * sum(said) / n**2 + (n - sum(truth)) * (n - sum(said)) / n**2
    return 0.0 if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found_again(temperature):
    logits = np.random.default_rng(1).normal(0, 4, 20000)

    found = fit_temperature(logits, _drawn(logits, temperature), np.ones(20000))

    assert found == pytest.approx(temperature, rel=0.1)


def test_no_other_temperature_has_a_smaller_loss():
    random = np.random.default_rng(2)
    logits, weights = random.normal(1, 3, 60), random.random(60)
    truth = _drawn(logits, 2.0)

    found = fit_temperature(logits, truth, weights)

    least = _loss(logits, truth, weights, found)
    assert COLDEST < found < HOTTEST
    assert all(
        least <= _loss(logits, truth, weights, other) + 1e-12
        for other in np.geomspace(0.5, HOTTEST, 400)
    )


def test_views_told_apart_without_a_mistake_stop_at_the_bound():
    assert fit_temperature([-2.0, -1.0, 1.0, 3.0], [0, 0, 1, 1], np.ones(4)) == COLDEST


def test_views_told_apart_the_wrong_way_round_stop_at_the_other_bound():
    assert fit_temperature([-2.0, -1.0, 1.0, 3.0], [1, 1, 0, 0], np.ones(4)) == HOTTEST


def test_a_study_weighs_the_same_however_many_views_it_has():
    logits = np.random.default_rng(3).normal(0, 3, 40)
    truth = _drawn(logits, 2.0)
    once = [_prediction(k, t, [_sigmoid(z)]) for k, (z, t) in enumerate(zip(logits, truth))]  # noqa: B905
    many = [
        _prediction(k, t, [_sigmoid(z)] * (5 if k % 2 else 1))
        for k, (z, t) in enumerate(zip(logits, truth, strict=True))
    ]

    assert fit(many, PLAIN).scale.temperature == pytest.approx(fit(once, PLAIN).scale.temperature)


def test_the_former_temperature_is_taken_back_before_the_new_one_is_fitted():
    logits = np.random.default_rng(4).normal(0, 3, 50)
    truth = _drawn(logits, 2.0)

    def fitted(former):
        studies = [
            _prediction(k, t, [_sigmoid(z / former)])
            for k, (z, t) in enumerate(zip(logits, truth, strict=True))
        ]
        return fit(studies, Scale(temperature=former, threshold=0.5, thresholds={})).scale

    assert fitted(2.5).temperature == pytest.approx(fitted(1.0).temperature)
    assert fitted(2.5).threshold == pytest.approx(fitted(1.0).threshold)


def test_the_figures_are_of_the_means_over_the_views_after_the_temperature():
    studies = [
        _prediction(1, True, [0.9, 0.6]),
        _prediction(2, False, [0.7, 0.1, 0.2]),
        _prediction(3, True, [0.4]),
        _prediction(4, False, [0.3]),
    ]

    found = fit(studies, PLAIN)

    temperature = found.scale.temperature
    means = []
    for study in studies:
        logits = [math.log(view / (1 - view)) / temperature for view in study.views]
        means.append(sum(map(_sigmoid, logits)) / len(logits))
    right = [means[0], 1 - means[1], means[2], 1 - means[3]]
    assert found.after.nll == pytest.approx(-sum(map(math.log, right)) / 4)
    assert found.before.nll == pytest.approx(
        -(math.log(0.75) + math.log(2 / 3) + math.log(0.4) + math.log(0.7)) / 4
    )
    assert found.after.nll < found.before.nll


@pytest.mark.parametrize("seed", range(5))
def test_no_other_threshold_has_a_larger_kappa(seed):
    random = np.random.default_rng(seed)
    truth = random.random(40) < 0.4
    probability = np.clip(truth * 0.2 + random.random(40) * 0.8, 0, 1).round(2)

    found = best_threshold(truth, probability)

    largest = _kappa(truth.tolist(), (probability > found).tolist())
    others = [_kappa(truth.tolist(), (probability > t).tolist()) for t in np.linspace(0, 1, 2001)]
    assert largest == pytest.approx(max(others))


def test_a_threshold_lies_halfway_between_its_neighbours():
    truth = np.array([False, False, True, True])

    assert best_threshold(truth, np.array([0.1, 0.2, 0.7, 0.9])) == pytest.approx(0.45)


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_taken():
    """Two thresholds have one study each on the wrong side: a normal one, an abnormal one."""
    truth = np.array([False, True, False, True])

    assert best_threshold(truth, np.array([0.1, 0.3, 0.5, 0.6])) == pytest.approx(0.55)
    assert best_threshold(truth, np.array([0.4, 0.5, 0.7, 0.9])) == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("wanted", "threshold"), [(1.0, 0.25), (0.75, 0.45), (0.7, 0.45), (0.5, 0.65)]
)
def test_the_most_specific_threshold_that_reaches_the_sensitivity_is_taken(wanted, threshold):
    truth = np.array([False, True, False, True, False, True, True])
    probability = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9])

    assert best_threshold(truth, probability, wanted) == pytest.approx(threshold)


def test_every_way_to_part_the_probabilities_has_a_threshold_between_0_and_1():
    values = np.array([0.0, 0.3, np.nextafter(0.3, 1), 1 - 2**-53, 1.0])

    found = cuts(values)

    assert all(0 < threshold < 1 for threshold in found)
    parted = {int(np.sum(values > threshold)) for threshold in found}
    assert {4, 3, 2} <= parted


def _of_type(study_type, count, abnormal, first):
    """Studies of one type: the lowest probabilities are the normal ones', above them the others'."""
    random = np.random.default_rng(first)
    return [
        _prediction(first + k, label, [float(p)], study_type)
        for label, number, low in ((False, count, 0.05), (True, abnormal, 0.35))
        for k, p in enumerate(random.uniform(low, low + 0.4, number))
    ]


def test_a_study_type_has_its_own_threshold_from_30_studies_of_each_class():
    studies = [
        *_of_type(StudyType.HAND, 30, 30, 0),
        *_of_type(StudyType.WRIST, 40, 29, 100),
        *_of_type(StudyType.ELBOW, 29, 40, 200),
        *_of_type(StudyType.SHOULDER, 35, 0, 300),
    ]

    found = fit(studies, Scale(temperature=1, threshold=0.5, thresholds={StudyType.ELBOW: 0.9}))

    assert set(found.scale.thresholds) == {StudyType.HAND}
    assert found.scale.threshold_for(StudyType.WRIST) == found.scale.threshold
    types = [outcome.study_type for outcome in found.outcomes]
    assert types == [StudyType.ELBOW, StudyType.HAND, StudyType.SHOULDER, StudyType.WRIST, None]
    shoulder, whole = found.outcomes[2].confusion, found.outcomes[-1].confusion
    assert (shoulder.abnormal, shoulder.normal, shoulder.sensitivity) == (0, 35, None)
    assert (whole.normal, whole.abnormal) == (134, 99)
    assert whole.tp == sum(outcome.confusion.tp for outcome in found.outcomes[:-1])


def test_with_one_class_alone_everything_stays():
    former = Scale(temperature=1.7, threshold=0.4, thresholds={StudyType.HAND: 0.3})

    found = fit(_of_type(StudyType.HAND, 40, 0, 0), former)

    assert found.scale == former
    assert found.before == found.after
    assert not found.fitted


@pytest.mark.parametrize(("abnormal", "bounded"), [(0, False), (30, True)])
def test_a_temperature_is_at_its_bound_only_where_one_was_fitted(abnormal, bounded):
    studies = [_prediction(k, k < abnormal, [0.9 if k < abnormal else 0.1]) for k in range(60)]

    found = fit(studies, Scale(temperature=COLDEST, threshold=0.5, thresholds={}))

    assert (found.fitted, found.bounded) == (bounded, bounded)


def test_the_temperature_alone_moves_thresholds_so_that_single_views_keep_their_labels():
    studies = [*_of_type(StudyType.HAND, 30, 30, 0), *_of_type(StudyType.WRIST, 20, 30, 100)]
    former = Scale(temperature=1.0, threshold=0.42, thresholds={StudyType.WRIST: 0.37})

    scale = fit(studies, former, temperature_only=True).scale

    assert scale.temperature != 1
    assert set(scale.thresholds) == {StudyType.WRIST}
    for study in studies:
        (view,) = study.views
        after = _sigmoid(math.log(view / (1 - view)) / scale.temperature)
        kind = study.study.study_type
        assert (after > scale.threshold_for(kind)) == (view > former.threshold_for(kind))


def test_probabilities_of_0_and_1_cost_much_but_not_infinitely_much():
    found = quality(np.array([True, False]), np.array([0.0, 1.0]))

    assert 30 < found.nll < 40
    assert found.ece == 1
