"""Which side of the body, from codes and the words of six languages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.core.anatomy import Coded, Evidence
from triage.core.laterality import find_side
from triage.core.study import Side


def said(text, attribute="SeriesDescription"):
    return Evidence(attribute=attribute, text=text)


def coded(*codes, attribute="AnatomicRegionSequence"):
    return Evidence(attribute=attribute, codes=tuple(Coded(*code) for code in codes))


HAND_CODE = ("SCT", "85562004", "Hand")


@pytest.mark.parametrize(
    "text",
    [
        *("Left hand", "HAND LT", "Hand L", "L HAND", "HAND_L", "Hand links", "Handgelenk li."),
        *(
            "linke Schulter",
            "Main gauche",
            "Main G",
            "MAIN G FACE",
            "épaule gche",
            "Mano izquierda",
        ),
        *("RX MUÑECA IZQ", "mano I", "codo izqdo", "Mano sinistra", "polso sx", "spalla sin"),
        *("DX MANO IZQ", "Hand dv li", "Hand li in 2 Ebenen"),
        *("gomito SN", "Mão esquerda", "punho esq", "Mao E", "MÃO E AP", "Ombro E", "AP LEFT"),
    ],
)
def test_a_description_names_the_left_side(text):
    assert find_side([said(text)]) == (Side.LEFT, f"SeriesDescription {text!r}")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Right hand",
            "HAND RT",
            "Hand R",
            "R WRIST",
            "Hand rechts",
            "Handgelenk re",
            "Finger re.",
        ),
        *("rechter Ellenbogen", "Main droite", "Main D", "coude dte", "Mano derecha", "codo dcha"),
        *("Mano der", "muñeca D", "Mano destra", "polso dx", "spalla D", "Mão direita", "punho D"),
        *("mano dx", "MANO DX AP", "DX POLSO", "polso ap dx", "Hand dv re", "Finger re Dig 2"),
        *("ombro dir", "Mao D perfil", "AP RT", "RX PUNHO AP E PERFIL D"),
    ],
)
def test_a_description_names_the_right_side(text):
    assert find_side([said(text)]) == (Side.RIGHT, f"SeriesDescription {text!r}")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Hand",
            "Hand AP",
            "Hand LAT",
            "hand lateral",
            "L-spine",
            "L5 hand",
            "D3 dedo",
            "DX hand",
        ),
        *(
            "HAND DX",
            "Re: patient",
            "wrist r/o fracture",
            "Mão e punho",
            "mano e polso",
            "mano sin",
        ),
        *(
            "Épaule d'un enfant",
            "radio d epaule",
            "l'omero",
            "l epaule",
            "dedo I",
            "Röntgen der Hand",
        ),
        *("mano sin contraste", "", "LL", "RL", "both hands", "Hände beidseits", "Hand bds"),
        *("mains bilatérales", "ambas manos", "entrambe le mani", "Hand L/R", "Hand re + li"),
        *("HAND RE-CHECK", "RE-EXAM HAND 3 VIEWS", "HAND RE DO", "RE-TAKE HAND", "wrist re exam"),
        *("DX MANO AP", "MANO AP DX", "MANO DX FRACTURA", "DX-MANO", "LI HAND", "re: Finger"),
        *("Hand dv re, Hand dv li", "Hand re, Hand links", "Hand re Fraktur, Hand li"),
        *("Mains 2 côtés", "Mains des 2 cotes", "mains, les deux côtés", "Mains 2 côtés droite"),
        *("Main droite et gauche", "Hand left and right", "g", "d", "E"),
    ],
)
def test_a_description_that_names_no_side_or_both_decides_nothing(text):
    assert find_side([said(text)]) == (Side.UNKNOWN, "")


@pytest.mark.parametrize(
    ("term", "side"),
    [
        *(("LT HAND", Side.LEFT), ("HAND_R", Side.RIGHT), ("LHAND", Side.LEFT)),
        *(("RWRIST", Side.RIGHT), ("HANDLT", Side.LEFT), ("RADIUS", Side.UNKNOWN)),
        *(("LSPINE", Side.UNKNOWN), ("L ARM", Side.LEFT), ("HAND", Side.UNKNOWN)),
        *(("SCAPULAR", Side.UNKNOWN), ("ULNAR", Side.UNKNOWN), ("CLAVICULAR", Side.UNKNOWN)),
        *(("HANDR", Side.RIGHT), ("WRISTL", Side.LEFT), ("ULNA_R", Side.RIGHT)),
        *(("RULNA", Side.RIGHT), ("SCAPULALT", Side.LEFT)),
    ],
)
def test_body_part_examined_may_hold_the_side(term, side):
    assert find_side([said(term, "BodyPartExamined")])[0] is side


def test_the_laterality_attributes_come_first_and_the_images_own_before_the_series():
    evidence = [
        said("Hand links"),
        said("L", "Laterality"),
        said("R", "ImageLaterality"),
        coded(HAND_CODE, ("SCT", "7771000", "Left")),
    ]

    assert find_side(evidence) == (Side.RIGHT, "ImageLaterality 'R'")
    assert find_side(evidence[:2]) == (Side.LEFT, "Laterality 'L'")


@pytest.mark.parametrize("attribute", ["ImageLaterality", "FrameLaterality"])
def test_an_image_of_both_sides_is_of_no_side(attribute):
    evidence = [said("B", attribute), said("Hand links")]

    assert find_side(evidence) == (Side.UNKNOWN, f"{attribute} 'B'")


def test_an_unpaired_or_damaged_laterality_leaves_it_to_the_next():
    for value in ("U", "?", "X"):
        assert find_side([said(value, "ImageLaterality"), said("Hand links")])[0] is Side.LEFT


@pytest.mark.parametrize(
    ("code", "side"),
    [
        (("SCT", "24028007", "Right"), Side.RIGHT),
        (("SCT", "7771000", ""), Side.LEFT),
        (("SRT", "G-A100", ""), Side.RIGHT),
        (("SNM3", "G-A101", ""), Side.LEFT),
        (("SRT", "G-A102", "Bilateral"), Side.UNKNOWN),
        (("99X", "1", "rechts"), Side.RIGHT),
        (("99X", "R", ""), Side.RIGHT),
        (("99X", "L", "Lumbar"), Side.UNKNOWN),
    ],
)
def test_the_modifier_of_the_region_says_the_side(code, side):
    assert find_side([coded(HAND_CODE, code)])[0] is side


def test_a_region_may_have_its_side_in_its_own_code():
    assert find_side([coded(("SCT", "5951000", "Structure of left wrist"))])[0] is Side.LEFT
    assert find_side([coded(("SCT", "78791008", ""))])[0] is Side.RIGHT


def test_the_way_of_the_ray_is_no_side():
    view = coded(("SCT", "399173006", "left lateral"), attribute="ViewCodeSequence")
    modified = coded(
        ("SCT", "399067008", "lateral"), ("SCT", "7771000", "Left"), attribute="ViewCodeSequence"
    )

    assert find_side([view]) == (Side.UNKNOWN, "")
    assert find_side([modified])[0] is Side.LEFT


def test_both_sides_in_the_study_do_not_hide_the_seriess_own():
    evidence = [said("Hand links"), said("Both hands", "StudyDescription")]

    assert find_side(evidence)[0] is Side.LEFT
    assert find_side(list(reversed(evidence)))[0] is Side.LEFT


def test_the_attribute_that_decided_is_kept():
    side, said_by = find_side([coded(HAND_CODE, ("SCT", "7771000", "Left"))])

    assert side is Side.LEFT
    assert said_by == "AnatomicRegionSequence 85562004 SCT Hand; 7771000 SCT Left"


texts = st.text(max_size=1024)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.builds(
            Evidence,
            attribute=st.sampled_from(["BodyPartExamined", "ImageLaterality", "ViewCodeSequence"]),
            text=texts,
            codes=st.lists(st.builds(Coded, texts, texts, texts), max_size=4).map(tuple),
        ),
        max_size=6,
    )
)
def test_whatever_is_written_there_is_an_answer(evidence):
    side, said_by = find_side(evidence)

    assert side is Side.UNKNOWN or said_by
    assert len(said_by) < 512
