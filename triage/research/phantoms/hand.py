"""Hand, wrist and finger: which solids lie where in each view."""

from triage.research.phantoms.solids import (
    METACARPAL,
    PHALANX,
    TUFT,
    Break,
    Point,
    Projection,
    Solid,
    bone,
    flesh,
    move,
    shaft,
    wire,
)

# Joints of the rays of a hand, from the base of the metacarpal to the fingertip.
RAYS: tuple[tuple[Point, ...], ...] = (
    ((74, 187), (46, 149), (27, 121), (14, 97)),
    ((84, 178), (74, 110), (65, 66), (61, 41), (58, 22)),
    ((94, 177), (92, 104), (90, 56), (89, 27), (88, 6)),
    ((103, 179), (109, 110), (116, 65), (119, 38), (121, 18)),
    ((111, 183), (126, 120), (140, 86), (147, 67), (152, 49)),
)
THICK = (1.1, 1.05, 1.08, 0.98, 0.88)  # of the rays, as a factor


def carpus() -> tuple[Solid, ...]:
    spots = (
        ((80, 197, 5.2), (87, 189, 5.4)),  # scaphoid
        ((95, 200, 6.6), (98, 199, 6.2)),  # lunate
        ((107, 197, 5.6), (110, 193, 5.0)),  # triquetrum
        ((111, 199, 3.6), (112, 198, 3.6)),  # pisiform
        ((77, 186, 5.4), (79, 183, 5.2)),  # trapezium
        ((86, 180, 4.6), (87, 178, 4.6)),  # trapezoid
        ((95, 190, 5.6), (95, 178, 5.4)),  # capitate
        ((105, 187, 5.6), (104, 180, 6.0)),  # hamate
    )
    return tuple(
        bone(tuple((x, y + 2.5, r * 1.06, 0.8) for x, y, r in spot), depth=0.95) for spot in spots
    )


def _distal_forearm(fracture: Break | None = None) -> tuple[Solid, ...]:
    radius = bone(
        (
            (88, 300, 7.0, 2.6),
            (87, 262, 7.2, 2.4),
            (88, 240, 8.8, 1.4),
            (88, 227, 11.4, 0.9),
            (89, 219, 11.6, 0.8),
        ),
        ((81, 221, 8.0, 0.8), (78, 210, 4.4, 0.8)),  # styloid
        ((92, 219, 8.6, 0.8), (98, 214, 5.6, 0.8)),  # lunate facet
        fracture=fracture,
    )
    ulna = bone(
        ((114, 300, 6.4, 2.4), (114, 250, 5.6, 1.9), (114, 226, 6.2, 1.0), (113, 217, 7.2, 0.8)),
        ((117, 216, 3.4, 0.7), (118, 210, 2.1, 0.6)),
    )
    return radius, ulna


def ray(index: int, *, flexion: float = 1.0) -> tuple[Solid, ...]:
    """Bones of one ray; *flexion* below 1 draws the joints nearer along y."""
    base = RAYS[index][0][1]
    joints = [(x, base + (y - base) * flexion) for x, y in RAYS[index]]
    last = len(joints) - 2
    profiles = [METACARPAL] + [PHALANX] * (last - 1) + [TUFT]
    shrink = (1.0, 1.0, 0.86, 0.86)
    return tuple(
        bone(shaft(a, b, profile, scale=THICK[index] * shrink[min(i, 3)], bow=0.8))
        for i, (a, b, profile) in enumerate(zip(joints[:-1], joints[1:], profiles, strict=True))
    )


