"""Elbow, forearm, humerus and shoulder: which solids lie where in each view."""

from triage.research.phantoms import hand
from triage.research.phantoms.solids import (
    HUMERUS,
    RADIUS,
    ULNA,
    Break,
    Material,
    Projection,
    Solid,
    bone,
    flesh,
    plate,
    shaft,
)


def _elbow_end(x: float, y: float) -> tuple[tuple[tuple[float, float, float, float], ...], ...]:
    """Strokes of the distal humerus in AP: epicondyles, capitulum, trochlea around (x, y)."""
    return (
        ((x - 6, y - 26, 9.5, 1.6), (x - 15, y - 8, 8.0, 0.9), (x - 11, y, 9.0, 0.8)),
        ((x + 6, y - 26, 9.5, 1.6), (x + 20, y - 11, 7.2, 0.9), (x + 10, y - 1, 8.6, 0.8)),
        ((x - 11, y + 1, 8.8, 0.8), (x, y, 7.4, 0.8), (x + 10, y + 1, 9.4, 0.8)),
    )


def elbow_ap() -> Projection:
    solids = (
        flesh(
            [(70, -20, 40), (68, 60, 40), (68, 100, 42), (66, 135, 40), (66, 230, 33)],
            depth=0.8,
            fat=5,
        ),
        bone(
            ((70, -20, 10.6, 4.0), (70, 40, 10.8, 3.2), (69, 74, 12.0, 1.8)),
            *_elbow_end(68, 100),
            depth=0.7,
        ),
        bone(shaft((56, 112), (52, 350), RADIUS), ((56, 118, 9.6, 0.9), (56, 122, 9.4, 0.9))),
        bone(
            ((73, 92, 9.0, 1.2), (74, 108, 11.0, 1.1), (76, 122, 11.0, 1.2)),
            shaft((76, 108), (88, 360), ULNA, bow=-3),
        ),
    )
    return Projection(name="AP", size=(136, 196), pixel=0.24, solids=solids)


def elbow_lateral() -> Projection:
    """The elbow at a right angle, humerus from above, forearm to the left."""
    solids = (
        flesh(
            [(108, -30, 40), (108, 60, 40), (108, 92, 36)],
            [(104, 96, 35), (60, 100, 35), (-30, 104, 30)],
            depth=0.9,
            fat=5,
        ),
        bone(
            ((112, -30, 10.2, 4.0), (112, 40, 9.8, 3.0), (111, 68, 9.2, 1.8), (109, 82, 7.0, 1.6)),
            ((104, 94, 11.0, 0.9), (106, 93, 11.2, 0.9)),
            ((107, 90, 8.6, 0.8), (108, 86, 8.0, 0.8)),
            depth=1.2,
        ),
        bone(
            (
                (122, 88, 6.4, 1.2),
                (124, 98, 7.4, 1.2),
                (118, 110, 8.0, 1.4),
                (100, 114, 8.2, 1.6),
                (88, 110, 8.4, 1.6),
            ),
            ((88, 110, 7.6, 1.6), (87, 102, 4.2, 1.0)),
            ((90, 112, 8.0, 1.8), (40, 117, 6.8, 2.8), (-40, 118, 5.6, 2.6)),
        ),
        bone(
            ((85, 93, 9.6, 0.9), (82, 93, 9.4, 0.9)),
            (
                (80, 94, 7.4, 1.2),
                (72, 96, 6.0, 1.6),
                (56, 99, 7.2, 2.2),
                (10, 103, 7.0, 3.0),
                (-40, 106, 7.0, 3.0),
            ),
        ),
    )
    return Projection(name="LL", size=(166, 152), pixel=0.23, solids=solids)


def forearm_ap(radius: Break | None = None, hardware: tuple[Solid, ...] = ()) -> Projection:
    solids = (
        flesh(
            [
                (68, -30, 38),
                (66, 40, 40),
                (65, 90, 38),
                (65, 170, 31),
                (66, 250, 25),
                (68, 330, 30),
            ],
            depth=0.75,
            fat=4,
        ),
        bone(((68, -30, 11, 3.6), (68, 8, 12, 2.0)), *_elbow_end(66, 32), depth=0.7),
        bone(
            shaft((54, 44), (56, 270), RADIUS, bow=-7),
            ((53, 262, 7.5, 0.8), (49, 270, 4.2, 0.8)),
            fracture=radius,
        ),
        bone(((72, 26, 8.6, 1.2), (74, 50, 10.6, 1.2)), shaft((75, 40), (82, 270), ULNA, bow=-2)),
        *(_flipped(s) for s in hand.carpus()),
        *(_flipped(hand.ray(index)[0]) for index in range(5)),
        *hardware,
    )
    return Projection(name="AP", size=(132, 304), pixel=0.33, solids=solids)


