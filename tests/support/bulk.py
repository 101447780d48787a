"""Radiographs in bulk, of two sizes, for measuring: FracAtlas's, made small or large."""

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support import studies
from tests.support.studies import Sample

VIEWS = 3  # of a study
SMALL = (200, 195)  # rows and columns: 39 kB of 8 bits
LARGE = (2500, 2000)  # 10 MB of 12 bits in 16
PICTURES = 12  # different ones; reading and scaling a radiograph takes longer than writing it


def write_small(folder: Path, radiographs: Path, count: int, name: str = "small") -> list[Sample]:
    """Write *count* views of 39 kB, three to a study."""
    return _write(folder, [_scaled(file, SMALL) for file in _files(radiographs)], count, name)


def write_large(folder: Path, radiographs: Path, count: int, name: str = "large") -> list[Sample]:
    """Write *count* views of 10 MB, three to a study."""
    return _write(folder, [_detector(file) for file in _files(radiographs)], count, name)


def _files(radiographs: Path) -> Iterator[Path]:
    found = sorted(radiographs.glob("FracAtlas-MURA/train/XR_*/patient*/study*/*.jpg"))
    found += sorted(radiographs.glob("FracAtlas-MURA/train/XR_*/patient*/study*/*.png"))
    return islice(found[:: len(found) // PICTURES], PICTURES)


def _write(folder: Path, pictures: list[Any], count: int, name: str) -> list[Sample]:
    folder.mkdir(parents=True)
    pixels = cycle(pictures)
    return [
        studies.write(
            folder, studies.make(f"{name}{n // VIEWS}", next(pixels), number=n % VIEWS + 1)
        )
        for n in range(count)
    ]


def _scaled(file: Path, shape: tuple[int, int]) -> Any:
    with Image.open(file) as image:
        grey = image.convert("L").resize(shape[::-1], Image.Resampling.LANCZOS)
    return np.asarray(grey)


def _detector(file: Path) -> Any:
    """Return it as a detector of 12 bits would give it, noise in the bits that a JPEG lacks."""
    noise = np.random.default_rng(1).integers(0, 16, LARGE, dtype=np.uint16)
    return _scaled(file, LARGE).astype(np.uint16) * 16 + noise
