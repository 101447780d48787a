"""From stored values to the grey levels that a viewer shows (PS3.3 C.7.6.16.2.9, C.8.11, C.11).

Pure functions on numpy arrays, one per step of the chain:

    stored values ► modality values ► fractions of the output range ► 8-bit grey levels

The steps run over the table of values that Bits Stored can hold, not over the
image; the image then costs one look-up a pixel.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from triage.dicom.field import Field, Mask
from triage.dicom.lookup import Floats, Grey, Integers, apply

COUNTED = 1_000_000  # pixels from which a window is found, at least; more would show nothing else
TAIL = 0.01  # share of the pixels left out at either end when a window must be found
LEAST_LEVELS = 16  # a window that leaves fewer of 256 grey levels shows nothing


class Function(StrEnum):
    """VOI LUT Function (PS3.3 C.11.2.1.3)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True)
class Window:
    """Window Center and Width, in modality values (PS3.3 C.11.2.1.2)."""

    centre: float
    width: float
    function: Function = Function.LINEAR

    @property
    def valid(self) -> bool:
        """LINEAR asks for a width of at least 1, the others for a positive one."""
        enough = self.width >= 1 if self.function is Function.LINEAR else self.width > 0
        return bool(enough and np.isfinite(self.centre) and np.isfinite(self.width))


# Of an image that was exported at 8 bits: the window leaves its values as they are.
ALREADY_WINDOWED = Window(128, 256)


@dataclass(frozen=True)
class Rescale:
    """Rescale Slope and Intercept (PS3.3 C.11.1.1.2)."""

    slope: float = 1
    intercept: float = 0


@dataclass(frozen=True)
class Table:
    """A Modality or VOI LUT (PS3.3 C.11.1.1.1, C.11.2.1.1)."""

    first: int  # the value that maps to the first entry
    entries: Floats  # (N,)
    bits: int  # of an entry


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """How the stored values of one image are to be shown."""

    modality: Rescale | Table = Rescale()
    voi: Window | Table | None = None
    inverted: bool = False  # the lowest value is white
    padding: tuple[int, int] | None = None  # stored values that are no image, inclusive
    field: Field | None = None  # what is shown; None for the whole image


def render(samples: Integers, bits: int, high_bit: int, signed: bool, how: Rendering) -> Grey:
    """Return the grey image, (h, w) uint8, of decoded samples, (H, W).

    It is cropped to the exposed field. What is no image, outside the field or
    padding, is black, whichever end of the values that is.
    """
    domain, index = stored_values(samples, bits, high_bit, signed)
    blank = _background(domain, index, how.padding)
    if how.field:
        index, blank = crop(index, blank, how.field)
    values = to_modality(domain.astype(np.float64), how.modality)
    fractions = to_fractions(values, how.voi)
    if fractions is None or not _shows(fractions, index, blank, how.voi, bits):
        low, high = (
            (values.min(), values.max())
            if _already_windowed(bits, signed, how)
            else robust_range(values, _counts(domain, index, blank, how.padding))
        )
        fractions = stretch(values, low, high)
    exact = 255 * (1 - fractions if how.inverted else fractions)
    return blackened(apply(to_grey(exact), exact, index), blank)


def _already_windowed(bits: int, signed: bool, how: Rendering) -> bool:
    """Say whether an image that has no VOI transformation needs none: exports have 8 bits."""
    shuttered = how.field is not None and how.field.shutter
    return bits <= 8 and not signed and how.modality == Rescale() and not shuttered


def crop(image: Integers, blank: Mask | None, field: Field) -> tuple[Integers, Mask | None]:
    """Return (the part of *image* that bounds the field, what of it is blank)."""
    outside = field.outside()
    if blank is None:
        return image[field.box], outside
    return image[field.box], blank[field.box] if outside is None else blank[field.box] | outside


def blackened(grey: Grey, blank: Mask | None) -> Grey:
    """Return the image with its blank part black."""
    if blank is not None:
        np.copyto(grey, 0, where=blank)
    return grey


def _background(
    domain: npt.NDArray[np.int64], index: Integers, padding: tuple[int, int] | None
) -> Mask | None:
    """Say which pixels are padding, (H, W) (PS3.3 C.7.5.1.1.2); None where none are.

    Some devices name a value that occurs in the image as well. Padding fills
    the image up to its border, so a pixel counts where nothing but padding
    lies between it and the border, along its row or its column.
    """
    if padding is None:
        return None
    first, last = np.searchsorted(domain, padding[0]), np.searchsorted(domain, padding[1], "right")
    image = (index < first) | (index >= last)
    if image.all() or not image.any():
        return None
    background = np.zeros_like(image)
    for picture, ground in ((image, background), (image.T, background.T)):
        across = np.arange(picture.shape[1], dtype=np.uint16)
        from_left = np.where(picture.any(axis=1), picture.argmax(axis=1), across.size)
        from_right = across.size - picture[:, ::-1].argmax(axis=1)
        ground |= across < from_left.astype(np.uint16)[:, None]
        ground |= across >= from_right.astype(np.uint16)[:, None]
    return background


