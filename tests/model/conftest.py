"""A real DenseNet-169 with random weights, and checkpoints of it."""

import shutil
from pathlib import Path

import pytest
import torch

from triage.model import checkpoint
from triage.model.card import Card, Preprocessing
from triage.model.densenet import densenet169


@pytest.fixture(scope="session")
def weights():
    """A state dict in float16 without counters, as weights are passed on."""
    torch.manual_seed(169)
    return {
        name: tensor.half()
        for name, tensor in densenet169().state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


@pytest.fixture(scope="session")
def card():
    return Card(
        name="random",
        version="1",
        training_data="none",
        licence="CC0",
        preprocessing=Preprocessing(size=64),
    )


@pytest.fixture
def save(weights, tmp_path):
    """Return a function that writes a checkpoint with a card."""

    def save(card, name="model.safetensors") -> Path:
        checkpoint.save(tmp_path / name, weights, card)
        return tmp_path / name

    return save


@pytest.fixture(scope="session")
def pristine(weights, card, tmp_path_factory):
    """A checkpoint that no test changes."""
    path = tmp_path_factory.mktemp("pristine") / "model.safetensors"
    checkpoint.save(path, weights, card)
    return path


@pytest.fixture
def saved(pristine, tmp_path):
    """A checkpoint for this test alone."""
    return Path(shutil.copy(pristine, tmp_path))
