"""The upper limb as solids, in millimetres, as the beam sees it.

A solid is a union of strokes; a stroke is a chain of spheres, each with the
thickness of its wall (the cortex of a bone, the fat under a skin). Swept
spheres project in closed form, and a wall gives a bone its bright rim and its
lighter marrow without drawing either. x grows to the right of the picture and
y down. Everything is a right limb: hand and wrist with the fingers up and the
thumb on the left, the rest as if the patient faced the reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

Point = tuple[float, float]
Stroke = tuple[tuple[float, float, float, float], ...]  # x, y, radius, wall; all in mm
Profile = tuple[tuple[float, float, float], ...]  # fraction of the length, radius, wall


class Material(Enum):
    """Linear attenuation per mm near 50 keV, of (wall, inside); rounded from NIST's tables.

    Bone and lung stand for what they add to the flesh around them.
    """

    BONE = (0.060, 0.017)
    FLESH = (0.019, 0.023)
    LUNG = (-0.015, -0.015)
    METAL = (0.50, 0.50)  # titanium, and a lead letter as far as it matters


@dataclass(frozen=True, kw_only=True)
class Break:
    """A fracture across a solid: what lies beyond *at* along *along* has moved."""

    at: Point
    along: Point  # direction of the bone, towards the fragment
    shift: Point = (0.0, 0.0)  # mm along and across the bone
    turn: float = 0.0  # degrees
    gap: float = 0.6  # mm
    slope: float = 0.3  # obliquity of the line: mm along for each mm across


@dataclass(frozen=True, kw_only=True)
class Solid:
    """One bone, muscle mantle or implant."""

    strokes: tuple[Stroke, ...]
    material: Material = Material.BONE
    depth: float = 1.0  # thickness along the beam over width across it
    density: float = 1.0
    fracture: Break | None = None


@dataclass(frozen=True, kw_only=True)
class Projection:
    """What lies in the beam for one view."""

    name: str  # View Position (0018,5101): AP, PA, LL, LLO, ...
    size: Point  # width and height of the detector, mm
    pixel: float  # mm
    solids: tuple[Solid, ...]


METACARPAL: Profile = (
    (0, 6.0, 0.5),
    (0.15, 5.2, 0.9),
    (0.5, 3.8, 1.9),
    (0.8, 4.4, 1.0),
    (1, 6.4, 0.5),
)
PHALANX: Profile = (
    (0, 6.2, 0.5),
    (0.18, 5.0, 0.9),
    (0.55, 3.8, 1.6),
    (0.85, 3.9, 0.9),
    (1, 4.6, 0.5),
)
TUFT: Profile = ((0, 4.6, 0.5), (0.3, 2.9, 0.9), (0.7, 1.9, 0.9), (1, 2.9, 0.6))
RADIUS: Profile = (
    (0, 9.6, 0.8), (0.03, 9.2, 0.9), (0.07, 6.2, 1.4), (0.16, 7.4, 1.8), (0.5, 7.2, 3.0),
    (0.8, 7.0, 2.0), (0.93, 10.0, 0.9), (1, 11.5, 0.7),
)  # fmt: skip
ULNA: Profile = (
    (0, 10.5, 1.0), (0.08, 11.5, 1.2), (0.2, 8.2, 2.4), (0.55, 6.6, 2.9), (0.85, 4.8, 1.6),
    (0.96, 5.4, 0.9), (1, 6.2, 0.7),
)  # fmt: skip
HUMERUS: Profile = (
    (0, 17.5, 0.9), (0.08, 14.5, 1.4), (0.18, 12.0, 3.0), (0.5, 10.8, 4.4), (0.8, 10.8, 3.6),
    (0.93, 13.5, 1.6), (1, 12.0, 0.9),
)  # fmt: skip


def shaft(
    start: Point, end: Point, profile: Profile, *, scale: float = 1.0, bow: float = 0.0
) -> Stroke:
    """Lay *profile* between two joints; *bow* is the sagitta in mm, to the left of the way."""
    a, b = np.array(start, float), np.array(end, float)
    length = float(np.hypot(*(b - a)))
    unit = (b - a) / length
    # A swept sphere reaches its radius beyond the last centre; the joint stays free.
    a = a + unit * (profile[0][1] * scale * 0.9)
    b = b - unit * (profile[-1][1] * scale * 0.9)
    normal = np.array([unit[1], -unit[0]])
    fractions = np.linspace(0, 1, 21)
    at, radius, wall = np.array(profile, float).T
    radii = np.interp(fractions, at, radius)
    radii[1:-1] = (radii[:-2] + 2 * radii[1:-1] + radii[2:]) / 4
    walls = np.interp(fractions, at, wall) * scale
    axis = a + np.outer(fractions, b - a) + np.outer(4 * bow * fractions * (1 - fractions), normal)
    return tuple(
        (float(x), float(y), float(r) * scale, float(w))
        for (x, y), r, w in zip(axis, radii, walls, strict=True)
    )


def bone(
    *strokes: Stroke, fracture: Break | None = None, density: float = 1.0, depth: float = 0.9
) -> Solid:
    """Return the union of *strokes* as one bone."""
    return Solid(strokes=strokes, fracture=fracture, density=density, depth=depth)


def flesh(
    *strokes: Sequence[tuple[float, float, float]], depth: float = 0.75, fat: float = 3.0
) -> Solid:
    """Return a mantle of muscle under *fat* mm of fat; strokes of (x, y, radius)."""
    mantle = tuple(tuple((x, y, r, min(fat, r / 3)) for x, y, r in stroke) for stroke in strokes)
    return Solid(strokes=mantle, material=Material.FLESH, depth=depth)


def wire(*points: Point, radius: float = 0.8) -> Solid:
    """Return a Kirschner wire."""
    return Solid(strokes=(tuple((x, y, radius, 0.0) for x, y in points),), material=Material.METAL)


def plate(start: Point, end: Point, *, offset: float, screws: int, reach: float) -> Solid:
    """Return a plate seen on edge, beside the line from *start* to *end*, with its screws."""
    a, b = np.array(start, float), np.array(end, float)
    unit = (b - a) / np.hypot(*(b - a))
    normal = np.array([unit[1], -unit[0]])
    bar = [a + normal * offset, b + normal * offset]
    strokes: list[Stroke] = [tuple((float(x), float(y), 1.7, 0.0) for x, y in bar)]
    for fraction in np.linspace(0.06, 0.94, screws):
        head = bar[0] + (bar[1] - bar[0]) * fraction
        turns = np.linspace(0, 1, 2 * int(reach / 1.5) + 1)
        strokes.append(
            tuple(
                (*(head - normal * reach * turn).tolist(), 1.5 if i % 2 else 1.1, 0.0)
                for i, turn in enumerate(turns)
            )
        )
        strokes.append(((*head.tolist(), 2.6, 0.0),) * 2)
    return Solid(strokes=tuple(strokes), material=Material.METAL, depth=0.8)


def move(
    solid: Solid, *, by: Point = (0.0, 0.0), squeeze: float = 1.0, about: float = 0.0
) -> Solid:
    """Shift a solid, after squeezing x about a line: the cheap half of turning a limb."""
    strokes = tuple(
        tuple((about + (x - about) * squeeze + by[0], y + by[1], r, w) for x, y, r, w in stroke)
        for stroke in solid.strokes
    )
    broken = solid.fracture
    if broken is not None:
        x, y = broken.at
        broken = replace(broken, at=(about + (x - about) * squeeze + by[0], y + by[1]))
    return replace(solid, strokes=strokes, fracture=broken)
