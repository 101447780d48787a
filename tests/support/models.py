"""Models for tests; apart from conftest.py, because torch takes seconds to import."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tests.support.studies import picture
from triage.core.studytype import StudyType
from triage.model import checkpoint
from triage.model.card import Card, Preprocessing
from triage.model.densenet import densenet169
from triage.model.scorer import Scorer

# How numbers are computed that must be equal.
EXACT = {"device": "cpu", "backend": "torch", "precision": "float32"}

RANDOM = Card(
    name="random",
    version="1",
    training_data="none",
    licence="CC0",
    preprocessing=Preprocessing(size=64),
)


def score_directly(model: Path, pictures: Sequence[Any]) -> list[float]:
    """Score pictures, (H, W) uint8, with nothing of the daemon around the network.

    On one thread: several would wait for each other where other tests keep the cores busy.
    """
    scorer = Scorer(model, **EXACT, threads=1)
    return scorer.score([scorer.prepare(pixels) for pixels in pictures])


def accepting(model: Path, folder: Path, *study_types: str) -> Path:
    """Copy a checkpoint into *folder* with a card that accepts these study types alone."""
    card, network = checkpoint.load(model)
    path = folder / "accepting.safetensors"
    accepted = tuple(StudyType(name) for name in study_types)
    checkpoint.save(path, network.state_dict(), replace(card, accepted=accepted))
    return path


def moved(model: Path, folder: Path, *, bias: float) -> Path:
    """Copy a checkpoint into *folder*, its output moved by *bias*, its name another."""
    card, network = checkpoint.load(model)
    state = network.state_dict()
    state["classifier.bias"] = state["classifier.bias"] + bias
    path = folder / "moved.safetensors"
    checkpoint.save(path, state, replace(card, name="moved"))
    return path


def save_untrained(path: Path, size: int) -> Path:
    """Write a DenseNet-169 that was never trained, for views of *size* pixels; return the path."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(169)
        weights = densenet169().state_dict()
    checkpoint.save(path, weights, replace(RANDOM, preprocessing=Preprocessing(size=size)))
    return path


def save_random(path: Path) -> None:
    """Write a DenseNet-169 that was never trained.

    Its last layer is moved so that the made-up pictures fall on both sides of
    0.5, a thousandth and more apart.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(169)
        weights = densenet169().state_dict()
    checkpoint.save(path, weights, RANDOM)
    probabilities = torch.tensor(score_directly(path, [picture(number) for number in range(16)]))
    weights["classifier.bias"] = (weights["classifier.bias"] - probabilities.logit().median()) * 4
    weights["classifier.weight"] = weights["classifier.weight"] * 4
    checkpoint.save(path, weights, RANDOM)
