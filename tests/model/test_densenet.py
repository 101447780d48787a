"""The network is torchvision's DenseNet-169, and comes without what torchvision brings."""

import subprocess
import sys

import pytest
import torch
from torchvision import models

from tests.support.daemon import environment
from triage.model.densenet import densenet169


@pytest.fixture(scope="module")
def twins():
    """Ours and torchvision's, drawn from the same seed."""
    made = []
    for make in (densenet169, lambda: models.densenet169(num_classes=1)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(169)
            made.append(make())
    return made


def test_it_has_torchvisions_names_and_begins_with_its_weights(twins):
    ours, theirs = (network.state_dict() for network in twins)

    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("learning", [True, False])
def test_it_gives_torchvisions_numbers_to_the_last_digit(twins, learning):
    views = torch.linspace(-2, 2, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64)

    ours, theirs = (network.train(learning)(views) for network in twins)

    assert ours.shape == (2, 1)
    assert torch.equal(ours, theirs)


def test_it_learns_as_torchvisions_does(twins):
    views = torch.linspace(-2, 2, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)

    for network in twins:
        network.train().zero_grad()
        network(views).square().sum().backward()

    pairs = zip(*(network.parameters() for network in twins), strict=True)
    assert all(torch.equal(one.grad, other.grad) for one, other in pairs)


LOAD = """
import sys
from pathlib import Path
from triage.model.scorer import Scorer
Scorer(Path(sys.argv[1]), device="cpu", backend="torch", precision="float32")
print(*sorted({"torchvision", "torch._dynamo", "sympy", "openvino"} & sys.modules.keys()))
"""


def test_loading_a_model_brings_in_no_compiler(random_model):
    """Each of them takes a scoring process as long to import as all it needs together."""
    command = [sys.executable, "-c", LOAD, str(random_model)]

    brought = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=True
    ).stdout

    assert brought.split() == []
