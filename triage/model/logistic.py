"""Between log odds and probabilities, in float64."""

import numpy as np
from numpy.typing import NDArray

TINY = 2.0**-53  # what a probability in float64 can still be away from 1

Floats = NDArray[np.float64]


def sigmoid(logits: Floats) -> Floats:
    """Return the probabilities; by way of tanh, which overflows nowhere."""
    probabilities: Floats = 0.5 * (1 + np.tanh(0.5 * logits))
    return probabilities


def logit(probability: Floats) -> Floats:
    """Return the log odds; those of 0 and 1 are finite."""
    inside = np.clip(probability, TINY, 1 - TINY)
    odds: Floats = np.log(inside) - np.log1p(-inside)
    return odds
