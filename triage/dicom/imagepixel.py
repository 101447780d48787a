"""The Image Pixel Module of a header (PS3.3 C.7.6.3): what the samples are, within which limits."""

from dataclasses import dataclass
from math import isfinite
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID

from triage.core.reasons import Code
from triage.errors import ViewUnreadable

MAX_FRAME_PIXELS = 100_000_000  # rows x columns; the largest radiographs have 60 million
MAX_PIXELS = 1_000_000_000  # rows x columns x frames
MAX_EXPANDED = 1 << 30  # bytes of a frame, or of a deflated data set, once expanded

KEYWORDS = (
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
)
GREY = ("MONOCHROME1", "MONOCHROME2")
# Photometric interpretations that can become grey, with their samples a pixel.
SAMPLES = {
    **dict.fromkeys((*GREY, "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3),
}


@dataclass(frozen=True, kw_only=True)
class ImagePixel:
    """What the Image Pixel Module says of the samples (PS3.3 C.7.6.3)."""

    transfer_syntax_uid: str
    rows: int
    columns: int
    frames: int
    samples: int  # per pixel, 1 or 3
    photometric: str
    planar: int  # 1 when the colours lie in planes of their own
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool

    @property
    def frame_bits(self) -> int:
        """The bits of one frame when nothing compresses it."""
        bits = self.rows * self.columns * self.samples * self.bits_allocated
        halved = self.photometric == "YBR_FULL_422" and not self.encapsulated
        return bits * 2 // 3 if halved else bits

    @property
    def encapsulated(self) -> bool:
        """Whether the pixel data is a sequence of compressed fragments (PS3.5 A.4)."""
        return bool(UID(self.transfer_syntax_uid).is_encapsulated)

    @property
    def little_endian(self) -> bool:
        """The byte order of what is not compressed."""
        return bool(UID(self.transfer_syntax_uid).is_little_endian)


def describe(header: Dataset) -> ImagePixel:
    """Return the Image Pixel Module (PS3.3 C.7.6.3), checked for sense and against the limits."""
    allocated = whole(header, "BitsAllocated", 0)
    stored = whole(header, "BitsStored", allocated)
    image = ImagePixel(
        transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
        rows=whole(header, "Rows", 0),
        columns=whole(header, "Columns", 0),
        frames=whole(header, "NumberOfFrames", 1),
        samples=whole(header, "SamplesPerPixel", 1),
        photometric=str(value(header, "PhotometricInterpretation") or "").strip().upper(),
        planar=whole(header, "PlanarConfiguration", 0),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=whole(header, "HighBit", stored - 1),
        signed=whole(header, "PixelRepresentation", 0) == 1,
    )
    _check(image)
    pixels = image.rows * image.columns
    if pixels > MAX_FRAME_PIXELS or pixels * image.frames > MAX_PIXELS:
        raise ViewUnreadable(
            Code.TOO_LARGE,
            f"The image has {image.rows} rows, {image.columns} columns and {image.frames} frames; "
            f"the limits are {MAX_FRAME_PIXELS} pixels a frame and {MAX_PIXELS} in all",
        )
    if image.frame_bits > MAX_EXPANDED * 8:
        raise ViewUnreadable(Code.TOO_LARGE, f"A frame expands to more than {MAX_EXPANDED} bytes")
    return image


def _check(image: ImagePixel) -> None:
    """Refuse a header that describes no image."""
    problem = None
    if not (0 < image.rows < 1 << 16 and 0 < image.columns < 1 << 16 and image.frames > 0):
        problem = f"{image.rows} rows, {image.columns} columns, {image.frames} frames"
    elif image.bits_allocated not in (1, 8, 16, 32) or not (
        0 < image.bits_stored <= image.high_bit + 1 <= image.bits_allocated
    ):
        problem = (
            f"Bits Allocated {image.bits_allocated}, Bits Stored {image.bits_stored}, "
            f"High Bit {image.high_bit}"
        )
    elif image.photometric.startswith("YBR_PARTIAL"):
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"The photometric interpretation {image.photometric} is retired and not supported",
        )
    elif SAMPLES.get(image.photometric) != image.samples:
        problem = (
            f"Photometric Interpretation {image.photometric!r} with {image.samples} samples a pixel"
        )
    if problem:
        raise ViewUnreadable(Code.UNDECODABLE, f"The header describes no image: {problem}")


def value(header: Dataset, keyword: str) -> Any:
    """Return the first value of an attribute; None where it is missing, empty or damaged."""
    try:
        first = header.get(keyword)
    except Exception:  # whatever pydicom makes of the bytes; most attributes have a default
        return None
    if isinstance(first, MultiValue | Sequence | list | tuple):
        return first[0] if first else None
    return first


def number(header: Dataset, keyword: str) -> float | None:
    """Return the first value of an attribute as a finite number, or None."""
    try:
        found = float(value(header, keyword))
    except (TypeError, ValueError, OverflowError):
        return None
    return found if isfinite(found) else None


def numbers(header: Dataset, keyword: str) -> list[float]:
    """Return all values of an attribute as numbers; empty unless each of them is finite."""
    try:
        found = header.get(keyword)
        values = found if isinstance(found, MultiValue | list | tuple) else [found]
        read = [float(part) for part in values]
    except Exception:  # as in `value`
        return []
    return read if all(map(isfinite, read)) else []


def texts(header: Dataset, keyword: str) -> list[str]:
    """Return the values of an attribute as defined terms: upper case, without spaces around."""
    try:
        found = header.get(keyword)
        values = found if isinstance(found, MultiValue | list | tuple) else [found or ""]
        return [str(part).strip().upper() for part in values]
    except Exception:  # as in `value`
        return []


def whole(header: Dataset, keyword: str, default: int) -> int:
    """Return the first value of an attribute as a whole number, or the default."""
    found = number(header, keyword)
    return default if found is None else int(found)
