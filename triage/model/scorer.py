"""The network at work: prepared views in, probabilities and class activation maps out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from triage.core.studytype import StudyType
from triage.errors import ConfigurationError, ModelUnusable, UsageError
from triage.model import checkpoint, densenet, preprocess
from triage.model.card import Card, Preprocessing, chosen_paths
from triage.model.cores import usable_cores
from triage.model.ensemble import Ensemble
from triage.model.logistic import sigmoid
from triage.model.preprocess import Grey, Prepared
from triage.settings import ModelSettings

# Views in one pass. Measured on 2 cores (milliseconds a view at 1, 2, 4, 8, 16 views):
# 56, 45, 37, 31, 38 at 160 pixels; 99, 79, 72, 66, 71 at 224. More only waits longer.
BATCH_SIZE = 8

PRECISIONS = {
    "auto": torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

Numbers = NDArray[np.float64]


def open_scorer(settings: ModelSettings) -> "Scorer":
    """Load the model that the settings name, or the ensemble.

    Raises ModelUnusable when there is none or it is damaged, ConfigurationError
    when this machine has not what they ask for or the members do not go together.
    """
    return Scorer(
        *chosen_paths(settings),
        pins=settings.pins,
        device=settings.device,
        backend=settings.backend,
        precision=settings.precision,
    )


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What the network makes of one view."""

    probability: float  # of abnormality
    # What each place adds to the logit, (h, w) float32: its mean is the logit without the
    # output's bias, after the temperature. Of an ensemble, the mean of the members' maps.
    map: NDArray[np.float32]


@dataclass(frozen=True)
class _Member:
    path: Path
    card: Card
    network: Any
    sha256: str

    def input_from(self, batch: torch.Tensor, source: Preprocessing) -> torch.Tensor:
        """Normalise as this card says what was normalised as *source* says, (N, 3, S, S)."""
        own = self.card.preprocessing
        if (own.mean, own.std) == (source.mean, source.std):
            return batch
        mean, std, own_mean, own_std = (
            torch.tensor(values, dtype=torch.float64)[:, None, None]
            for values in (source.mean, source.std, own.mean, own.std)
        )
        return ((batch * std + mean - own_mean) / own_std).float()