def _hand_flesh() -> tuple[Solid, ...]:
    widths = (
        (15, 14, 11, 8.5),
        (15, 13, 10, 8.6, 7.2),
        (15, 13.5, 10.4, 9, 7.4),
        (15, 13, 10, 8.6, 7),
        (14, 11.5, 9, 7.8, 6.4),
    )
    rays = [
        [(x, y, float(r)) for (x, y), r in zip(joints, radii, strict=True)]
        for joints, radii in zip(RAYS, widths, strict=True)
    ]
    wrist = [
        [(85.0, 310.0, 21.0), (85.0, 230.0, 19.0), (88.0, 195.0, 20.0), (88.0, 172.0, 16.0)],
        [(110.0, 310.0, 21.0), (110.0, 230.0, 18.0), (105.0, 195.0, 20.0), (103.0, 172.0, 16.0)],
        [(66.0, 180.0, 15.0), (62.0, 158.0, 13.0), (72.0, 138.0, 10.0)],  # ball of the thumb
    ]
    return (flesh(*wrist, *rays, depth=0.85, fat=2.0),)


def hand_pa(fracture: Break | None = None) -> Projection:
    rays = [solid for index in range(5) for solid in ray(index)]
    if fracture is not None:
        fifth = rays.index(ray(4)[0])
        rays[fifth] = bone(*rays[fifth].strokes, fracture=fracture)
    solids = (*_hand_flesh(), *carpus(), *_distal_forearm(), *rays)
    return Projection(
        name="PA", size=(172, 236), pixel=0.25, solids=tuple(move(s, by=(6, 6)) for s in solids)
    )


def hand_oblique(fracture: Break | None = None) -> Projection:
    """The hand turned by 45 degrees: the ulnar metacarpals overlap."""
    flat = hand_pa(fracture)
    return Projection(
        name="LLO",
        size=(150, 236),
        pixel=0.25,
        solids=tuple(move(s, squeeze=0.72, about=90, by=(-6, 0)) for s in flat.solids),
    )


def wrist_pa(fracture: Break | None = None, hardware: tuple[Solid, ...] = ()) -> Projection:
    rays = [ray(index)[0] for index in range(5)]
    solids = (*_hand_flesh(), *carpus(), *_distal_forearm(fracture), *rays, *hardware)
    return Projection(
        name="PA",
        size=(104, 134),
        pixel=0.155,
        solids=tuple(move(s, by=(-44, -130)) for s in solids),
    )


def wrist_lateral(fracture: Break | None = None, hardware: tuple[Solid, ...] = ()) -> Projection:
    solids = (
        flesh(
            [(52, 140, 25), (52, 95, 24), (52, 75, 23), (50, 45, 22), (50, -5, 20)],
            [(46, 52, 13), (32, 22, 12), (26, -5, 11)],
            depth=1.0,
        ),
        bone(
            ((52, 150, 6.6, 2.6), (52, 110, 7.0, 2.2), (51, 94, 9.4, 1.0), (52, 86, 10.4, 0.8)),
            ((46, 84, 4.6, 0.8), (45, 80, 3.0, 0.7)),
            ((58, 84, 4.6, 0.8), (60, 79, 2.8, 0.7)),
            fracture=fracture,
        ),
        bone(((57, 150, 6.0, 2.4), (58, 108, 5.4, 1.9), (60, 90, 6.0, 0.9), (61, 84, 5.6, 0.8))),
        bone(((52, 72, 6.2, 0.7), (51, 70, 6.4, 0.7)), ((46, 72, 3.4, 0.7), (57, 71, 3.6, 0.7))),
        bone(((52, 61, 5.6, 0.7), (52, 50, 6.6, 0.8))),
        bone(((46, 68, 5.0, 0.7), (42, 58, 5.2, 0.7)), density=0.8),
        bone(((58, 64, 5.4, 0.7), (58, 58, 5.4, 0.7)), density=0.8),
        bone(((43, 52, 6.0, 0.7), (42, 48, 5.8, 0.7)), density=0.8),
        bone(shaft((52, 44), (51, -16), METACARPAL)),
        bone(shaft((55, 45), (56, -14), METACARPAL, scale=0.95), density=0.8),
        bone(shaft((49, 46), (46, -16), METACARPAL, scale=0.95), density=0.8),
        bone(shaft((40, 46), (27, 2), METACARPAL)),
        *hardware,
    )
    return Projection(name="LL", size=(92, 134), pixel=0.155, solids=solids)