def stored_values(
    samples: Integers, bits: int, high_bit: int, signed: bool
) -> tuple[npt.NDArray[np.int64], Integers]:
    """Return (the values that may occur, ascending; the index of each sample's value in them).

    Only *bits* bits up to *high_bit* are the value; what else lies in the
    container (overlays, rubbish) is masked (PS3.5 8.1.1). Above 16 bits the
    values are those that do occur.
    """
    index: Integers = samples.view(f"{samples.dtype.byteorder}u{samples.dtype.itemsize}")
    if shift := high_bit + 1 - bits:
        index = index >> shift
    mask = (1 << bits) - 1
    if signed:
        # Two's complement with its sign bit flipped counts upwards from the lowest value.
        index = (index & index.dtype.type(mask)) ^ index.dtype.type(1 << (bits - 1))
    elif index.dtype.itemsize * 8 > bits and index.size and index.max() > mask:
        index = index & index.dtype.type(mask)
    lowest = -(1 << (bits - 1)) if signed else 0
    if bits > 16:
        # The upper 16 bits of the range that is used: a table of all values, or of
        # those present, could take gigabytes.
        least, most = int(index.min()), int(index.max())
        coarse = max(0, (most - least).bit_length() - 16)
        steps = np.arange(((most - least) >> coarse) + 1, dtype=np.int64)
        index = ((index - index.dtype.type(least)) >> coarse).astype(np.uint16)
        return (steps << coarse) + least + lowest, index
    return np.arange(lowest, lowest + mask + 1), index


def to_modality(stored: Floats, modality: Rescale | Table) -> Floats:
    """Apply the Modality LUT or the rescale (PS3.3 C.11.1)."""
    if isinstance(modality, Table):
        return look_up(stored, modality)
    return stored * modality.slope + modality.intercept


def to_fractions(values: Floats, voi: Window | Table | None) -> Floats | None:
    """Apply the VOI LUT or window (PS3.3 C.11.2); None where there is none that is valid.

    The output is 0 to 1 over the range that the transformation can reach.
    """
    if isinstance(voi, Table):
        return look_up(values, voi) / float((1 << voi.bits) - 1)
    if voi is None or not voi.valid:
        return None
    if voi.function is Function.SIGMOID:
        steepness = np.clip(-4 * (values - voi.centre) / voi.width, -700, 700)
        return np.asarray(1 / (1 + np.exp(steepness)))
    if voi.function is Function.LINEAR_EXACT:
        return stretch(values, voi.centre - voi.width / 2, voi.centre + voi.width / 2)
    centre, width = voi.centre - 0.5, voi.width - 1
    return stretch(values, centre - width / 2, centre + width / 2)


def look_up(values: Floats, table: Table) -> Floats:
    """Look values up; those outside the table take its first or last entry."""
    index = np.clip(np.rint(values) - table.first, 0, table.entries.size - 1)
    return np.asarray(table.entries[index.astype(np.intp)])


def stretch(values: Floats, low: float, high: float) -> Floats:
    """Spread low..high over 0..1: at and below *low* 0, above *high* 1."""
    if high <= low:
        return (values > low).astype(np.float64)
    return np.clip((values - low) / (high - low), 0, 1)


def robust_range(values: Floats, counts: Integers) -> tuple[float, float]:
    """Return the values between which all but `TAIL` of the pixels at either end lie.

    *counts* says how many pixels have each of *values*. Both ends are counted
    the same way, so that an image and its negative have the same range; an
    image of one value is in the middle of it.
    """
    order = np.argsort(values, kind="stable")
    ascending, counts = values[order], counts[order]
    left_out = int(counts.sum() * TAIL)
    low = ascending[np.argmax(np.cumsum(counts) > left_out)]
    high = ascending[::-1][np.argmax(np.cumsum(counts[::-1]) > left_out)]
    if low == high:
        seen = ascending[counts > 0]
        low, high = seen[0], seen[-1]
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(high) + 0.5)


def to_grey(exact: Floats) -> Grey:
    """Return 8-bit grey levels.

    Digits that only differ by the order of arithmetic are dropped first: a
    MONOCHROME1 image and its MONOCHROME2 twin must round the same way.
    """
    return np.rint(np.clip(np.round(exact, 6), 0, 255)).astype(np.uint8)


def luma(rgb: Integers, bits: int) -> Grey:
    """Return the grey image, (H, W), of colours, (H, W, 3), with ITU-R BT.601 weights.

    The arithmetic is that of Pillow's conversion to "L": a picture gives the
    same grey levels as a file and as a DICOM object.
    """
    if bits != 8:
        levels = np.rint(np.arange(1 << bits) * (255 / ((1 << bits) - 1))).astype(np.uint8)
        rgb = levels[rgb]
    red, green, blue = (rgb[..., channel].astype(np.uint32) for channel in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(np.uint8)


def _shows(
    fractions: Floats,
    index: Integers,
    blank: Mask | None,
    voi: Window | Table | None,
    bits: int,
) -> bool:
    """Say whether a VOI transformation leaves anything to see of the values that occur."""
    least = 1 if bits <= 8 or voi == ALREADY_WINDOWED else LEAST_LEVELS
    lowest = highest = 0
    for rows in (slice(None, None, 32), slice(None)):  # most often a few rows show enough
        shown = index[rows] if blank is None else index[rows][~blank[rows]]
        if shown.size:
            lowest, highest = int(shown.min()), int(shown.max())
        seen = fractions[lowest : highest + 1]
        if (seen.max() - seen.min()) * 255 >= least:
            return True
    return lowest == highest


def _counts(
    domain: npt.NDArray[np.int64],
    index: Integers,
    blank: Mask | None,
    padding: tuple[int, int] | None,
) -> Integers:
    """Count the pixels of each value; blank and padding are left out unless there is nothing else.

    Of a large image every other row, or fewer, is counted.
    """
    step = max(1, index.size // COUNTED)
    rows = index[::step]
    shown = rows if blank is None else rows[~blank[::step]]
    counts = np.bincount((shown if shown.size else rows).ravel(), minlength=domain.size)
    if padding:
        image = np.where((domain >= padding[0]) & (domain <= padding[1]), 0, counts)
        counts = image if image.any() else counts
    return counts
