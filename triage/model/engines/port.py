"""The port to whatever runs a network. Nothing here needs a heavy library."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Views = NDArray[np.float32]  # (N, 3, S, S)
Numbers = NDArray[np.float32]


@dataclass(frozen=True)
class Passed:
    """What one pass gives; its arrays are the caller's own."""

    logits: Numbers  # (N,), before the temperature
    maps: Numbers  # (N, h, w); the mean of each, and the bias added, is its logit


class Engine(Protocol):
    """One network, ready to run on this machine."""

    def run(self, views: Views) -> Passed:
        """Run prepared views, (N, 3, S, S) float32 with N from 1 to the largest batch, at once.

        One thread at a time. Raises RuntimeError where the machine fails: memory
        that is not there, a device that is lost.
        """
