"""A small department's studies: what is scored, what cannot be, and what lies beside it."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from pydicom.dataset import Dataset

from tests.support import objects, studies
from tests.support.studies import Sample, picture
from triage.core.study import Side


def write(folder: Path, size: int, *, name: str = "DEPT") -> list[Sample]:
    """Write *size* studies into *folder*; return their objects in the order of sending.

    Eight kinds take turns, 19 objects; no two views have the same pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = (picture(number) for number in count(1000))
    return [
        studies.write(folder, dataset)
        for number in range(size)
        for dataset in _study(f"{name}{number:03}", number % 8, pictures)
    ]


def _study(name: str, kind: int, pictures: Iterator[object]) -> Iterator[Dataset]:
    """Yield the objects of one study."""
    views = {0: 1, 1: 3, 2: 4, 3: 2, 5: 2, 6: 1}
    for number in range(1, views.get(kind, 0) + 1):
        yield studies.make(name, next(pictures), number)
    if kind == 3:  # both hands
        for number in (3, 4):
            yield studies.make(name, next(pictures), number, side=Side.RIGHT)
    if kind in (4, 5):  # a report alone, and one beside its images
        yield objects.report(name)
    if kind == 6:
        yield objects.truncated(name, next(pictures), 2)
    if kind == 7:  # nobody says what it shows
        yield studies.make(name, next(pictures), 1, study_type=None)
