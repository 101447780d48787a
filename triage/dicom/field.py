"""The exposed field of a radiograph: Display Shutter (PS3.3 C.7.6.11) and X-Ray Collimator (C.8.7.3).

What lies outside was not exposed or is not meant to be seen. It needs the
header alone, so that reception can say what a view will be cropped to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from triage.dicom.imagepixel import numbers, texts

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.float64]  # row or column numbers, ascending

LEAST_SHARE = 0.05  # of the image's area; a field below it is a mistake of whoever wrote it
MOST_VERTICES = 128  # a drawn outline has some ten
_FARTHEST = 1 << 20  # pixels; no image is that large, so nothing is that far from one
_PROBES = 96  # rows and columns at which the area of a field is taken

_MODULES = ("Shutter", "Collimator")
_EDGES = ("UpperHorizontalEdge", "LowerHorizontalEdge", "LeftVerticalEdge", "RightVerticalEdge")
KEYWORDS = tuple(
    keyword
    for module in _MODULES
    for keyword in (
        f"{module}Shape",
        *(f"{module}{edge}" for edge in _EDGES),
        *(f"CenterOfCircular{module}", f"RadiusOfCircular{module}"),
        f"VerticesOfThePolygonal{module}",
    )
)


class Shape(Protocol):
    """One shape of a shutter or collimator; rows and columns count from 1, edges are inside."""

    @property
    def name(self) -> str:
        """The shape, as people call it."""

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The first and last row, the first and last column."""

    def contains(self, rows: Places, columns: Places) -> Mask:
        """Say which of (rows, columns) lie inside, (H, W)."""


@dataclass(frozen=True)
class Rectangle:
    """Between four edges."""

    extent: tuple[float, float, float, float]
    name: str = "rectangular"

    def contains(self, rows: Places, columns: Places) -> Mask:
        """Say which of (rows, columns) lie inside, (H, W)."""
        top, bottom, left, right = self.extent
        inside = (top <= rows) & (rows <= bottom)
        return np.asarray(inside[:, None] & ((left <= columns) & (columns <= right)))


@dataclass(frozen=True)
class Circle:
    """Around a centre, its radius in pixels."""

    row: float
    column: float
    radius: float
    name: str = "circular"

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The first and last row, the first and last column."""
        rows, columns = ((at - self.radius, at + self.radius) for at in (self.row, self.column))
        return *rows, *columns

    def contains(self, rows: Places, columns: Places) -> Mask:
        """Say which of (rows, columns) lie inside, (H, W)."""
        squares = (rows - self.row)[:, None] ** 2 + (columns - self.column) ** 2
        return np.asarray(squares <= self.radius**2)


@dataclass(frozen=True)
class Polygon:
    """Between vertices, (row, column); the last is joined to the first."""

    vertices: tuple[tuple[float, float], ...]
    name: str = "polygonal"

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The first and last row, the first and last column."""
        rows, columns = zip(*self.vertices, strict=True)
        return min(rows), max(rows), min(columns), max(columns)

    def contains(self, rows: Places, columns: Places) -> Mask:
        """Say which of (rows, columns) lie inside, (H, W): an odd number of sides is left of them.

        A side belongs to the polygon. Whether a row through a vertex meets it is
        counted both ways, so that a level side at the top or the bottom counts.
        """
        odd = self._odd(rows, columns, np.less), self._odd(rows, columns, np.less_equal)
        return np.asarray(odd[0] | odd[1])

    def _odd(self, rows: Places, columns: Places, before: Callable[..., Any]) -> Mask:
        tops, lefts = np.array(self.vertices).T
        bottoms, rights = np.roll(tops, -1), np.roll(lefts, -1)
        row, side = np.nonzero(before(tops, rows[:, None]) != before(bottoms, rows[:, None]))
        share = (rows[row] - tops[side]) / (bottoms - tops)[side]
        # A pixel on the side may miss it by the last digit.
        crossing = np.round(lefts[side] + share * (rights - lefts)[side], 6)
        at = np.searchsorted(columns, crossing)
        turns = np.zeros((rows.size, columns.size + 1), bool)
        np.logical_xor.at(turns, (row, at), True)
        inside = np.logical_xor.accumulate(turns, axis=1)
        met = np.append(columns, np.inf)[at] == crossing
        inside[row[met], at[met]] = True
        return inside[:, :-1]


