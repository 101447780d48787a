"""The state of a training run on the disk, so that a killed run goes on where it was.

It is one pickle of torch beside the checkpoint, read with ``weights_only``. No
state of a random generator is in it: order and variation of the images come
from the seed, the epoch and the place (`triage.research.images`), the learning
rate from the losses so far, and the network itself draws nothing.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from triage.errors import TrainingFailed, UsageError
from triage.model.durable import partial_of, replacing
from triage.research.recipe import Value

FORMAT = 1

Figures = dict[str, float | None]


@dataclass(kw_only=True)
class State:
    """Where a run is, between two steps."""

    claim: dict[str, Value]  # what the run is: its recipe, its images, its place
    unreadable: list[str]  # the images that it goes without
    network: dict[str, Tensor]
    pace: dict[str, Value]  # what may change, yet shifts the last digits
    optimiser: dict[str, Any] | None = None  # None before the first step
    averaged: dict[str, Tensor] | None = None  # the mean of the weights, once there is one
    averages: int = 0  # how many went into it
    epoch: int = 0  # that is under way, from 0
    step: int = 0  # made in this epoch
    loss: float = 0.0  # sum of this epoch's training losses, a step each
    rate: float = 0.0  # the learning rate of the last step
    # Of each finished epoch the fields of `triage.research.train.Epoch`.
    history: list[Figures] = field(default_factory=list)


def place_of(out: Path) -> Path:
    """Return where the state of the run that makes *out* is kept."""
    return out.with_name(f"{out.name}.resume")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep every other run from *path*, the state's place, until the block ends.

    Raises TrainingFailed where another run is on it.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise TrainingFailed(f"{lock}: cannot be written ({_reason(error)})") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise TrainingFailed(
            f"{path}: another run is writing it; wait for its end, or name another --out"
        ) from error
    try:
        yield
    finally:
        # Removed while it is held: who opened it before that is refused, and asks again.
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def save(path: Path, state: State) -> None:
    """Write the state; after a power cut there is the former or this one, whole.

    Raises TrainingFailed when it cannot be written.
    """
    content = {item.name: getattr(state, item.name) for item in fields(state)}
    try:
        with replacing(path) as stream:
            torch.save({"format": FORMAT, **content}, stream)
    except (OSError, RuntimeError) as error:  # RuntimeError: torch's writer, of a full disk
        raise TrainingFailed(
            f"{path}: the state of the run cannot be written ({_reason(error)}); "
            "make room, then give the same command again"
        ) from error


def load(path: Path) -> State | None:
    """Read a state; None where there is none. Raises TrainingFailed for a damaged one."""
    try:
        with path.open("rb") as stream:
            content = torch.load(stream, map_location="cpu", weights_only=True)
        if content.pop("format") != FORMAT:
            raise ValueError("it is of another version of triage")
        return State(**content)
    except FileNotFoundError:
        return None
    except Exception as error:  # over a damaged file torch raises whatever it stumbles on
        raise TrainingFailed(
            f"{path}: the state of the run cannot be read ({_reason(error)}); "
            "begin anew with --restart"
        ) from error


def discard(path: Path) -> None:
    """Remove the state and what a killed run left of one."""
    path.unlink(missing_ok=True)
    partial_of(path).unlink(missing_ok=True)


def check(state: State, claim: Mapping[str, Value], path: Path) -> None:
    """Raise UsageError when the state is another run's, naming every difference."""
    if found := differences(state.claim, claim):
        raise UsageError(
            f"{path}: the run was begun with {', '.join(found)}; "
            "give the former command to go on with it, or add --restart to begin anew"
        )


def differences(former: Mapping[str, Value], now: Mapping[str, Value]) -> list[str]:
    """Name what has another value now."""
    return [
        f"{name} {former.get(name)} (now {now.get(name)})"
        for name in dict.fromkeys([*former, *now])
        if former.get(name) != now.get(name)
    ]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__
