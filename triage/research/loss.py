"""The paper's weighted binary cross entropy.

L(X, y) = -w_T,1 y log p(Y = 1 | X) - w_T,0 (1 - y) log p(Y = 0 | X), with
w_T,1 = |N_T| / (|A_T| + |N_T|) and w_T,0 = |A_T| / (|A_T| + |N_T|), where A_T
and N_T are the abnormal and the normal training images (not studies) of study
type T (Rajpurkar et al. 2017, section 3.1).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from triage.core.studytype import StudyType
from triage.research.images import Sample

Weights = Mapping[StudyType, tuple[float, float]]  # (w_T,0, w_T,1)
EVEN = (0.5, 0.5)


def class_weights(samples: Iterable[Sample], *, balanced: bool = False) -> Weights:
    """Return the weights of each study type that is there.

    Of balanced draws one half is abnormal, whatever the images are; the formula
    then gives one half for both.
    """
    counts = Counter((sample.study_type, sample.abnormal) for sample in samples)
    weights = {}
    for study_type in dict.fromkeys(kind for kind, _ in counts):
        normal, abnormal = counts[study_type, False], counts[study_type, True]
        total = normal + abnormal
        weights[study_type] = EVEN if balanced else (abnormal / total, normal / total)
    return weights


def targets(samples: Sequence[Sample], weights: Weights) -> tuple[Tensor, Tensor]:
    """Return the labels, (N,) float32 of 0 and 1, and w_T,0 and w_T,1 of each, (N, 2) float32.

    A study type without a training image counts both labels alike.
    """
    labels = torch.tensor([float(sample.abnormal) for sample in samples])
    rows = [weights.get(sample.study_type, EVEN) for sample in samples]
    return labels, torch.tensor(rows, dtype=torch.float32).reshape(-1, 2)


def weighted_loss(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float = 0) -> Tensor:
    """Return the loss of each image, (N,), from its logit, (N,).

    With smoothing s the label is s/2 or 1 - s/2 (Szegedy et al. 2016, section 7).
    """
    soft = labels * (1 - smoothing) + smoothing / 2
    positive, negative = functional.softplus(-logits), functional.softplus(logits)
    return weights[:, 1] * soft * positive + weights[:, 0] * (1 - soft) * negative
