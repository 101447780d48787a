"""Little data sets in MURA's layout."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.studies import picture
from triage.core.studytype import StudyType


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A study to be made."""

    patient: int
    abnormal: bool = False
    split: str = "train"
    study_type: StudyType = StudyType.HAND
    number: int = 1  # of the patient's studies
    images: int | tuple[Any, ...] = 1  # how many made-up ones, or pictures, (H, W) uint8

    @property
    def folder(self) -> str:
        """The study's folder below the root."""
        name = f"study{self.number}_{'positive' if self.abnormal else 'negative'}"
        return f"{self.split}/XR_{self.study_type.upper()}/patient{self.patient:05}/{name}"


# Two types, both labels, in both splits; the third study has two views.
STUDIES = (
    Listed(patient=1),
    Listed(patient=2, abnormal=True),
    Listed(patient=3, abnormal=True, images=2, study_type=StudyType.WRIST),
    Listed(patient=4, study_type=StudyType.WRIST),
    Listed(patient=5, split="valid"),
    Listed(patient=6, split="valid", abnormal=True),
)


def make_dataset(
    root: Path, studies: Iterable[Listed] = STUDIES, *, called: str = "MURA-v1.1", kind: str = "png"
) -> Path:
    """Write the studies with their lists into *root* and return it.

    *called* is the folder that the lists name, *kind* the images' format. Every
    made-up image is another one, and always the same.
    """
    numbers = count()
    lists: dict[str, list[str]] = defaultdict(list)
    for study in studies:
        folder = root / study.folder
        folder.mkdir(parents=True)
        made = study.images
        images = [picture(next(numbers)) for _ in range(made)] if isinstance(made, int) else made
        for number, pixels in enumerate(images, 1):
            Image.fromarray(pixels).save(folder / f"image{number}.{kind}")
            line = f"{called}/{study.folder}/image{number}.{kind}\n"
            lists[f"{study.split}_image_paths.csv"].append(line)
        label = f"{called}/{study.folder}/,{int(study.abnormal)}\n"
        lists[f"{study.split}_labeled_studies.csv"].append(label)
    for name, lines in lists.items():
        (root / name).write_text("".join(lines), "utf-8")
    return root
