"""An NVIDIA GPU measured: torch's ways to run the network, and radiographs from file to score.

    python -m tests.benchmarks.gpu [FILE]

takes under four minutes and prints one JSON document, which FILE gets too, part by part. It needs
what scoring needs, and nothing of DCMTK's. See README.md for the figures.
"""

import json
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.dicom import radiograph
from triage.model import checkpoint, densenet
from triage.model.cores import usable_cores
from triage.model.engines.cuda import CudaEngine
from triage.model.engines.pytorch import Arithmetic, TorchEngine
from triage.model.folding import fold
from triage.model.preprocess import prepare
from triage.model.reference import packaged
from triage.model.scorer import Scorer
from triage.model.specimens import specimens
from triage.pipeline import offline
from triage.pipeline.gather import OfflineStudy, OfflineView
from triage.pipeline.views import Source
from triage.research.phantoms import expose, hand

SIDE = 224
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
OPERATIONS = 2 * 3.36e9  # of one view: a multiplication and an addition each (torchvision's count)
VIEW_BYTES = 3 * SIDE * SIDE * 4  # of a prepared view, as it is copied to the device
SPEND = 0.35  # seconds for one figure
BUDGET = 230.0  # seconds for all; what has not begun by then is left out
STARTED = time.monotonic()

found: dict[str, Any] = {}


@contextmanager
def part(name: str) -> Iterator[dict[str, Any]]:
    """Gather the figures of a part; one that fails says so and lets the others run."""
    figures: dict[str, Any] = {}
    found[name] = figures
    began = time.monotonic()
    if began - STARTED > BUDGET:
        figures["left_out"] = "no time"
    try:
        yield figures
    except Exception as error:
        figures["failed"] = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    figures["took_seconds"] = round(time.monotonic() - began, 1)
    sys.stderr.write(f"{name}: {figures['took_seconds']} s\n")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(found, indent=1), "utf-8")


def in_time(seconds: float = BUDGET) -> bool:
    return time.monotonic() - STARTED < seconds


def seconds(work: Callable[[], object], spend: float = SPEND) -> float:
    """Return the median time of a run, all on the device being through."""
    for _ in range(2):
        work()
    torch.cuda.synchronize()
    times, until = [], time.perf_counter() + spend
    while len(times) < 5 or (time.perf_counter() < until and len(times) < 200):
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def views(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)


