"""From prepared views to probabilities and maps, with whichever engine runs the networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from triage.errors import ModelUnusable
from triage.model.card import Card, Preprocessing
from triage.model.engines.port import Engine, Views
from triage.model.logistic import sigmoid
from triage.model.preprocess import Prepared


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the network makes of one view."""

    probability: float  # of abnormality
    # What each place adds to the logit, (h, w) float32: its mean is the logit without the
    # output's bias, after the temperature. Of an ensemble, the mean of the members' maps.
    map: NDArray[np.float32]


@dataclass(frozen=True)
class Member:
    """One network of those that score together, its engine ready."""

    path: Path
    card: Card
    engine: Engine

    def run(
        self, views: Views, source: Preprocessing
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Run views that *source* normalised; (N,) probabilities and (N, h, w) maps.

        Raises ModelUnusable where the network gives no finite number.
        """
        passed = self.engine.run(self._normalised(views, source))
        if not np.isfinite(passed.logits).all():
            raise ModelUnusable(
                f"{self.path}: the network gives no finite number; see `triage model check`, or "
                "try model.precision=float32"
            )
        temperature = self.card.temperature
        logits = passed.logits.astype(np.float64)
        return sigmoid(logits / temperature), passed.maps / np.float32(temperature)

    def _normalised(self, views: Views, source: Preprocessing) -> Views:
        """Normalise as this card says what was normalised as *source* says."""
        own = self.card.preprocessing
        if (own.mean, own.std) == (source.mean, source.std):
            return views
        mean, std, own_mean, own_std = (
            np.array(values)[:, None, None]
            for values in (source.mean, source.std, own.mean, own.std)
        )
        normalised: Views = ((views * std + mean - own_mean) / own_std).astype(np.float32)
        return normalised


@dataclass(frozen=True)
class Inference:
    """Members whose probabilities and maps are averaged; *batch* views pass at once."""

    members: tuple[Member, ...]
    batch: int

    def explain(self, prepared: Sequence[Prepared]) -> list[Scored]:
        """Return each view's probability and map; raises ModelUnusable and RuntimeError."""
        source = self.members[0].card.preprocessing
        found: list[Scored] = []
        for start in range(0, len(prepared), self.batch):
            views = np.stack(prepared[start : start + self.batch])
            passes = [member.run(views, source) for member in self.members]
            found += [
                Scored(
                    probability=fmean(float(probabilities[view]) for probabilities, _ in passes),
                    map=sum(maps[view] for _, maps in passes) / np.float32(len(passes)),
                )
                for view in range(len(views))
            ]
        return found
