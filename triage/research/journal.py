"""A log of a training run that TensorBoard reads."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from triage.errors import TrainingFailed
from triage.extras import installing
from triage.research.train import Epoch, Step


class Journal:
    """Scalars by the number of steps since the run began.

    A run that goes on hides what it had written beyond *step*, the last step in
    its state. Raises TrainingFailed without the package tensorboard, or when the
    folder cannot be written.
    """

    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise TrainingFailed(
                f"--log needs the package tensorboard: {installing('train')}"
            ) from error
        try:
            self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1, flush_secs=10)
        except OSError as error:
            raise TrainingFailed(
                f"{folder}: the log cannot be written ({error.strerror or error})"
            ) from error

    def note(self, event: Step | Epoch) -> None:
        """Write down a step or an epoch; what is undefined is left out."""
        if isinstance(event, Step):
            place = (event.epoch - 1) * event.steps + event.step
            scalars: dict[str, float | None] = {
                "train/loss": event.loss,
                "train/learning_rate": event.learning_rate,
                "train/images_per_second": event.images / event.seconds,
            }
        else:
            place = event.epoch * event.steps
            scalars = {
                "valid/loss": event.validation_loss,
                "valid/auroc": event.auroc,
                "valid/kappa": event.kappa,
            }
        for name, value in scalars.items():
            if value is not None:
                self._writer.add_scalar(name, value, place)
        if isinstance(event, Epoch):
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        with suppress(OSError):
            self._writer.close()
