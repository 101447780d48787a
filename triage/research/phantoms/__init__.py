"""Radiographs that the package makes itself, for trying it and for testing it.

No patient stands behind them: the solids of `hand` and `arm` are put into a beam
(`beam`): thickness times attenuation along each ray, scatter, quantum noise,
12 bits. They look like radiographs and show fractures and hardware, but they
measure nothing: no figure of a network may be taken from them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.research.phantoms import arm, beam, hand
from triage.research.phantoms.solids import Material, Projection, Solid, Stroke


@dataclass(frozen=True, kw_only=True)
class PhantomView:
    """One picture of a phantom study."""

    position: str  # View Position (0018,5101)
    pixels: NDArray[np.uint16]  # (H, W), 12 bits, bright where the beam was weakened
    spacing: float  # mm from pixel to pixel, at the detector


@dataclass(frozen=True, kw_only=True)
class PhantomStudy:
    """One study, with what can be seen in it."""

    study_type: StudyType
    side: Side
    views: tuple[PhantomView, ...]
    finding: str | None  # None: nothing abnormal was put in


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    study_type: StudyType
    side: Side
    views: tuple[Projection, ...]
    finding: str | None = None


def _recipes() -> tuple[_Recipe, ...]:
    return (
        _Recipe(
            study_type=StudyType.WRIST,
            side=Side.RIGHT,
            views=(hand.wrist_pa(), hand.wrist_lateral()),
        ),
        _Recipe(
            study_type=StudyType.HAND,
            side=Side.LEFT,
            views=(hand.hand_pa(hand.BOXERS), hand.hand_oblique(hand.BOXERS)),
            finding="fracture of the neck of the fifth metacarpal",
        ),
        _Recipe(
            study_type=StudyType.ELBOW,
            side=Side.LEFT,
            views=(arm.elbow_ap(), arm.elbow_lateral()),
        ),
        _Recipe(
            study_type=StudyType.FOREARM,
            side=Side.RIGHT,
            views=(arm.forearm_ap(arm.MIDSHAFT, (arm.RADIUS_PLATE,)),),
            finding="plate and screws on the radius",
        ),
        _Recipe(
            study_type=StudyType.SHOULDER,
            side=Side.RIGHT,
            views=(arm.shoulder_ap(), arm.shoulder_ap(external=False)),
        ),
        _Recipe(
            study_type=StudyType.WRIST,
            side=Side.LEFT,
            views=(hand.wrist_pa(hand.COLLES), hand.wrist_lateral(hand.COLLES_LATERAL)),
            finding="displaced fracture of the distal radius",
        ),
        _Recipe(
            study_type=StudyType.FINGER,
            side=Side.RIGHT,
            views=(
                hand.finger_pa(hand.PINS, hand.PHALANX_BREAK),
                hand.finger_lateral(hand.PINS_LATERAL, hand.PHALANX_LATERAL),
            ),
            finding="fracture of the proximal phalanx with Kirschner wires",
        ),
        _Recipe(
            study_type=StudyType.HUMERUS,
            side=Side.LEFT,
            views=(arm.humerus_ap(arm.NECK),),
            finding="fracture of the surgical neck of the humerus",
        ),
    )


def samples(seed: int = 0) -> list[PhantomStudy]:
    """Return the eight studies, of all seven types; the same *seed* gives the same pixels."""
    return [
        PhantomStudy(
            study_type=recipe.study_type,
            side=recipe.side,
            finding=recipe.finding,
            views=tuple(
                expose(view, recipe.side, seed=(seed, number, index))
                for index, view in enumerate(recipe.views)
            ),
        )
        for number, recipe in enumerate(_recipes())
    ]


def expose(projection: Projection, side: Side, *, seed: tuple[int, ...]) -> PhantomView:
    """Take one picture of *projection*, mirrored for a left limb, with the side's lead letter."""
    rng = np.random.default_rng(seed)
    width, height = (round(length / projection.pixel) for length in projection.size)
    scene = beam.Scene.of((height, width), projection.pixel, rng)
    exponent = beam.attenuation(projection.solids, scene)
    if side is Side.LEFT:
        exponent = exponent[:, ::-1]
    exponent = exponent + beam.attenuation((_marker(side, projection, rng),), scene)
    return PhantomView(
        position=projection.name,
        pixels=beam.detect(exponent, projection.pixel, rng),
        spacing=projection.pixel,
    )


def _marker(side: Side, projection: Projection, rng: np.random.Generator) -> Solid:
    """Return the lead letter that the radiographer laid beside the limb."""
    letter: tuple[tuple[tuple[float, float], ...], ...] = (
        (((0, 0), (0, 1), (0.6, 1)),)
        if side is Side.LEFT
        else (
            ((0, 1), (0, 0), (0.4, 0), (0.6, 0.12), (0.6, 0.4), (0.4, 0.52), (0, 0.52)),
            ((0.3, 0.52), (0.62, 1)),
        )
    )
    tall = 0.045 * max(projection.size)
    at = np.array([0.07 * projection.size[0], 0.08 * projection.size[1]]) + rng.uniform(0, 3, 2)
    if side is Side.LEFT:
        at[0] = projection.size[0] - at[0] - tall * 0.6
    strokes: tuple[Stroke, ...] = tuple(
        tuple((at[0] + x * tall, at[1] + y * tall, tall * 0.09, 0.0) for x, y in line)
        for line in letter
    )
    return Solid(strokes=strokes, material=Material.METAL, depth=4.0)
