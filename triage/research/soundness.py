"""Whether images are whole: each is decoded, on several threads."""

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from triage.errors import ViewUnreadable
from triage.model.cores import usable_cores
from triage.model.preprocess import Grey, read_picture

# A decoder that is asked to go on where the data end fills the rest with zero
# coefficients, which are mid grey; whoever saved the picture again made a whole
# file of it. Seen in FracAtlas: 53 of 3,664 images, and none beside them.
FILLING, CORNER = 128, (4, 16)  # intensity; rows and columns, at the bottom right


@dataclass(frozen=True)
class Examination:
    """What decoding one image showed."""

    digest: str  # SHA-256 of the file; "" where it could not be read
    error: str | None = None  # why it cannot be decoded
    truncated: bool = False  # it can, but ends in filling


def examine(images: Iterable[Path]) -> Iterator[Examination]:
    """Decode images as the model's input is decoded; the results come in their order."""
    with ThreadPoolExecutor(
        usable_cores()
    ) as pool:  # Pillow decodes without the interpreter's lock
        yield from pool.map(_examine, images)


def _examine(image: Path) -> Examination:
    try:
        digest = hashlib.sha256(image.read_bytes()).hexdigest()
        return Examination(digest, truncated=ends_in_filling(read_picture(image)))
    except OSError as error:
        return Examination("", error=f"cannot be read ({error.strerror or error})")
    except ViewUnreadable as error:
        return Examination(digest, error=str(error).removeprefix(f"{image}: "))


def ends_in_filling(grey: Grey) -> bool:
    """Say whether a (H, W) uint8 image ends in what decoders put in place of missing data."""
    rows, columns = CORNER
    corner = grey[-rows:, -columns:].astype(np.int16)
    return corner.shape == CORNER and bool((np.abs(corner - FILLING) <= 1).all())
