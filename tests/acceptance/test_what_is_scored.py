"""Which images of a study are scored, what they show, and why the others are not."""

import pytest
from pydicom.dataset import Dataset

from tests.support import dcmtk, studies
from tests.support.studies import picture, study_uid
from triage.core.study import Side

pytestmark = pytest.mark.dcmtk

PROCESSING = "1.2.840.10008.5.1.4.1.1.1.1.1"


@pytest.fixture(scope="module")
def daemon(start_shared_daemon, random_model):
    daemon = start_shared_daemon(
        model__path=str(random_model), study__parts={"99LOCAL:RX7": "elbow", "OSG": "outside"}
    )
    daemon.wait_for_scorer()
    return daemon


def image(study, number=1, *, pixels=None, side=Side.UNKNOWN, part=None, **attributes):
    """Make image *number* of a study; no part of the body unless one is given."""
    shown = picture(number) if pixels is None else pixels
    made = studies.make(study, shown, number, side=side)
    made.pop("BodyPartExamined", None)
    made.pop("AnatomicRegionSequence", None)
    if part:
        made.BodyPartExamined = part
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def raw(study, number, **attributes):
    made = image(study, number, part="HAND", **attributes)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = PROCESSING
    made.PresentationIntentType = "FOR PROCESSING"
    return made


def instances(daemon, study):
    """Return what `triage show` says of the study's instances, by SOP Instance UID."""
    (shown,) = daemon.show(study_uid(study))
    return {entry["sop_instance_uid"]: entry for entry in shown["instances"]}


def only_instances(daemon, names):
    """Return what `triage show` says of the one instance of each study, by the study's name."""
    shown = daemon.show(*map(study_uid, names))
    return {
        name: entry
        for name, detail in zip(names, shown, strict=True)
        for entry in detail["instances"]
    }


DESCRIBED = [
    ("SeriesDescription", "XR left wrist PA", "wrist", Side.LEFT),
    ("SeriesDescription", "Handgelenk rechts dp/seitl.", "wrist", Side.RIGHT),
    ("ProtocolName", "Poignet gauche face", "wrist", Side.LEFT),
    ("StudyDescription", "Radiografía de codo derecho", "elbow", Side.RIGHT),
    ("StudyDescription", "RX spalla sinistra 2 proiezioni", "shoulder", Side.LEFT),
    ("SeriesDescription", "Raio-X do antebraço direito", "forearm", Side.RIGHT),
]


@pytest.mark.parametrize("part", [None, "EXTREMITY"])
def test_the_part_and_side_come_from_a_description_in_six_languages(daemon, send, part):
    names = {text: f"{part}{number}" for number, (_, text, _, _) in enumerate(DESCRIBED)}
    send(
        *(
            image(names[text], part=part, SpecificCharacterSet="ISO_IR 192", **{attribute: text})
            for attribute, text, _, _ in DESCRIBED
        )
    )

    for _, text, study_type, _ in DESCRIBED:
        row = daemon.wait_for_study(study_uid(names[text]), status="scored")
        assert row["study_type"] == study_type
    shown = only_instances(daemon, list(names.values()))
    for attribute, text, study_type, side in DESCRIBED:
        entry = shown[names[text]]
        assert entry["part_from"] == entry["side_from"] == f"{attribute} {text!r}"
        assert entry["side"] == side
        assert entry["group"] == f"{study_type} {side}"


def test_the_sites_own_table_names_a_part(daemon, send):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "RX7", "99LOCAL", "Nr. 7"
    send(
        image("LOCAL CODE", ProcedureCodeSequence=[code]),
        image("LOCAL WORD", SeriesDescription="OSG seitl."),
    )

    row = daemon.wait_for_study(study_uid("LOCAL CODE"), status="scored")
    assert row["study_type"] == "elbow"
    row = daemon.wait_for_study(study_uid("LOCAL WORD"), status="unscorable")
    assert row["reason"].startswith("outside_upper_extremity: SeriesDescription 'OSG seitl.'")


def test_a_part_that_the_site_names_later_is_scored_again_by_request(
    start_daemon, random_model, tmp_path
):
    daemon = start_daemon(model__path=str(random_model))
    daemon.wait_for_scorer()
    sample = studies.write(tmp_path, image("LATER NAMED", part="KASI"))
    assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
    row = daemon.wait_for_study(sample.study_instance_uid, status="unscorable")
    assert row["reason"].startswith("unknown_part: ")
    assert "study.parts" in row["reason"]

    with daemon.config.open("a", encoding="utf-8") as settings:
        settings.write('[study.parts]\nKASI = "hand"\n')
    daemon.triage("rescore", sample.study_instance_uid)

    row = daemon.wait_for_study(sample.study_instance_uid, status="scored")
    assert row["study_type"] == "hand"
    daemon.stop()


def test_two_sides_are_two_groups_and_show_names_the_worst(daemon, send):
    send(
        image("BOTH", 1, part="HAND", side=Side.LEFT),
        image("BOTH", 2, part="HAND", side=Side.LEFT),
        image("BOTH", 3, part="HAND", side=Side.RIGHT),
    )

    row = daemon.wait_for_study(study_uid("BOTH"), status="scored", views_scored=3)

    (shown,) = daemon.show(study_uid("BOTH"))
    groups = {group["group"]: group for group in shown["groups"]}
    assert {name: group["views"] for name, group in groups.items()} == {"hand L": 2, "hand R": 1}
    (decides,) = [group for group in shown["groups"] if group["deciding"]]
    assert decides["probability"] == row["probability"]
    assert decides["probability"] == max(group["probability"] for group in shown["groups"])
    assert f"{decides['group']}" in daemon.triage("show", study_uid("BOTH"))


