"""Which instances are for the network, and why the others are not."""

import pytest

from triage.core.anatomy import Evidence, PartTable
from triage.core.selection import MAX_FRAMES, ObjectKind, Rules, Subject, select
from triage.core.study import Side
from triage.core.studytype import StudyType

SCORE_UNKNOWN = Rules(score_unknown_part=True)


def subject(part="HAND", **fields):
    evidence = (Evidence(attribute="BodyPartExamined", text=part),) if part else ()
    said = {"kind": ObjectKind.RADIOGRAPH, "sop_class_name": "Some SOP Class", "frames": 1}
    return Subject(**said | {"evidence": evidence} | fields)


def chosen(part="HAND", rules=None, **fields):
    return select(subject(part, **fields), rules or Rules())


def test_a_radiograph_of_a_known_part_is_for_the_network():
    selection = chosen("LT HAND")

    assert (selection.frames, selection.reason) == (1, None)
    assert (selection.study_type, selection.side) == (StudyType.HAND, Side.LEFT)
    assert selection.part_from == selection.side_from == "BodyPartExamined 'LT HAND'"
    assert chosen(frames=3).frames == 3


@pytest.mark.parametrize(
    ("selection", "code"),
    [
        (chosen(kind=ObjectKind.NOT_AN_IMAGE, frames=0), "not_an_image"),
        (chosen(frames=0), "not_an_image"),
        (chosen(kind=ObjectKind.OTHER_IMAGE), "not_a_radiograph"),
        (chosen("CHEST"), "outside_upper_extremity"),
        (chosen("CHEST", SCORE_UNKNOWN), "outside_upper_extremity"),
        (chosen(""), "unknown_part"),
        (chosen("EXTREMITY"), "unknown_part"),
        (chosen("KOLANO"), "unknown_part"),
        (chosen("KOLANO", SCORE_UNKNOWN), "unknown_part"),
        (chosen(frames=MAX_FRAMES + 1), "too_large"),
    ],
)
def test_what_is_not_for_the_network_says_why(selection, code):
    assert selection.frames == 0
    assert selection.reason.startswith(f"{code}: ")


@pytest.mark.parametrize("part", ["", "EXTREMITY"])
def test_a_site_may_have_unknown_parts_scored(part):
    selection = chosen(part, SCORE_UNKNOWN)

    assert (selection.frames, selection.study_type, selection.reason) == (1, None, None)


def test_a_site_may_name_a_part_itself():
    rules = Rules(parts=PartTable({"MAO": StudyType.HAND, "HAND": "outside"}))

    assert chosen("MAO", rules).study_type is StudyType.HAND
    assert chosen("HAND", rules).reason.startswith("outside_upper_extremity: ")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"modality": "MG"}, "not_a_radiograph"),
        ({"modality": "ct"}, "not_a_radiograph"),
        ({"modality": "XA"}, "not_a_radiograph"),
        ({"conversion": "WSD"}, "not_a_radiograph"),
        ({"quality_control": True}, "not_a_radiograph"),
        ({"descriptions": ("Screenshot",)}, "not_a_radiograph"),
        ({"descriptions": ("Hand", "Dose_Report")}, "not_a_radiograph"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "REJECTED")}, "not_a_radiograph"),
        ({"image_type": ("DERIVED", "PRIMARY", "IA")}, "algorithm_result"),
        ({"descriptions": ("AI_RESULT",)}, "algorithm_result"),
        ({"descriptions": ("Fracture_AI overlay",)}, "algorithm_result"),
        ({"descriptions": ("R\u00e9sultat IA",)}, "algorithm_result"),
        ({"descriptions": ("Gleamer", "BoneView")}, "algorithm_result"),
        ({"image_type": ("DERIVED", "SECONDARY")}, "not_a_radiograph"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "not_a_radiograph"),
        ({"image_type": ("DERIVED", "PRIMARY", "", "SCREEN SAVE")}, "not_a_radiograph"),
        ({"image_type": ("DERIVED", "PRIMARY", "CAD")}, "algorithm_result"),
        ({"algorithm": "FractureNet"}, "algorithm_result"),
        ({"descriptions": ("AI result",)}, "algorithm_result"),
        ({"descriptions": ("Hand links", "KI-Befund")}, "algorithm_result"),
        ({"descriptions": ("Heatmap overlay",)}, "algorithm_result"),
        ({"descriptions": ("inteligência artificial",)}, "algorithm_result"),
    ],
)
def test_what_is_no_exposure_of_the_patient_is_not_scored(fields, code):
    assert chosen(**fields).reason.startswith(f"{code}: ")


