"""A model tried on images that every installation has: the same everywhere, made by arithmetic."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from triage.errors import ModelUnusable
from triage.model.preprocess import Grey
from triage.model.scorer import BATCH_SIZE, Scorer

# How far two passes over the same view may lie apart: exactly as far as the
# promise of float32 says, elsewhere as far as reduced precision may stray.
TOLERANCE = {"float32": 1e-6, "bfloat16": 0.01, "float16": 0.01}
SIDES = (400, 320)  # pixels, the height and width of a specimen


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of a model's trial on this machine."""

    probabilities: dict[str, float]  # by specimen
    spread: float  # largest difference between a view alone, again, and in a batch
    single: float  # seconds a view, one at a time
    batched: float  # seconds a view, in batches of BATCH_SIZE


def specimens() -> dict[str, Grey]:
    """Return the built-in images, (400, 320) uint8 each, by name."""
    height, width = SIDES
    y, x = np.mgrid[0:height, 0:width]
    across = np.abs(x - width / 2) / width
    shaft = np.where(across < 0.12, 210 - 600 * across, 70 * (across < 0.3))
    broken = np.where(np.abs(y - 200 - (x - width / 2) / 3) < 4, 60, shaft)
    return {
        name: np.clip(picture, 0, 255).astype(np.uint8)
        for name, picture in {
            "black": np.zeros(SIDES),
            "ramp": x * 255 / (width - 1),
            "shaft": shaft,
            "broken shaft": broken,
            "weave": (x * y) % 256,
        }.items()
    }


def try_out(scorer: Scorer) -> Trial:
    """Score the specimens singly, again, and in one batch.

    Raises ModelUnusable when the passes disagree by more than the precision explains.
    """
    pictures = specimens()
    prepared = [scorer.prepare(picture) for picture in pictures.values()]
    batch = [prepared[index % len(prepared)] for index in range(BATCH_SIZE)]
    scorer.score(batch)  # the first pass at a batch size sets its kernels up
    started = perf_counter()
    alone = [scorer.score([view])[0] for view in prepared]
    single = (perf_counter() - started) / len(prepared)
    started = perf_counter()
    scorer.score(batch)
    batched = (perf_counter() - started) / len(batch)
    passes = [
        alone,
        [scorer.score([view])[0] for view in prepared],
        scorer.score(prepared),
        scorer.score(prepared[::-1])[::-1],
    ]
    spread = float(np.ptp(np.array(passes), axis=0).max())
    if spread > TOLERANCE[scorer.precision]:
        raise ModelUnusable(
            f"{scorer.name}: the same image is scored {spread:.2g} apart from one time to the next "
            f"on {scorer.device} at model.precision={scorer.precision}; try model.device=cpu"
        )
    return Trial(
        probabilities=dict(zip(pictures, alone, strict=True)),
        spread=spread,
        single=single,
        batched=batched,
    )