NOT_SCORED = {
    "SECONDARY": ({"ImageType": ["DERIVED", "SECONDARY"]}, "not_a_radiograph"),
    "LOCALIZER": ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "not_a_radiograph"),
    "SCREEN": ({"ImageType": ["DERIVED", "PRIMARY", "SCREEN SAVE"]}, "not_a_radiograph"),
    "MAMMO": ({"Modality": "MG"}, "not_a_radiograph"),
    "CT": ({"Modality": "CT"}, "not_a_radiograph"),
    "AI": ({"SeriesDescription": "AI result: fracture"}, "algorithm_result"),
    "HEATMAP": ({"DerivationDescription": "class activation heatmap"}, "algorithm_result"),
    "NAMED": ({"AlgorithmName": "FractureNet"}, "algorithm_result"),
    "KNEE": ({"BodyPartExamined": "KNEE"}, "outside_upper_extremity"),
    "SILENT": ({"BodyPartExamined": ""}, "unknown_part"),
    "UNREAD": ({"BodyPartExamined": "KOLANO"}, "unknown_part"),
}


def test_what_is_no_radiograph_of_an_arm_is_not_scored_and_says_why(daemon, send):
    send(
        *(
            image(f"NOT {name}", **({"part": "HAND"} | attributes))
            for name, (attributes, _) in NOT_SCORED.items()
        )
    )

    reasons = {}
    for name, (_, code) in NOT_SCORED.items():
        row = daemon.wait_for_study(study_uid(f"NOT {name}"), status="unscorable")
        assert (row["label"], row["probability"], row["priority"]) == (None, None, "MEDIUM")
        assert row["reason"].startswith(f"{code}: ")
        reasons[f"NOT {name}"] = row["reason"]
    for name, entry in only_instances(daemon, list(reasons)).items():
        assert (entry["state"], entry["reason"]) == ("unscorable", reasons[name])


@pytest.mark.parametrize("first", ["raw", "shown"])
def test_a_raw_image_is_not_scored_when_its_presentation_is_there(daemon, send, first):
    study = f"TWINS {first}"
    pair = [raw(study, 1), image(study, 2, part="HAND")]
    for made in pair if first == "raw" else reversed(pair):
        send(made)
        daemon.wait_for_study(study_uid(study), views_scored=1)

    row = daemon.wait_for_study(study_uid(study), status="scored", views=1, views_scored=1)

    of = instances(daemon, study)
    left_out, shown = (of[str(made.SOPInstanceUID)] for made in pair)
    assert (left_out["state"], left_out["probability"]) == ("unscorable", None)
    assert left_out["reason"].startswith("presentation_twin: ")
    assert str(pair[1].SOPInstanceUID) in left_out["reason"]
    assert shown["probability"] == row["probability"]


def test_a_raw_image_by_itself_is_scored_and_marked(daemon, send):
    send(raw("RAW", 1))

    row = daemon.wait_for_study(study_uid("RAW"), status="scored")

    assert row["reason"].startswith("low_trust: ")
    (entry,) = instances(daemon, "RAW").values()
    assert entry["reason"].startswith("low_trust: ")


def test_the_copies_of_an_exposure_count_once(daemon, send):
    first, copy, other = (image("COPIES", number, part="HAND") for number in (1, 2, 3))
    copy.PixelData, copy.Rows, copy.Columns = first.PixelData, first.Rows, first.Columns
    send(copy, first, other)

    row = daemon.wait_for_study(study_uid("COPIES"), status="scored", views_scored=3)

    of = instances(daemon, "COPIES")
    scores = [of[str(made.SOPInstanceUID)]["probability"] for made in (first, copy, other)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert row["probability"] == pytest.approx((scores[0] + scores[2]) / 2, abs=1e-6)
    remarks = [of[str(made.SOPInstanceUID)]["reason"] or "" for made in (first, copy)]
    assert sorted(remark.partition(":")[0] for remark in remarks) == ["", "duplicate_exposure"]
    (shown,) = daemon.show(study_uid("COPIES"))
    assert [group["views"] for group in shown["groups"]] == [2]


def test_a_view_is_cropped_to_its_exposed_field_and_show_says_so(daemon, send):
    made = image("FIELD", part="HAND", pixels=picture(5))
    rows, columns = picture(5).shape
    made.ShutterShape = "RECTANGULAR"
    made.ShutterLeftVerticalEdge, made.ShutterRightVerticalEdge = 20, columns - 20
    made.ShutterUpperHorizontalEdge, made.ShutterLowerHorizontalEdge = 30, rows - 30
    send(made)

    daemon.wait_for_study(study_uid("FIELD"), status="scored")

    (entry,) = instances(daemon, "FIELD").values()
    assert f"of {rows} x {columns}" in entry["exposed_field"]
    assert entry["exposed_field"] in daemon.triage("show", study_uid("FIELD"))


def test_an_image_whose_header_does_not_end_is_kept_and_says_why(daemon, send):
    long, other = image("LONG", 1, part="HAND"), image("LONG", 2, part="HAND")
    for block in range(0x10, 0x100):  # PS3.5 7.8.1
        long.add_new(0x00990000 + block, "LO", f"TESTS {block}")
        for number in range(0x100):
            long.add_new(0x00990000 + (block << 8) + number, "LO", "")
    send(long, other)

    daemon.wait_for_study(study_uid("LONG"), views_scored=1)

    (shown,) = daemon.show(study_uid("LONG"))
    entry = instances(daemon, "LONG")[str(long.SOPInstanceUID)]
    assert entry["state"] == "failed"
    assert entry["reason"].startswith("too_large: More than 50000 elements stand before")
    assert shown["views"] == 2
