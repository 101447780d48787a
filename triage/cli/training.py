"""A training run at the terminal: what it shows, how it is stopped, and what it came to.

It shows a bar on standard error, or a line now and then where that is no terminal.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from triage.cli.output import print_json, print_table

if TYPE_CHECKING:
    from triage.research.train import Epoch, Step

EVERY = 10.0  # seconds between two lines
MEMORY = 0.95  # of the pace; the part that the steps before the last have in it


class Pace:
    """How fast it goes, and how long it still takes, both smoothed."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._per_image: float | None = None  # seconds
        self._validating = 0.0  # seconds, the last time
        self._step_ended = monotonic()

    def step(self, step: "Step") -> None:
        """Take a step into account."""
        now = step.seconds / step.images
        former = now if self._per_image is None else self._per_image
        self._per_image = MEMORY * former + (1 - MEMORY) * now
        self._step_ended = monotonic()

    def epoch(self) -> None:
        """Take the validation that has just ended into account."""
        self._validating = monotonic() - self._step_ended

    @property
    def speed(self) -> str:
        """How fast it goes; nothing before the first step."""
        return f", {1 / self._per_image:.1f} images/s" if self._per_image else ""

    def left(self, step: "Step") -> float:
        """Return the seconds from this step to the end of the run."""
        epochs = self._epochs - step.epoch
        steps = epochs * step.steps + step.steps - step.step
        return steps * step.images * (self._per_image or 0) + (epochs + 1) * self._validating


class Display:
    """The progress of a run with so many epochs, *done* of whose steps are made already."""

    def __init__(self, epochs: int, steps: int, done: int) -> None:
        console = Console(stderr=True)
        self._lines = not console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
            transient=True,
            disable=self._lines,
        )
        self._task = self._bar.add_task("", total=epochs * steps, completed=done, figures="")
        self._epochs, self._pace = epochs, Pace(epochs)
        self._spoken = monotonic()

    def __enter__(self) -> "Display":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, step: "Step") -> None:
        """Show a step."""
        self._pace.step(step)
        where = f"epoch {step.epoch}/{self._epochs}, step {step.step}/{step.steps}"
        figures = f"loss {step.loss:.4f}{self._pace.speed}, {_clock(self._pace.left(step))} left"
        done = (step.epoch - 1) * step.steps + step.step
        self._bar.update(self._task, completed=done, description=where, figures=figures)
        if self._lines and monotonic() - self._spoken >= EVERY:
            self.say(f"{where}: {figures}")
            self._spoken = monotonic()

    def epoch(self, epoch: "Epoch") -> None:
        """Show an epoch."""
        self._pace.epoch()
        self.say(
            f"epoch {epoch.epoch}/{self._epochs}: training loss {epoch.training_loss:.4f}, "
            f"validation loss {epoch.validation_loss:.4f}, AUROC {_figure(epoch.auroc)}, "
            f"kappa {_figure(epoch.kappa)}{self._pace.speed}" + ("; kept" if epoch.kept else "")
        )

    def say(self, sentence: str) -> None:
        """Print a line above the bar."""
        if self._lines:
            typer.echo(sentence, err=True)
        else:
            self._bar.console.print(sentence, markup=False, highlight=False)


def _figure(value: float | None) -> str:
    """Write a figure that may be undefined."""
    return "n/a" if value is None else f"{value:.3f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and SIGTERM end the run between two steps; a second one ends it at once."""
    wishes: list[int] = []

    def wish(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if wishes:
            raise KeyboardInterrupt
        wishes.append(number)

    former = {number: signal.signal(number, wish) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(wishes)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def report(out: Path, history: list[dict[str, Any]], *, as_json: bool) -> None:
    """Show what became of each epoch of a run that wrote *out*, and which was kept."""
    kept = [epoch["epoch"] for epoch in history if epoch["kept"]]
    if as_json:
        print_json({"path": out, "kept": kept[-1], "epochs": history})
        return
    print_table(
        ["epoch", "training loss", "validation loss", "AUROC", "kappa", "learning rate", ""],
        [
            [
                str(epoch["epoch"]),
                f"{epoch['training_loss']:.4f}",
                f"{epoch['validation_loss']:.4f}",
                _figure(epoch["auroc"]),
                _figure(epoch["kappa"]),
                f"{epoch['learning_rate']:g}",
                "kept" if epoch["epoch"] == kept[-1] else "",
            ]
            for epoch in history
        ],
        title=f"{out}: the network of epoch {kept[-1]}",
    )
