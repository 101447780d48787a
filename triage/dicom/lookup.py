"""One look-up a pixel, as fast as numpy can do it.

A table of grey levels is most often a ramp between two ends. Arithmetic on a
few rows at a time, which stay in the processor's cache, is then faster than
looking up, and it is taken only where it gives every entry of the table.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.integer[Any]]

PIXELS = 1 << 16  # at a time: half as many and twice as many are slower


def apply(table: Grey, exact: Floats, index: Integers) -> Grey:
    """Return table[index], (H, W) uint8, for an *index*, (H, W), of places in the *table*, (N,).

    *exact*, (N,), are the levels that were rounded to make the table.
    """
    if index.dtype == np.uint8 and np.array_equal(table, np.arange(table.size)):
        return np.array(index, np.uint8)
    ramp = _ramp(table, exact) if index.size > table.size else None
    return ramp.levels(index) if ramp else look_up(table, index)


def look_up(table: Grey, index: Integers) -> Grey:
    """Return table[index]; left to itself, numpy would widen all of the *index* to 64 bits first."""
    levels = np.empty(index.shape, np.uint8)
    rows = max(1, PIXELS // 2 // index.shape[1])
    wide = np.empty((rows, index.shape[1]), np.intp)
    for start in range(0, len(index), rows):
        part = index[start : start + rows]
        places = wide[: len(part)]
        places[:] = part
        np.take(table, places, mode="clip", out=levels[start : start + rows])
    return levels


@dataclass(frozen=True)
class _Ramp:
    """The levels of the places from *first* to *last*; beyond them they are as at these ends."""

    first: int
    last: int
    slope: np.float32
    offset: np.float32

    def levels(self, index: Integers) -> Grey:
        """Compute the grey levels of *index*, (H, W)."""
        levels = np.empty(index.shape, np.uint8)
        rows = max(1, PIXELS // index.shape[1])
        clipped = np.empty((rows, index.shape[1]), index.dtype.newbyteorder("="))
        exact = np.empty(clipped.shape, np.float32)
        first, last = clipped.dtype.type(self.first), clipped.dtype.type(self.last)
        for start in range(0, len(index), rows):
            part = index[start : start + rows]
            within, computed = clipped[: len(part)], exact[: len(part)]
            np.clip(part, first, last, out=within)
            computed[:] = within
            computed *= self.slope
            computed += self.offset
            levels[start : start + rows] = computed
        return levels


def _ramp(table: Grey, exact: Floats) -> _Ramp | None:
    """Return the ramp that has the very levels of the *table*; None where there is none."""
    (between,) = np.nonzero((exact > 0) & (exact < 255))
    if between.size < 2:
        return None
    low, high = between[0], between[-1]
    slope = (exact[high] - exact[low]) / (high - low)
    first, last = max(0, int(low) - 1), min(table.size - 1, int(high) + 1)
    offset = exact[low] - slope * low + 0.5  # the half rounds
    if not all(0 <= slope * end + offset < 256 for end in (first, last)):
        return None
    ramp = _Ramp(first, last, np.float32(slope), np.float32(offset))
    places = np.arange(table.size, dtype=np.min_scalar_type(table.size - 1))
    return ramp if np.array_equal(ramp.levels(places[None])[0], table) else None