class Scorer:
    """A loaded model, or several as an ensemble. One thread scores at a time; any may `prepare`.

    ``ensemble`` is what the cards come to together, ``paths`` the checkpoints, *pins* the
    SHA-256 that each must have, "" or none where any will do;
    ``device`` ("cpu" or "cuda"), ``backend``, ``precision`` and ``threads`` (of the
    CPU, for the whole process) are what the settings came to on this machine.
    """

    def __init__(
        self,
        *paths: Path,
        pins: Sequence[str] = (),
        device: str = "auto",
        backend: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        if backend not in ("auto", "torch"):
            raise ConfigurationError(f"model.backend={backend}: give auto or torch")
        self.paths = paths
        self.backend = "torch"
        self.device = _device(device)
        self._dtype = _dtype(precision, self.device)
        self.precision = str(self._dtype).removeprefix("torch.")
        self.threads = threads or usable_cores()
        torch.set_num_threads(self.threads)
        wanted = zip(paths, pins or [""] * len(paths), strict=True)
        self._members = [self._load(path, pin) for path, pin in wanted]
        self.ensemble = Ensemble.of({member.path: member.card for member in self._members})
        # Kernels are chosen and memory is taken now, not while the first study waits; and a
        # network that overflows in this precision is refused here, not at every view.
        self.score([self.prepare(np.zeros((1, 1), np.uint8))])

    def _load(self, path: Path, pin: str) -> _Member:
        found = checkpoint.read(path, pin)
        # channels_last is the layout of the CPU's and the GPU's convolution kernels: a third faster.
        network = found.network.to(self.device, self._dtype)
        network = network.to(memory_format=torch.channels_last)
        return _Member(path, found.card, network, found.sha256)

    @property
    def card(self) -> Card:
        """The card of the only model; raises UsageError for an ensemble, which has several."""
        if len(self._members) > 1:
            raise UsageError(f"{self.name}: is an ensemble; name one checkpoint here")
        return self._members[0].card

    @property
    def identity(self) -> str:
        """Name and version of the model, or of each member."""
        return self.ensemble.identity

    @property
    def sha256(self) -> tuple[str, ...]:
        """The SHA-256 of each checkpoint, of the bytes that were loaded."""
        return tuple(member.sha256 for member in self._members)

    @property
    def name(self) -> str:
        """The checkpoints, for messages."""
        return ", ".join(map(str, self.paths))

    def prepare(self, grey: Grey) -> Prepared:
        """Return the network's input, (3, S, S) float32, for a (H, W) uint8 image."""
        return preprocess.prepare(grey, self.ensemble.preprocessing)

    def score(self, prepared: Sequence[Prepared]) -> list[float]:
        """Return the probability of abnormality of each view; see `explain`."""
        return [scored.probability for scored in self.explain(prepared)]

    def explain(self, prepared: Sequence[Prepared]) -> list[Scored]:
        """Return each view's probability, after the card's temperature, and its map.

        Of an ensemble, both are the means of the members'. A view's probability
        does not depend on the views beside it (1e-6 at float32). Raises
        ModelUnusable when a network gives no finite number.
        """
        found: list[Scored] = []
        for start in range(0, len(prepared), BATCH_SIZE):
            batch = torch.from_numpy(np.stack(prepared[start : start + BATCH_SIZE]))
            passes = [self._run(member, batch) for member in self._members]
            found += [
                Scored(
                    probability=fmean(float(probabilities[view]) for probabilities, _ in passes),
                    map=sum(maps[view] for _, maps in passes) / np.float32(len(passes)),
                )
                for view in range(len(batch))
            ]
        return found

    def works(self) -> bool:
        """Say whether the network still gives an answer, for an image that it had one for."""
        try:
            self.score([self.prepare(np.zeros((1, 1), np.uint8))])
        except (ModelUnusable, RuntimeError):
            return False
        return True

    def threshold(self, study_type: StudyType | None) -> float:
        """Return the probability above which a view group of this study type is abnormal."""
        return self.ensemble.threshold_for(study_type)

    def _run(self, member: _Member, batch: torch.Tensor) -> tuple[Numbers, NDArray[np.float32]]:
        """Run (N, 3, S, S) float32 through one network; (N,) probabilities, (N, h, w) maps."""
        with torch.inference_mode():
            images = member.input_from(batch, self.ensemble.preprocessing).to(
                self.device, self._dtype, memory_format=torch.channels_last
            )
            logits, maps = densenet.explain(member.network, images)
            numbers: Numbers = logits.to("cpu", torch.float64).numpy()
            cells: NDArray[np.float32] = maps.cpu().numpy()
        if not np.isfinite(numbers).all():
            raise ModelUnusable(
                f"{member.path}: the network gives no finite number at "
                f"model.precision={self.precision}; see `triage model check`"
            )
        temperature = member.card.temperature
        return sigmoid(numbers / temperature), cells / np.float32(temperature)


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise ConfigurationError(f"model.device={wanted}: give auto, cpu or cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError(
            "model.device=cuda: torch finds no usable GPU on this machine; give auto or cpu"
        )
    return wanted


def _dtype(wanted: str, device: str) -> torch.dtype:
    if wanted not in PRECISIONS:
        raise ConfigurationError(f"model.precision={wanted}: give {', '.join(PRECISIONS)}")
    if wanted == "float16" and device == "cpu":
        raise ConfigurationError(
            "model.precision=float16 needs a GPU; on the CPU give auto, float32 or bfloat16"
        )
    if device == "cuda" and PRECISIONS[wanted] is torch.float32:
        # TF32 keeps 10 bits of the mantissa: float32 is to mean float32.
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.fp32_precision = "ieee"
    return PRECISIONS[wanted]
