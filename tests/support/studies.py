"""Studies to send: pictures, from FracAtlas or made up, wrapped as DX images on the disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from tests.support import persons
from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.dicom import radiograph


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image that a peer sends."""

    file: Path
    pixels: Any  # (H, W) uint8
    study_instance_uid: str
    sop_instance_uid: str


@cache
def picture(number: int) -> Any:
    """Return a made-up picture, (H, W) uint8; another one for every number, always the same."""
    random = np.random.default_rng(number)
    width, height = (int(side) for side in random.integers(200, 320, 2))
    rows, columns = random.integers(2, 9, 2)
    blocks = random.integers(0, 256, (rows, columns), dtype=np.uint8)
    resized = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def read_picture(path: Path) -> Any:
    """Return a grey picture's pixels, (H, W) uint8."""
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def study_uid(name: str) -> str:
    """Return the UID of the study with this name."""
    return radiograph.uid("study", name)


def make(
    name: str,
    pixels: Any,
    number: int = 1,
    *,
    study_type: StudyType | None = StudyType.HAND,
    side: Side = Side.LEFT,
) -> Dataset:
    """Make image *number* of the study *name*."""
    header = radiograph.StudyHeader(
        study_instance_uid=study_uid(name),
        study_type=study_type,
        side=side,
        accession_number=name[:16],
        patient_id=f"P-{name}"[:64],
        patient_name=persons.name_of(name),
    )
    sop_instance_uid = radiograph.uid("instance", name, str(number))
    made = radiograph.digital_radiograph(
        pixels, header, sop_instance_uid=sop_instance_uid, number=number
    )
    made.PatientBirthDate = persons.BIRTH_DATE
    return made


def write(folder: Path, dataset: Dataset, pixels: Any = None) -> Sample:
    """Write the object into *folder*, under a name of its own."""
    file = folder / f"{len(list(folder.iterdir())):04}.dcm"
    radiograph.save(dataset, file)
    return Sample(
        file=file,
        pixels=pixels,
        study_instance_uid=str(dataset.StudyInstanceUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
    )


def write_study(folder: Path, name: str, pictures: Sequence[Any], **header: Any) -> list[Sample]:
    """Write a study of *pictures* into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write(folder, make(name, pixels, number, **header), pixels)
        for number, pixels in enumerate(pictures, start=1)
    ]