def finger_pa(hardware: tuple[Solid, ...] = (), fracture: Break | None = None) -> Projection:
    """The ring finger alone, its neighbours out of the field."""
    joints: tuple[Point, ...] = ((35, 138), (34, 91), (33, 48), (32.5, 22), (32, 2))
    bones = [
        bone(shaft((36, 165), joints[1], METACARPAL)),
        bone(shaft(joints[1], joints[2], PHALANX), fracture=fracture),
        bone(shaft(joints[2], joints[3], PHALANX, scale=0.86)),
        bone(shaft(joints[3], joints[4], TUFT)),
    ]
    skin = [
        (35, 140, 14),
        (34, 91, 11.5),
        (33.5, 70, 9.8),
        (33, 48, 10),
        (32.6, 24, 9),
        (32.2, 10, 8),
    ]
    web = [(7, 150, 14), (5, 110, 11), (63, 110, 11), (64, 150, 14)]
    neighbours = (
        flesh(web[:2], web[2:], depth=0.8, fat=2.0),
        bone(shaft((4, 150), (1, 96), METACARPAL)),
        bone(shaft((62, 150), (66, 98), METACARPAL)),
    )
    solids = (flesh(skin, depth=0.9, fat=2.0), *neighbours, *bones, *hardware)
    return Projection(
        name="PA", size=(68, 116), pixel=0.12, solids=tuple(move(s, by=(0, 8)) for s in solids)
    )


def finger_lateral(hardware: tuple[Solid, ...] = (), fracture: Break | None = None) -> Projection:
    joints: tuple[Point, ...] = ((42, 140), (40, 92), (34, 50), (28, 26), (24, 6))
    bones = [
        bone(shaft(joints[0], joints[1], METACARPAL, bow=1.5)),
        bone(shaft(joints[1], joints[2], PHALANX, scale=0.92, bow=1.6), fracture=fracture),
        bone(shaft(joints[2], joints[3], PHALANX, scale=0.78, bow=0.8)),
        bone(shaft(joints[3], joints[4], TUFT, scale=0.8)),
    ]
    skin = [(42, 150, 17), (40, 92, 12), (36, 68, 10), (33, 50, 9.8), (27, 26, 8.4), (24, 12, 6.6)]
    folded = flesh([(48, 150, 18), (30, 112, 12), (18, 118, 11)], depth=0.9, fat=2.0)
    solids = (flesh(skin, depth=0.9, fat=2.0), folded, *bones, *hardware)
    return Projection(
        name="LL", size=(64, 116), pixel=0.12, solids=tuple(move(s, by=(0, 6)) for s in solids)
    )


BOXERS = Break(at=(122, 135), along=(0.25, -0.97), shift=(-2.0, 2.2), turn=-16, gap=0.5, slope=0.2)
COLLES = Break(at=(88, 230), along=(0.05, -1), shift=(-0.9, 1.8), turn=6, gap=0.5, slope=0.15)
COLLES_LATERAL = Break(
    at=(51, 96), along=(0.0, -1), shift=(-0.9, 3.0), turn=14, gap=0.6, slope=-0.2
)
PHALANX_LATERAL = Break(
    at=(38.6, 78), along=(-0.14, -1), shift=(0.0, -0.8), turn=-3, gap=0.4, slope=0.5
)
PHALANX_BREAK = Break(
    at=(33.5, 78), along=(-0.02, -1), shift=(0.0, 0.8), turn=3, gap=0.35, slope=0.7
)
PINS_LATERAL = wire((41, 96), (37, 60), radius=0.5), wire((38, 97), (39, 62), radius=0.5)
PINS = wire((27, 97), (38, 62), radius=0.5), wire((41, 97), (30, 64), radius=0.5)