@dataclass(frozen=True)
class Field:
    """The exposed field of an image: what all its shapes have in common."""

    rows: int  # of the whole image
    columns: int
    shapes: tuple[Shape, ...]
    shutter: bool  # a Display Shutter has a part in it, not a collimator alone

    @property
    def box(self) -> tuple[slice, slice]:
        """The rows and columns that bound the field, to index an array with."""
        tops, bottoms, lefts, rights = zip(*(shape.extent for shape in self.shapes), strict=True)
        return (
            slice(max(0, ceil(max(tops)) - 1), min(self.rows, floor(min(bottoms)))),
            slice(max(0, ceil(max(lefts)) - 1), min(self.columns, floor(min(rights)))),
        )

    def outside(self) -> Mask | None:
        """Say which pixels of the box are outside the field, (H, W); None where all are inside."""
        shapes = [shape for shape in self.shapes if not isinstance(shape, Rectangle)]
        if not shapes:
            return None
        rows, columns = (np.arange(part.start + 1.0, part.stop + 1.0) for part in self.box)
        inside = np.logical_and.reduce([shape.contains(rows, columns) for shape in shapes])
        return ~np.asarray(inside, bool)

    def __str__(self) -> str:
        """Describe the field to people; rows and columns count from 1."""
        rows, columns = self.box
        curved = {s.name: None for s in self.shapes if not isinstance(s, Rectangle)}
        return (
            f"rows {rows.start + 1}-{rows.stop}, columns {columns.start + 1}-{columns.stop} "
            f"of {self.rows} x {self.columns}" + "".join(f", {name}" for name in curved)
        )


def exposed_field(header: Dataset, rows: int, columns: int) -> Field | None:
    """Return the exposed field of an image of *rows* x *columns*; None where it is all of it.

    Several shapes mean what they have in common. A shape that cannot be is
    left out, and so is a field of which next to nothing would remain: better
    the whole image than a wrong part of it.
    """
    if rows < 1 or columns < 1 or not any(f"{module}Shape" in header for module in _MODULES):
        return None
    probes = _probes(rows), _probes(columns)
    shapes: list[Shape] = []
    inside: list[Mask] = []  # of each shape, at the probes
    shutter = False
    for module in _MODULES:
        for shape in _shapes(header, module):
            there = shape.contains(*probes)
            if there.mean() >= LEAST_SHARE:
                shapes.append(shape)
                inside.append(there)
                # A shutter that hides nothing has no part in the field.
                shutter |= module == "Shutter" and not there.all()
    if not shapes:
        return None
    share = np.logical_and.reduce(inside).mean()
    return Field(rows, columns, tuple(shapes), shutter) if LEAST_SHARE <= share < 1 else None


def _probes(extent: int) -> Places:
    """Return the rows or columns at which areas are estimated, the first and the last included."""
    return np.rint(np.linspace(1, extent, min(extent, _PROBES)))


def _shapes(header: Dataset, module: str) -> list[Shape]:
    """Return the shapes of a module whose attributes make sense."""
    read: dict[str, Callable[[Dataset, str], Shape | None]] = {
        "RECTANGULAR": _rectangle,
        "CIRCULAR": _circle,
        "POLYGONAL": _polygon,
    }
    named = dict.fromkeys(texts(header, f"{module}Shape"))
    shapes = (read[name](header, module) for name in named if name in read)
    return [shape for shape in shapes if shape is not None]


def _rectangle(header: Dataset, module: str) -> Shape | None:
    edges = [_places(header, f"{module}{edge}") for edge in _EDGES]
    if not all(edges):
        return None
    top, bottom, left, right = (edge[0] for edge in edges)
    return Rectangle((top, bottom, left, right)) if top < bottom and left < right else None


def _circle(header: Dataset, module: str) -> Shape | None:
    centre = _places(header, f"CenterOfCircular{module}")
    radius = _places(header, f"RadiusOfCircular{module}")
    if len(centre) != 2 or not radius or radius[0] <= 0:
        return None
    return Circle(centre[0], centre[1], radius[0])


def _polygon(header: Dataset, module: str) -> Shape | None:
    places = _places(header, f"VerticesOfThePolygonal{module}")
    if len(places) % 2 or not 6 <= len(places) <= 2 * MOST_VERTICES:
        return None
    return Polygon(tuple(zip(places[::2], places[1::2], strict=True)))


def _places(header: Dataset, keyword: str) -> list[float]:
    """Return rows, columns or lengths in pixels; empty where one of them can be none."""
    found = numbers(header, keyword)
    return found if all(abs(place) <= _FARTHEST for place in found) else []
