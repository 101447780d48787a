"""A network that was taught to see a lesion shows where it is: trained here, on made-up images."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support.models import EXACT
from triage.model import cam, checkpoint
from triage.model.card import Card, Preprocessing
from triage.model.densenet import densenet169
from triage.model.preprocess import prepare
from triage.model.scorer import Scorer

SIDE = 128  # pixels: a map of 4 x 4 cells
LESION = 64  # pixels, twice the height and the width of a cell
STEPS, BATCH, RATE = 8, 8, 1e-3
MOMENTUM = 0.3  # of the statistics: a tenth a step would still be of the beginning after so few
CASES = 40
CARD = Card(
    name="planted",
    version="1",
    training_data="made up",
    licence="CC0",
    preprocessing=Preprocessing(size=SIDE),
)


def blot(pattern, top, left):
    """Return an image that is zero but for a patch of *pattern*."""
    image = np.zeros((SIDE, SIDE))
    image[top : top + LESION, left : left + LESION] = pattern
    return image


def view(random, *, abnormal):
    """Return noise over uneven ground with a bright patch, (SIDE, SIDE) uint8, and the lesion.

    The lesion, which only an abnormal view has, is striped and on the whole no brighter than
    its surroundings. It is given as top and left.
    """
    ground = np.kron(random.random((4, 4)), np.ones((SIDE // 4, SIDE // 4)))
    image = 90 + 40 * ground + random.normal(0, 15, (SIDE, SIDE))
    image += blot(50, *random.integers(0, SIDE - LESION + 1, 2))
    top, left = random.integers(0, SIDE - LESION + 1, 2)
    if abnormal:
        rows, columns = np.mgrid[0:LESION, 0:LESION]
        image += blot(np.where((rows + columns) // 4 % 2, 35, -35), top, left)
    return np.clip(image, 0, 255).astype(np.uint8), (int(top), int(left))


def train(random):
    """Return the weights of a network that has learnt to tell views with a lesion."""
    network = densenet169().to(memory_format=torch.channels_last).train()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = MOMENTUM
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    labels = torch.arange(BATCH) % 2
    for _ in range(STEPS):
        views = [view(random, abnormal=bool(label))[0] for label in labels]
        batch = np.stack([prepare(grey, CARD.preprocessing) for grey in views])
        logits = network(torch.from_numpy(batch).to(memory_format=torch.channels_last))[:, 0]
        optimiser.zero_grad()
        functional.binary_cross_entropy_with_logits(logits, labels.float()).backward()
        optimiser.step()
    return network.state_dict()


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in (1, 2))])
def test_the_peak_of_the_map_lies_in_the_lesion(seed, tmp_path, report_figure):
    torch.manual_seed(seed)
    checkpoint.save(tmp_path / "planted.safetensors", train(np.random.default_rng(seed)), CARD)
    scorer = Scorer(tmp_path / "planted.safetensors", **EXACT, threads=1)
    fresh = np.random.default_rng(1000 + seed)
    cases = [view(fresh, abnormal=number % 2 == 1) for number in range(CASES)]

    found = scorer.explain([scorer.prepare(grey) for grey, _ in cases])

    right = [(scored.probability > 0.5) == bool(n % 2) for n, scored in enumerate(found)]
    hits = []
    for (grey, (top, left)), scored in list(zip(cases, found, strict=True))[1::2]:
        activation = cam.upscale(cam.pack(scored.map, SIDE, "squeeze"), grey.shape)
        row, column = np.unravel_index(activation.argmax(), grey.shape)
        hits.append(top <= row < top + LESION and left <= column < left + LESION)
    report_figure(
        f"planted lesion, seed {seed}: the peak lies in {sum(hits)} of {len(hits)}, "
        f"{sum(right)} of {len(right)} views told right"
    )
    assert sum(hits) >= 0.9 * len(hits)
    assert sum(right) >= 0.9 * len(right)
