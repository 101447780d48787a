import math
from pathlib import Path

import pytest
import torch

from tests.support.training import HAND, WRIST, little_set
from triage.research.images import Sample, samples_of
from triage.research.loss import class_weights, targets, weighted_loss
from triage.research.mura import read_dataset


@pytest.fixture
def samples(tmp_path):
    return samples_of(read_dataset(little_set(tmp_path / "set")).split("train"))


def by_hand(samples, logits, weighing):
    """The paper's formula, written out image by image."""
    losses = []
    for sample, logit in zip(samples, logits, strict=True):
        same = [other for other in weighing if other.study_type is sample.study_type]
        abnormal = sum(other.abnormal for other in same)
        normal = len(same) - abnormal
        p = 1 / (1 + math.exp(-logit))
        y = int(sample.abnormal)
        w1, w0 = normal / (abnormal + normal), abnormal / (abnormal + normal)
        losses.append(-w1 * y * math.log(p) - w0 * (1 - y) * math.log(1 - p))
    return losses


def test_the_weights_are_the_papers_over_images_and_not_studies(samples):
    weights = class_weights(samples)

    assert weights == {HAND: (2 / 7, 5 / 7), WRIST: (4 / 6, 2 / 6)}  # (w_T,0, w_T,1)


def test_the_loss_is_the_papers_formula(samples):
    logits = torch.linspace(-3, 4, len(samples))

    losses = weighted_loss(logits, *targets(samples, class_weights(samples)))

    assert losses.tolist() == pytest.approx(by_hand(samples, logits.tolist(), samples), rel=1e-5)


def test_the_loss_is_what_torch_makes_of_the_same_weights(samples):
    logits = torch.randn(len(samples), generator=torch.Generator().manual_seed(1))
    labels, weights = targets(samples, class_weights(samples))
    each = torch.where(labels > 0, weights[:, 1], weights[:, 0])

    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, each)

    assert weighted_loss(logits, labels, weights).mean() == pytest.approx(float(expected), rel=1e-6)


def test_smoothing_moves_the_labels_towards_each_other(samples):
    logits = torch.linspace(-3, 4, len(samples))
    labels, _ = targets(samples, class_weights(samples))
    half = torch.tensor(0.5).expand(len(samples), 2)

    smoothed = weighted_loss(logits, labels, half, 0.1)

    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, labels * 0.9 + 0.05, reduction="none"
    )
    torch.testing.assert_close(smoothed, expected / 2)


def test_an_enormous_logit_has_a_finite_loss():
    weights = torch.tensor([[0.5, 0.5]] * 2)

    losses = weighted_loss(torch.tensor([1e5, -1e5]), torch.tensor([0.0, 1.0]), weights)

    assert losses.tolist() == [5e4, 5e4]


def test_balanced_draws_weigh_both_labels_alike(samples):
    assert class_weights(samples, balanced=True) == {HAND: (0.5, 0.5), WRIST: (0.5, 0.5)}


def test_a_study_type_that_was_never_learnt_weighs_both_labels_alike(samples):
    hands = [sample for sample in samples if sample.study_type is HAND]
    wrist = Sample(path=Path("x"), study="x", study_type=WRIST, abnormal=True)

    _, weights = targets([wrist], class_weights(hands))

    assert weights.tolist() == [[0.5, 0.5]]
