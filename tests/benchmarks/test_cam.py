"""What the class activation maps cost, against scoring without them. See README.md for the figures."""

import statistics
import time

import numpy as np
import pytest
import torch

from tests.support.models import EXACT
from triage.model import cam, checkpoint
from triage.model.card import Card, Preprocessing
from triage.model.densenet import densenet169
from triage.model.scorer import Scorer

pytestmark = pytest.mark.benchmark

ROUNDS = 20
LEAST = 0.95  # of the views a second without maps


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    path = tmp_path_factory.mktemp("cam") / "random.safetensors"
    card = Card(
        name="random",
        version="1",
        training_data="none",
        licence="CC0",
        preprocessing=Preprocessing(size=224),
    )
    torch.manual_seed(169)
    checkpoint.save(path, densenet169().state_dict(), card)
    return Scorer(path, **EXACT)


def test_a_map_costs_next_to_nothing(scorer, report_figure):
    """In turn, the same views: torchvision's own forward pass, and ours with the maps packed."""
    side = scorer.card.preprocessing.size
    random = np.random.default_rng(1)
    views = [
        scorer.prepare(random.integers(0, 256, (side, side), dtype=np.uint8))
        for _ in range(scorer.batch)
    ]
    _, network = checkpoint.load(scorer.paths[0])
    network = network.to(memory_format=torch.channels_last)

    def without():
        with torch.inference_mode():
            batch = torch.from_numpy(np.stack(views)).to(memory_format=torch.channels_last)
            return torch.sigmoid(network(batch)[:, 0].double()).tolist()

    def with_maps():
        found = scorer.explain(views)
        maps = [cam.pack(scored.map, side, "squeeze") for scored in found]
        assert len(maps) == len(views)
        return [scored.probability for scored in found]

    assert with_maps() == pytest.approx(without(), abs=1e-6)
    plain, whole, spent = [], [], []
    for number in range(ROUNDS):  # in turn, so that other work on the machine meets both
        for work, times in ((without, plain), (with_maps, whole))[:: (-1) ** number]:
            # Of the processor, all threads: what other work on the machine takes is not in it.
            began, clock = time.process_time(), time.perf_counter()
            work()
            times.append((time.process_time() - began) / scorer.batch)
            spent.append((times, (time.perf_counter() - clock) / scorer.batch))

    ratio = statistics.median(plain) / statistics.median(whole)
    waited = [statistics.median(t for of, t in spent if of is times) for times in (plain, whole)]
    report_figure(
        f"maps at {side} pixels: {statistics.median(plain) * 1000:.1f} ms of processor time a view "
        f"without, {statistics.median(whole) * 1000:.1f} ms with   throughput {ratio:.3f}, "
        f"at least {LEAST}   by the clock {waited[0] * 1000:.1f} and {waited[1] * 1000:.1f} ms: "
        f"{waited[0] / waited[1]:.3f}"
    )
    assert ratio >= LEAST