def _flipped(solid: Solid) -> Solid:
    """Turn a solid of the hand, fingers up, under a forearm whose elbow is up."""
    return Solid(
        strokes=tuple(tuple((x - 29, 484 - y, r, w) for x, y, r, w in s) for s in solid.strokes),
        depth=solid.depth,
    )


def humerus_ap(fracture: Break | None = None, hardware: tuple[Solid, ...] = ()) -> Projection:
    solids = (
        flesh(
            [(118, 20, 62), (84, 70, 50), (74, 140, 44), (72, 230, 40), (70, 330, 38)],
            depth=0.8,
            fat=7,
        ),
        flesh([(240, -40, 110), (250, 120, 120), (250, 320, 120)], depth=0.5, fat=12),
        bone(
            ((92, 42, 22.5, 0.8), (86, 48, 21.0, 0.8)),
            ((72, 42, 9.5, 0.9), (73, 54, 11.0, 1.0)),
            shaft((80, 40), (70, 300), HUMERUS, bow=-2),
            *_elbow_end(69, 300),
            fracture=fracture,
        ),
        bone(((62, 14, 6, 1.4), (82, 8, 7, 1.4), (104, 8, 6, 1.4)), depth=0.8, density=0.9),
        bone(
            ((122, 34, 8, 1.2), (124, 50, 9, 1.2), (128, 64, 8, 1.2), (146, 120, 5, 1.4)),
            density=0.9,
        ),
        bone(shaft((62, 316), (60, 560), RADIUS), density=0.95),
        bone(((76, 292, 9, 1.2), (78, 318, 10.6, 1.2), (80, 360, 8, 2.4))),
        *hardware,
    )
    return Projection(name="AP", size=(168, 334), pixel=0.36, solids=solids)


def shoulder_ap(*, external: bool = True, fracture: Break | None = None) -> Projection:
    """The shoulder with the arm turned out (tuberosity in profile) or in."""
    tuberosity = -19.0 if external else -8.0
    ribs = tuple(
        bone(
            ((142 + i * 3, 62 + 27 * i, 4.4, 1.0), (172, 52 + 27 * i, 4.6, 1.0), (215, 62 + 28 * i, 4.6, 1.0), (262, 84 + 28 * i, 4.6, 1.0)),
            density=0.6, depth=0.7,
        )
        for i in range(6)
    )  # fmt: skip
    solids = (
        flesh([(250, 10, 40), (240, 80, 92), (250, 240, 122)], depth=0.75, fat=8),
        flesh([(150, 60, 34), (90, 70, 46), (72, 120, 44), (62, 260, 40)], depth=0.9, fat=8),
        Solid(
            strokes=(((200, 84, 34, 0.0), (218, 130, 56, 0.0), (226, 250, 66, 0.0)),),
            material=Material.LUNG,
            depth=1.4,
        ),
        *ribs,
        bone(
            ((92, 84, 22.0, 0.8), (88, 88, 20.5, 0.8)),
            ((88 + tuberosity, 80, 8.5, 0.9), (89 + tuberosity, 92, 10.5, 1.0)),
            shaft((82, 84), (60, 344), HUMERUS),
            fracture=fracture,
        ),
        bone(
            (
                (124, 70, 7, 1.2),
                (126, 86, 9, 1.3),
                (126, 100, 8, 1.3),
                (138, 124, 5.0, 1.6),
                (160, 190, 4.4, 1.6),
            )
        ),
        bone(
            ((140, 84, 16, 0.6), (164, 96, 22, 0.6), (166, 140, 18, 0.6), (164, 170, 12, 0.6)),
            depth=0.10,
        ),
        bone(((178, 62, 3.6, 1.2), (186, 110, 3.4, 1.2), (168, 190, 3.6, 1.2)), depth=0.7),
        bone(
            ((182, 82, 3.6, 1.2), (140, 62, 5.0, 1.4), (108, 46, 6.4, 1.4), (88, 48, 6.0, 1.2)),
            depth=0.7,
        ),
        bone(((128, 78, 5.0, 1.2), (112, 66, 4.6, 1.2), (106, 74, 4.6, 1.2)), depth=0.8),
        bone(
            (
                (104, 40, 6.4, 1.2),
                (130, 30, 5.8, 1.8),
                (170, 36, 5.6, 2.0),
                (215, 56, 6.2, 1.8),
                (262, 66, 8.0, 1.4),
            ),
            depth=0.8,
        ),
    )
    return Projection(name="AP", size=(226, 214), pixel=0.28, solids=solids)


NECK = Break(at=(76, 110), along=(-0.08, 1), shift=(-3.0, 5.0), turn=4, gap=1.0, slope=0.35)
MIDSHAFT = Break(at=(49, 160), along=(0, 1), shift=(0.0, 1.0), turn=0, gap=0.7, slope=0.5)
RADIUS_PLATE = plate((49, 124), (48, 198), offset=8.6, screws=6, reach=15.5)
