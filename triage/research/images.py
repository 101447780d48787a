"""The images of a training run: which, in what order, and read ahead of their turn.

Order and variation are drawn from the seed, the epoch and the place in it
alone, so neither the number of threads nor an interruption changes them.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from triage.core.studytype import StudyType
from triage.errors import ViewUnreadable
from triage.model.preprocess import Prepared, prepare, read_picture
from triage.research.augment import augment
from triage.research.mura import Split
from triage.research.recipe import Recipe

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One labelled image."""

    path: Path
    study: str  # of which it is a view; `LabelledStudy.key`
    study_type: StudyType
    abnormal: bool


def samples_of(split: Split, unreadable: frozenset[str] = frozenset()) -> tuple[Sample, ...]:
    """Return the images of a split without those named, in the order of its list."""
    return tuple(
        Sample(path=path, study=study.key, study_type=study.study_type, abnormal=study.abnormal)
        for study in split.studies
        for path in study.images
        if str(path) not in unreadable
    )


def digest(*splits: Split) -> str:
    """Return the SHA-256 of the list of files: split, study with its label, name, bytes."""
    lines = (
        f"{split.name} {study.key} {path.name} {path.stat().st_size}\n"
        for split in splits
        for study in split.studies
        for path in study.images
    )
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def order(samples: Sequence[Sample], recipe: Recipe, epoch: int) -> list[int]:
    """Return which sample stands where in an epoch (from 0), whole batches only.

    Balanced, an epoch is as many draws with replacement: each study type keeps
    its part of them, and within it either label has one half.
    """
    random = np.random.default_rng((recipe.seed, epoch, 0))
    count = len(samples)
    if recipe.balanced:
        chances = np.array(_chances(samples))
        drawn = random.choice(count, count, p=chances / chances.sum())
    else:
        drawn = random.permutation(count)
    places: list[int] = drawn[: count - count % recipe.batch].tolist()
    return places


def _chances(samples: Sequence[Sample]) -> list[float]:
    labels = Counter((sample.study_type, sample.abnormal) for sample in samples)
    types = Counter(sample.study_type for sample in samples)
    return [
        types[sample.study_type] / labels[sample.study_type, sample.abnormal] for sample in samples
    ]


def varied(sample: Sample, recipe: Recipe, epoch: int, place: int) -> Prepared:
    """Return a training image, (3, S, S) float32; raises ViewUnreadable."""
    random = np.random.default_rng((recipe.seed, epoch, 1 + place))
    return prepare(augment(read_picture(sample.path), recipe, random), recipe.preprocessing)


def plain(sample: Sample, recipe: Recipe) -> Prepared:
    """Return an image as the daemon would score it, (3, S, S) float32; raises ViewUnreadable."""
    return prepare(read_picture(sample.path), recipe.preprocessing)


def read_ahead(
    read: Callable[[Item], Result], items: Iterable[Item], *, workers: int, ahead: int
) -> Generator[Result, None, None]:
    """Yield what *read* makes of each item, in order, while threads make the next ones.

    Pillow lets go of the GIL while it decodes, scales and turns. *ahead* items
    at most are read before their turn.
    """
    waiting = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
    try:
        going: deque[Future[Result]] = deque()
        while True:
            going.extend(pool.submit(read, item) for item in islice(waiting, ahead - len(going)))
            if not going:
                return
            yield going.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def unreadable(samples: Sequence[Sample], workers: int) -> Iterator[str | None]:
    """Read every image once; yield what is wrong with it, None where it can be read."""

    def read(sample: Sample) -> str | None:
        try:
            read_picture(sample.path)
        except ViewUnreadable as error:
            return str(error)
        return None

    return read_ahead(read, samples, workers=workers, ahead=8 * workers)