@pytest.mark.parametrize(
    "description",
    [
        *("AI", "A.I.", "ki", "Ai fracture detection", "ai result overlay", "Result AI", "CAD"),
        *("AI result: fracture", "KI-Befund", "KI gestützte Auswertung", "AI_OVERLAY", "hand_CAD"),
        *("A.I. findings", "Hand PA (AI result)", "overlay AI v2", "Annotated by AI", "ai triage"),
        *("AI: negative", "Résultat IA", "Detección IA", "IA fracture detection", "AI bone age"),
        *("heat map", "Heatmaps", "saliency", "künstliche Intelligenz", "BoneView annotated"),
        *("Rayvolve", "RBfracture", "qMSK", "Lunit INSIGHT", "Annalise", "GLEAMER", "Milvue"),
    ],
)
def test_a_description_of_an_algorithms_result_is_seen(description):
    assert chosen(descriptions=(description,)).reason.startswith("algorithm_result: ")


@pytest.mark.parametrize(
    "description",
    [
        *("RX AI POLSI", "RX MANI ED AI GOMITI", "referto ai polsi", "report ai polsi"),
        *("RX ai polsi: negative", "RX ai polsi - triage verde", "esiti frattura ai polsi"),
        *("J'AI", "j'ai une fracture", "IA fracture distal radius", "Fracture IA poignet", "IA"),
        *("Fracture IA", "Hand PA", "fracture detected", "Boneviewer", "Analisi"),
    ],
)
def test_a_description_that_only_looks_like_an_algorithms_is_scored(description):
    assert chosen(descriptions=(description,)).frames == 1


@pytest.mark.parametrize(
    "value",
    [
        *("AI", "ai", "KI", "AI_OVERLAY", "AI RESULT", "AI_RESULT", "HEAT_MAP", "HEATMAP"),
        *("HEAT MAP", "ANNOTATED", "CAD_MARKS", "SALIENCY MAP", "RESULT"),
    ],
)
def test_an_image_type_of_an_algorithms_result_is_seen(value):
    reason = chosen(image_type=("DERIVED", "PRIMARY", "", value)).reason

    assert reason == f"algorithm_result: its Image Type is DERIVED\\PRIMARY\\\\{value.upper()}"


def test_an_image_type_is_read_by_whole_words():
    assert chosen(image_type=("DERIVED", "PRIMARY", "AIR", "STITCH_RESULT")).frames == 1
    assert "screen capture" in chosen(image_type=("DERIVED", "PRIMARY", "SCREEN_SAVE")).reason


@pytest.mark.parametrize(
    "fields",
    [
        {"modality": "CR"},
        {"modality": "RG"},
        {"modality": ""},
        {"conversion": "DF"},
        {"descriptions": ("scout hand PA", "FUJIFILM Corporation", "dose 0.1 mGy")},
        {"image_type": ()},
        {"image_type": ("DERIVED", "PRIMARY")},
        {"image_type": ("ORIGINAL", "PRIMARY", "")},
        {"descriptions": ("Main droite face", "Shoulder IA injection", "AIDS", "cadaver hand")},
        {"descriptions": ("J\u00e4rvinen kiinni", "aid to diagnosis: hand, PA")},
    ],
)
def test_an_exposure_of_the_patient_is_scored(fields):
    assert chosen(**fields).frames == 1
