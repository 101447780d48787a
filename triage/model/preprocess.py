"""A grey image becomes the network's input, the same for a picture file and for DICOM.

`triage.dicom.pixels` yields the image as a viewer would export it to PNG; from
there on both take this one way: a decoding process scales, the scoring process
normalises. Neither torch nor pydantic is needed here, so decoders stay small.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from triage.core.reasons import Code
from triage.errors import ViewUnreadable

if TYPE_CHECKING:
    from triage.model.card import Preprocessing

Grey = NDArray[np.uint8]  # (H, W), black is 0
Prepared = NDArray[np.float32]  # (3, S, S)

FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 100_000_000  # as for a frame of DICOM; the largest radiographs have 60 million
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow only warns above it; from twice that on it refuses


def prepare(grey: Grey, preprocessing: "Preprocessing") -> Prepared:
    """Return the network's input, (3, S, S) float32, for a (H, W) uint8 image."""
    return normalise(scale(grey, preprocessing.size, preprocessing.resize), preprocessing)


def scale(grey: Grey, side: int, resize: str) -> Grey:
    """Scale a (H, W) uint8 image to (side, side); *resize* is a `triage.model.card.Resize`.

    It is Pillow's bilinear resize, which averages over the whole support when it scales down.
    From four times the side on, blocks of pixels are averaged first: it takes half the time and
    changes what comes out by a fraction of a grey level. MURA's pictures are smaller than that.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or not grey.size:
        raise ValueError(f"expected (H, W) uint8, got {grey.shape} {grey.dtype}")
    picture = Image.fromarray(grey)
    rows, columns = place(grey.shape, side, resize)
    square = np.zeros((side, side), np.uint8)
    extents = columns.stop - columns.start, rows.stop - rows.start
    square[rows, columns] = _resized(picture, extents)
    return square


def fit(grey: Grey, side: int) -> Grey:
    """Return a (H, W) uint8 image no larger than *side* pixels either way; for people to see.

    It is never enlarged, and scaled down as for the network.
    """
    largest = max(grey.shape)
    if largest <= side:
        return grey
    height, width = (max(1, round(extent * side / largest)) for extent in grey.shape)
    return _resized(Image.fromarray(grey), (width, height))


def place(shape: tuple[int, ...], side: int, resize: str) -> tuple[slice, slice]:
    """Return the rows and columns of the (side, side) input that an image (H, W) fills."""
    if resize == "squeeze":
        return slice(0, side), slice(0, side)
    extents = [max(1, round(extent * side / max(shape))) for extent in shape]
    starts = [(side - extent) // 2 for extent in extents]
    rows, columns = (slice(a, a + extent) for a, extent in zip(starts, extents, strict=True))
    return rows, columns


def _resized(picture: Image.Image, size: tuple[int, int]) -> Grey:
    extents = picture.size
    # Pillow has quick averages of 2 x 2 to 5 x 5 pixels.
    block = min(5, *(extent // (2 * side) for extent, side in zip(extents, size, strict=True)))
    if block > 1:
        picture = picture.reduce(block)
    box = (0, 0, extents[0] / max(1, block), extents[1] / max(1, block))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, box=box))


def normalise(scaled: Grey, preprocessing: "Preprocessing") -> Prepared:
    """Return the network's input, (3, S, S) float32, for a scaled image, (S, S) uint8.

    Grey is repeated to three channels, each normalised with its own mean and
    deviation (Rajpurkar et al. 2017, section 3.1).
    """
    prepared: Prepared = np.take(_lookup(preprocessing), scaled, axis=1)
    return prepared


@lru_cache(maxsize=8)
def _lookup(preprocessing: "Preprocessing") -> Prepared:
    """Return the normalised value of every intensity, (3, 256) float32."""
    intensity = np.arange(256, dtype=np.float64) / 255
    mean = np.array(preprocessing.mean)[:, None]
    std = np.array(preprocessing.std)[:, None]
    table: Prepared = ((intensity - mean) / std).astype(np.float32)
    table.flags.writeable = False  # it is shared by every caller
    return table


def read_picture(path: Path) -> Grey:
    """Read a PNG or JPEG file as a (H, W) uint8 image.

    Colour becomes luma (ITU-R BT.601), 16-bit grey is scaled over its full
    range (PNG specification, 13.12), and what is transparent is black, as the
    background of a radiograph. Raises ViewUnreadable with the reason's code.
    """
    with _as_unreadable(path), Image.open(path, formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise _too_large(path, f"{width} x {height} pixels")
        return _to_grey(picture)


def _to_grey(picture: Image.Image) -> Grey:
    if picture.mode.startswith("I;16"):
        deep = np.asarray(picture).astype(np.uint32)
        return ((deep * 255 + 32767) // 65535).astype(np.uint8)
    if picture.has_transparency_data:
        shown = picture.convert("RGBA")
        black = Image.new("RGBA", shown.size, (0, 0, 0, 255))
        return np.array(Image.alpha_composite(black, shown).convert("L"))
    return np.array(picture.convert("L"))


def _too_large(path: Path, size: str) -> ViewUnreadable:
    return ViewUnreadable(
        Code.TOO_LARGE, f"{path}: has {size}, and {MAX_PIXELS} pixels is the limit"
    )


@contextmanager
def _as_unreadable(path: Path) -> Iterator[None]:
    """Turn what Pillow raises over a bad file into ViewUnreadable."""
    try:
        yield
    except FileNotFoundError as error:
        raise ViewUnreadable(Code.FILE_MISSING, f"{path}: there is no such file") from error
    except UnidentifiedImageError as error:
        raise ViewUnreadable(
            Code.NOT_AN_IMAGE, f"{path}: is neither a PNG nor a JPEG file"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path, "far too many pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, OverflowError) as error:
        raise ViewUnreadable(
            Code.UNDECODABLE, f"{path}: cannot be decoded ({error}); it may be cut off"
        ) from error
