"""A model tried on the built-in images: the same view, the same probability."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from triage.errors import ModelUnusable
from triage.model.scorer import Scorer
from triage.model.specimens import specimens

# How far two passes over the same view may lie apart: exactly as far as the
# promise of float32 says, elsewhere as far as reduced precision may stray.
TOLERANCE = {"float32": 1e-6, "bfloat16": 0.01, "float16": 0.01}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of a model's trial on this machine."""

    probabilities: dict[str, float]  # by specimen
    spread: float  # largest difference between a view alone, again, and in a batch
    single: float  # seconds a view, one at a time
    batched: float  # seconds a view, in batches as large as they get


def try_out(scorer: Scorer) -> Trial:
    """Score the specimens singly, again, and in one batch.

    Raises ModelUnusable when the passes disagree by more than the precision explains.
    """
    pictures = specimens()
    prepared = [scorer.prepare(picture) for picture in pictures.values()]
    batch = [prepared[index % len(prepared)] for index in range(scorer.batch)]
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
