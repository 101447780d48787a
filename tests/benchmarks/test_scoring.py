"""How fast views are scored, against the plain loop. See README.md for the figures."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom import dcmread

from tests.support import studies
from triage.core.selection import Rules
from triage.model import checkpoint
from triage.model.card import IMAGENET_MEAN, IMAGENET_STD
from triage.model.cores import usable_cores
from triage.model.engines.build import engine_of
from triage.model.engines.kinds import FASTEST_FIRST, lack, pays
from triage.model.folding import fold
from triage.model.scorer import Scorer
from triage.pipeline import offline
from triage.pipeline.gather import OfflineStudy, gather

pytestmark = [pytest.mark.benchmark, pytest.mark.fracatlas]

SIDE = 224
SIZES = (1, 2, 4, 8, 16)
ROUNDS = 3
OBJECTS = 400
SLICES = 4  # of the objects, by turns the one way and the other
LEAST = 4.0  # times as fast as the plain loop


@pytest.fixture(scope="module")
def model(random_model, tmp_path_factory):
    """A network of the reference model's kind and input; its weights do not matter here."""
    card, network = checkpoint.load(random_model)
    path = tmp_path_factory.mktemp("scoring") / "model.safetensors"
    preprocessing = replace(card.preprocessing, size=SIDE)
    checkpoint.save(path, network.state_dict(), replace(card, preprocessing=preprocessing))
    return path


@pytest.fixture(autouse=True)
def threads():
    torch.set_num_threads(usable_cores())


def test_engines_side_by_side(model, report_figure):
    """The same views through each engine that is here, and one at a time through torchvision."""
    module = checkpoint.load(model)[1]
    views = np.random.default_rng(1).normal(size=(max(SIZES), 3, SIDE, SIDE)).astype(np.float32)
    kinds = [
        kind for kind in FASTEST_FIRST if kind.device == "cpu" and pays(kind) and not lack(kind)
    ]
    network = fold(module)
    engines = {
        str(kind): engine_of(kind, network, side=SIDE, threads=usable_cores()) for kind in kinds
    }

    def plain(batch):
        with torch.inference_mode():
            module(torch.from_numpy(batch))

    runs = {"torchvision, eager float32": plain} | {
        name: engine.run for name, engine in engines.items()
    }
    for size in SIZES:
        batch = views[:size]
        spent: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(ROUNDS + 1):
            for name, run in runs.items():
                took = seconds(lambda run=run, batch=batch: run(batch))
                if number:  # the first at a size sets kernels up
                    spent[name].append(took / size)
        report_figure(
            f"batch {size:2}: "
            + "   ".join(
                f"{name} {1 / statistics.median(times):.1f}/s (best {1 / min(times):.1f})"
                for name, times in spent.items()
            )
        )


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@pytest.fixture(scope="module")
def objects(fracatlas, tmp_path_factory):
    """Folders of DX objects of FracAtlas's radiographs, one a study."""
    files = sorted((fracatlas / "FracAtlas-MURA").glob("*/*/*/*/*.jpg"))
    files = files[:: len(files) // OBJECTS][:OBJECTS]
    folders = [tmp_path_factory.mktemp(f"slice{number}") for number in range(SLICES)]
    for number, file in enumerate(files):
        folder = folders[number % SLICES]
        made = studies.make(f"SCORING{number}", studies.read_picture(file))
        studies.write(folder, made)
    return folders


def test_a_folder_is_scored_faster_than_by_the_plain_loop(model, objects, report_figure):
    """`triage score` without its start-up, against pydicom and torchvision one view at a time."""
    scorer = Scorer(model)
    module = checkpoint.load(model)[1]
    spent: dict[str, list[float]] = {"plain": [], "triage": []}
    furthest = 0.0
    for folder in objects:
        began = time.perf_counter()
        expected = [plainly_scored(module, file) for file in sorted(folder.iterdir())]
        spent["plain"].append(time.perf_counter() - began)
        with offline.Decoders(usable_cores()) as decoders:
            score(scorer, objects[0], decoders)  # all has started and is warm
            began = time.perf_counter()
            scored = score(scorer, folder, decoders)
            spent["triage"].append(time.perf_counter() - began)
        found = [view.verdict.probability for study in scored for view in study.views]
        furthest = max(furthest, float(np.abs(np.subtract(found, expected)).max()))

    rates = {name: OBJECTS / sum(times) for name, times in spent.items()}
    ratio = rates["triage"] / rates["plain"]
    report_figure(
        f"{OBJECTS} FracAtlas DX objects at {SIDE} x {SIDE}: plain loop {rates['plain']:.1f}/s, "
        f"triage score {rates['triage']:.1f}/s ({scorer.choice.kind}, {usable_cores()} cores)   "
        f"{ratio:.1f} times as fast, at least {LEAST}   a probability {furthest:.4f} apart at most"
    )
    assert furthest <= 0.02  # the plain loop's scaling is its own
    assert ratio >= LEAST


def score(scorer: Scorer, folder: Path, decoders: offline.Decoders) -> list[OfflineStudy]:
    """What `triage score` does once it has started."""
    gathered = gather([folder], study_type=None, rules=Rules())
    offline.score_studies(scorer, gathered.studies, decoders)
    return gathered.studies


def plainly_scored(module: torch.nn.Module, file) -> float:
    pixels = dcmread(file).pixel_array
    scaled = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    grey = np.asarray(scaled, np.float32) / 255
    view = (grey[..., None] - IMAGENET_MEAN) / IMAGENET_STD
    with torch.inference_mode():
        batch = torch.from_numpy(view.astype(np.float32).transpose(2, 0, 1)[None])
        return float(torch.sigmoid(module(batch)[0, 0]))