def machine(figures: dict[str, Any]) -> None:
    figures["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    figures["chip"] = torch.cuda.get_device_name()
    figures["torch"], figures["cuda"] = torch.__version__, torch.version.cuda
    figures["python"], figures["cores"] = sys.version.split()[0], usable_cores()


def ceilings(figures: dict[str, Any]) -> None:
    edge = 8192
    for name in ("float16", "bfloat16", "float32"):
        a, b = (torch.randn(edge, edge, device="cuda", dtype=TYPES[name]) for _ in range(2))
        took = seconds(lambda a=a, b=b: a @ b, 1.0)
        figures[f"matmul_{name}_tflops"] = round(2 * edge**3 / took / 1e12, 1)
    pinned = torch.empty(1 << 28, dtype=torch.uint8, pin_memory=True)
    device = torch.empty_like(pinned, device="cuda")
    took = seconds(lambda: device.copy_(pinned, non_blocking=True), 1.0)
    figures["host_to_device_gbs"] = round(len(pinned) / took / 1e9, 1)
    other = torch.empty_like(device)
    took = seconds(lambda: other.copy_(device), 0.5)
    figures["device_to_device_gbs"] = round(2 * len(pinned) / took / 1e9, 1)


def rates(figures: dict[str, Any]) -> None:
    """Views a second of a batch that lies on the device, by precision, way and size."""
    network = checkpoint.read(packaged()).network
    folded = fold(network)
    for name, dtype in TYPES.items():
        plain = checkpoint.read(packaged()).network.to("cuda", dtype)
        last = checkpoint.read(packaged()).network.to("cuda", dtype)
        last = last.to(memory_format=torch.channels_last)
        own = Arithmetic(folded, "cuda", dtype)
        ways: dict[str, Callable[[torch.Tensor], object]] = {
            "eager": partial(densenet.explain, plain),
            "channels_last": partial(densenet.explain, last),
            "folded": own,
        }
        for size in SIZES:
            if not in_time():
                return
            images = torch.from_numpy(views(size)).to("cuda", dtype)
            in_last = images.to(memory_format=torch.channels_last)
            with torch.inference_mode():
                for way, run in ways.items():
                    given = images if way == "eager" else in_last
                    took = seconds(partial(run, given))
                    figures[f"{name} {way} {size}"] = round(size / took, 1)
                for way in ("channels_last", "folded"):
                    replay = _graph(partial(ways[way], in_last))
                    took = seconds(replay)
                    figures[f"{name} {way} graph {size}"] = round(size / took, 1)


def _graph(work: Callable[[], object]) -> Callable[[], None]:
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    stream.synchronize()
    with torch.cuda.graph(graph, stream=stream):
        work()
    return graph.replay


def engines(figures: dict[str, Any]) -> None:
    """The engine as it is used: from the host's memory and back, with both copies."""
    folded = fold(checkpoint.read(packaged()).network)
    reference = TorchEngine(folded, dtype=torch.float32)
    pictures = np.stack([prepare(each, _preprocessing()) for each in specimens().values()])
    right = reference.run(pictures)
    for name, dtype in TYPES.items():
        began = time.perf_counter()
        engine = CudaEngine(folded, side=SIDE, dtype=dtype)
        figures[f"{name} start seconds"] = round(time.perf_counter() - began, 2)
        given = engine.run(pictures)
        difference = np.abs(_probability(given.logits) - _probability(right.logits)).max()
        figures[f"{name} probability differs by"] = float(difference)
        figures[f"{name} map differs by"] = float(np.abs(given.maps - right.maps).max())
        for size in (1, 2, 3, 4, 8, 16, 32):
            batch = views(size)
            took = seconds(lambda engine=engine, batch=batch: engine.run(batch))
            figures[f"{name} rate {size}"] = round(size / took, 1)
            figures[f"{name} latency {size} ms"] = round(took * 1000, 2)
        del engine
        torch.cuda.empty_cache()
    figures["memory of the process MiB"] = torch.cuda.max_memory_reserved() >> 20


def _preprocessing() -> Any:
    return checkpoint.read(packaged()).card.preprocessing


def _probability(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def end_to_end(figures: dict[str, Any]) -> None:
    """Radiographs of 2500 x 2000 and 12 bits, native, by real decoders into the real scorer."""
    began = time.perf_counter()
    scorer = Scorer(packaged())
    figures["start seconds"] = round(time.perf_counter() - began, 2)
    figures["engine"], figures["why"] = str(scorer.choice.kind), scorer.choice.why
    figures["others"] = scorer.choice.others
    with tempfile.TemporaryDirectory() as folder:
        files = _radiographs(Path(folder), 24)
        for count in (3, 1200):
            studies = [_study([files[number % len(files)] for number in range(count)])]
            with offline.decoders_for(studies) as decoders:
                decoders.ready()
                time.sleep(3)  # all of them have started
                decoders.tend()
                began = time.perf_counter()
                offline.score_studies(scorer, studies, decoders)
                took = time.perf_counter() - began
            assert all(view.status == "scored" for view in studies[0].views)
            figures[f"{count} views a second"] = round(count / took, 1)
            figures[f"{count} views seconds"] = round(took, 3)


def _radiographs(folder: Path, count: int) -> list[Path]:
    wrist = replace(hand.wrist_pa(), size=(200.0, 250.0), pixel=0.1)
    pixels = expose(wrist, Side.RIGHT, seed=(0, 0, 0)).pixels
    files = []
    for number in range(count):
        header = radiograph.StudyHeader(
            study_instance_uid=radiograph.uid("study", f"gpu{number}"), study_type=StudyType.WRIST
        )
        files.append(folder / f"{number}.dcm")
        moved = np.roll(pixels, 37 * number, axis=1)
        radiograph.save(radiograph.digital_radiograph(moved, header), files[-1])
    return files


def _study(files: list[Path]) -> OfflineStudy:
    return OfflineStudy(
        study_instance_uid="1.2.3",
        views=[
            OfflineView(
                path=file, frame=1, source=Source(study_type=StudyType.WRIST, path=file, frame=1)
            )
            for file in files
        ],
    )


def compiled(figures: dict[str, Any]) -> None:
    """torch.compile, which needs a compiler at hand: last, as it takes long to begin."""
    folded = fold(checkpoint.read(packaged()).network)
    for size in (32, 3):
        torch._dynamo.reset()
        last = checkpoint.read(packaged()).network.to("cuda", torch.float16)
        last = last.to(memory_format=torch.channels_last)
        images = torch.from_numpy(views(size)).to("cuda", torch.float16)
        images = images.to(memory_format=torch.channels_last)
        for way, run in (
            ("torchvision", partial(densenet.explain, last)),
            ("folded", Arithmetic(folded, "cuda", torch.float16)),
        ):
            if not in_time(BUDGET - 60):  # it may take a minute to begin
                return
            with torch.inference_mode():
                began = time.perf_counter()
                made = torch.compile(run, dynamic=False)
                made(images)
                torch.cuda.synchronize()
                figures[f"{way} start seconds {size}"] = round(time.perf_counter() - began, 1)
                took = seconds(partial(made, images))
                figures[f"{way} {size}"] = round(size / took, 1)
                took = seconds(_graph(partial(made, images)))
                figures[f"{way} graph {size}"] = round(size / took, 1)


def percentages(figures: dict[str, Any]) -> None:
    """How much of the ceilings the engine's best rate takes."""
    for name in ("float16", "bfloat16"):
        best = max(
            value for key, value in found["engines"].items() if key.startswith(f"{name} rate")
        )
        on_device = max(
            value for key, value in found["rates"].items() if key.startswith(f"{name} folded graph")
        )
        top = found["ceilings"][f"matmul_{name}_tflops"] * 1e12
        figures[f"{name} arithmetic"] = round(100 * on_device * OPERATIONS / top, 1)
        copy = found["ceilings"]["host_to_device_gbs"] * 1e9
        figures[f"{name} copy"] = round(100 * best * VIEW_BYTES / copy, 1)


def main() -> None:
    for work in (machine, ceilings, engines, end_to_end, rates, compiled, percentages):
        with part(work.__name__) as figures:
            if not figures:
                work(figures)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
