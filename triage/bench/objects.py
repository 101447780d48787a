"""What is sent and decoded: a radiograph as a detector makes it, and one as an archive holds it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from triage.core.capacity import VIEWS_OF_A_STUDY
from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.dicom import radiograph
from triage.research import phantoms
from triage.research.phantoms import hand

Pixels = NDArray[np.uint8] | NDArray[np.uint16]  # (H, W)

LARGE = (2500, 2000)  # pixels of a detector for the hand, 10 MB
SMALL = (220, 175)  # 39 kB in 8 bits: MURA's pictures after JPEG


def large_pixels() -> NDArray[np.uint16]:
    """Return the phantom of a wrist with a detector's noise, (2500, 2000) of 12 bits."""
    drawn = Image.fromarray(_wrist().astype(np.int32))
    enlarged = np.asarray(drawn.resize(LARGE[::-1], Image.Resampling.BICUBIC), np.float64)
    noise = np.random.default_rng(0).normal(0, 12, LARGE)  # it is what codecs spend their time on
    return np.clip(enlarged + noise, 0, 4095).astype(np.uint16)


def small_pixels() -> NDArray[np.uint8]:
    """Return the same as a small picture of 8 bits, (220, 175)."""
    drawn = Image.fromarray((_wrist() >> 4).astype(np.uint8))
    return np.asarray(drawn.resize(SMALL[::-1], Image.Resampling.BILINEAR))


def write(pixels: Pixels, folder: Path, count: int) -> Iterator[Path]:
    """Write *count* objects of *pixels* into *folder*, by studies of three; yield each file."""
    folder.mkdir()
    for number in range(count):
        if number % VIEWS_OF_A_STUDY == 0:
            header = radiograph.StudyHeader(
                study_instance_uid=radiograph.uid(),
                study_type=StudyType.WRIST,
                accession_number=f"BENCH{number // VIEWS_OF_A_STUDY:05d}",
                patient_id="BENCH",
                patient_name="BENCH^NOBODY",
            )
        path = folder / f"{number:05d}.dcm"
        radiograph.save(
            radiograph.digital_radiograph(
                pixels, header, number=number % VIEWS_OF_A_STUDY + 1, view_position="PA"
            ),
            path,
        )
        yield path


@cache
def _wrist() -> NDArray[np.uint16]:
    return phantoms.expose(hand.wrist_pa(), Side.RIGHT, seed=(0,)).pixels
