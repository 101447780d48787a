"""The network at work: prepared views in, probabilities out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from triage.core.studytype import StudyType
from triage.errors import ConfigurationError, ModelUnusable
from triage.model import checkpoint, preprocess
from triage.model.card import chosen_path
from triage.model.cores import usable_cores
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


def open_scorer(settings: ModelSettings) -> "Scorer":
    """Load the model that the settings name.

    Raises ModelUnusable when there is none or it is damaged, ConfigurationError
    when this machine has not what they ask for.
    """
    return Scorer(
        chosen_path(settings),
        device=settings.device,
        backend=settings.backend,
        precision=settings.precision,
    )


class Scorer:
    """A loaded model. One thread calls `score` at a time; any may call `prepare`.

    ``card`` is the checkpoint's card; ``device`` ("cpu" or "cuda"), ``backend``,
    ``precision`` and ``threads`` (of the CPU, for the whole process) are what the
    settings came to on this machine.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        backend: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        if backend not in ("auto", "torch"):
            raise ConfigurationError(f"model.backend={backend}: give auto or torch")
        self.path = path
        self.backend = "torch"
        self.device = _device(device)
        dtype = _dtype(precision, self.device)
        self.precision = str(dtype).removeprefix("torch.")
        self.threads = threads or usable_cores()
        torch.set_num_threads(self.threads)
        self.card, network = checkpoint.load(path)
        # channels_last is the layout of the CPU's and the GPU's convolution kernels: a third faster.
        self._network = network.to(self.device, dtype).to(memory_format=torch.channels_last)
        self._dtype = dtype
        # Kernels are chosen and memory is taken now, not while the first study waits; and a
        # network that overflows in this precision is refused here, not at every view.
        self.score([self.prepare(np.zeros((1, 1), np.uint8))])

    def prepare(self, grey: Grey) -> Prepared:
        """Return the network's input, (3, S, S) float32, for a (H, W) uint8 image."""
        return preprocess.prepare(grey, self.card.preprocessing)

    def score(self, prepared: Sequence[Prepared]) -> list[float]:
        """Return the probability of abnormality of each view, after the card's temperature.

        A view's probability does not depend on the views beside it (1e-6 at
        float32). Raises ModelUnusable when the network gives no finite number.
        """
        probabilities: list[float] = []
        for start in range(0, len(prepared), BATCH_SIZE):
            logits = self._logits(np.stack(prepared[start : start + BATCH_SIZE]))
            if not np.isfinite(logits).all():
                raise ModelUnusable(
                    f"{self.path}: the network gives no finite number at "
                    f"model.precision={self.precision}; see `triage model check`"
                )
            probabilities += _sigmoid(logits / self.card.temperature).tolist()
        return probabilities

    def works(self) -> bool:
        """Say whether the network still gives an answer, for an image that it had one for."""
        try:
            self.score([self.prepare(np.zeros((1, 1), np.uint8))])
        except (ModelUnusable, RuntimeError):
            return False
        return True

    def threshold(self, study_type: StudyType | None) -> float:
        """Return the probability above which a view group of this study type is abnormal."""
        return self.card.threshold_for(study_type)

    def _logits(self, batch: Prepared) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Run (N, 3, S, S) float32 through the network; (N,) float64."""
        with torch.inference_mode():
            images = torch.from_numpy(batch).to(
                self.device, self._dtype, memory_format=torch.channels_last
            )
            logits: np.ndarray[tuple[int], np.dtype[np.float64]] = (
                self._network(images)[:, 0].to("cpu", torch.float64).numpy()
            )
        return logits


def _sigmoid(
    logits: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """By way of tanh, which overflows nowhere."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


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
