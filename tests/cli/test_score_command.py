"""`triage score`: files in, studies out, no daemon."""

import json

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from tests.support import models
from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.dicom.radiograph import StudyHeader, digital_radiograph, save


def pattern(number):
    return np.random.default_rng(number).integers(0, 256, (40, 30), dtype=np.uint8)


def dicom(path, number, *, study="1.2", part=StudyType.WRIST, side=Side.LEFT):
    header = StudyHeader(study_instance_uid=study, study_type=part, side=side)
    save(digital_radiograph(pattern(number), header, sop_instance_uid=f"{study}.{number}"), path)
    return str(path)


def picture(path, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pattern(number)).save(path)
    return str(path)


@pytest.fixture
def score(triage, random_model, tmp_path, monkeypatch):
    """Run `triage score --json`; return (exit code, document, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAGE_MODEL__PATH", str(random_model))

    def score(*arguments):
        code, out, err = triage("score", "--json", *arguments)
        return code, json.loads(out) if out else None, err

    return score


def test_dicom_files_form_studies_in_the_order_given(score, tmp_path):
    code, studies, _ = score(
        dicom(tmp_path / "b.dcm", 1, study="1.9"),
        dicom(tmp_path / "a.dcm", 1, study="1.2"),
        dicom(tmp_path / "c.dcm", 2, study="1.9"),
    )

    assert code == 0
    assert [(s["study_instance_uid"], len(s["views"])) for s in studies] == [("1.9", 2), ("1.2", 1)]
    assert list(studies[0]) == [
        "study_instance_uid",
        "study_type",
        "label",
        "probability",
        "status",
        "reason",
        "model",
        "views",
    ]
    assert list(studies[0]["views"][0]) == [
        "path",
        "sop_instance_uid",
        "frame",
        "group",
        "probability",
        "status",
        "reason",
    ]
    first = studies[0]
    assert first["probability"] == pytest.approx(
        sum(view["probability"] for view in first["views"]) / 2, abs=1e-12
    )
    assert (first["study_type"], first["status"], first["views"][0]["group"]) == (
        "wrist",
        "scored",
        "wrist L",
    )


def test_a_picture_scores_like_its_dicom_twin(score, tmp_path):
    png = picture(tmp_path / "XR_WRIST" / "patient1" / "image1.png", 5)

    _, (from_png, from_dicom), _ = score(png, dicom(tmp_path / "a.dcm", 5))

    assert from_png["probability"] == pytest.approx(from_dicom["probability"], abs=1e-6)
    assert (from_png["study_instance_uid"], from_png["study_type"]) == (None, "wrist")


def test_a_folder_is_walked_in_sorted_order_a_study_a_folder(score, tmp_path):
    for place, number in (("p2/i1.png", 1), ("p1/i2.png", 2), ("p1/i1.png", 3)):
        picture(tmp_path / "XR_HAND" / place, number)
    (tmp_path / "XR_HAND" / "notes.txt").write_text("not a picture")

    code, studies, _ = score("XR_HAND")

    assert code == 0
    assert [[view["path"] for view in study["views"]] for study in studies] == [
        ["XR_HAND/p1/i1.png", "XR_HAND/p1/i2.png"],
        ["XR_HAND/p2/i1.png"],
    ]


def test_pictures_elsewhere_need_their_study_type(score, tmp_path):
    loose = picture(tmp_path / "image.png", 1)

    _, (unknown,), _ = score(loose)
    _, (named,), _ = score(loose, "--study-type", "elbow")

    assert (unknown["status"], unknown["label"]) == ("unscorable", None)
    assert unknown["reason"].startswith("unknown_part: ")
    assert (named["status"], named["study_type"]) == ("scored", "elbow")


def test_a_part_outside_the_seven_is_not_scored(score, tmp_path):
    path = tmp_path / "chest.dcm"
    header = StudyHeader(study_instance_uid="1.5", study_type=None)
    dataset = digital_radiograph(pattern(1), header)
    dataset.BodyPartExamined = "CHEST"
    save(dataset, path)

    code, (study,), _ = score(str(path))

    assert code == 0
    assert (study["status"], study["label"], study["probability"]) == ("unscorable", None, None)
    assert study["reason"].startswith("outside_upper_extremity: ")


def test_a_file_that_cannot_be_read_leaves_the_others_and_exits_with_1(score, tmp_path):
    broken = tmp_path / "broken.dcm"
    broken.write_bytes((tmp_path / dicom(tmp_path / "whole.dcm", 1)).read_bytes()[:-500])
    text = tmp_path / "note.txt"
    text.write_text("hello")

    code, studies, err = score(
        str(text), str(broken), dicom(tmp_path / "other.dcm", 2, study="1.7")
    )

    assert code == 1
    assert "note.txt" in err
    assert "broken.dcm" in err
    assert [study["status"] for study in studies] == ["failed", "scored"]
    assert studies[0]["reason"].startswith("undecodable: ")


def test_a_part_that_the_model_does_not_accept_was_read_all_the_same(
    score, random_model, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRIAGE_MODEL__PATH", str(models.accepting(random_model, tmp_path, "hand")))

    code, (study,), _ = score(dicom(tmp_path / "a.dcm", 1))

    assert code == 0
    assert (study["status"], study["label"]) == ("unscorable", None)
    assert study["reason"].startswith("not_accepted_by_model: ")


def test_a_path_that_does_not_exist_is_wrong_usage(score):
    code, document, err = score("nowhere")

    assert (code, document) == (2, None)
    assert "nowhere" in err


def test_without_a_model_it_says_what_to_do(score, tmp_path, monkeypatch):
    monkeypatch.delenv("TRIAGE_MODEL__PATH")

    code, document, err = score(dicom(tmp_path / "a.dcm", 1))

    assert (code, document) == (1, None)
    assert "triage model import" in err


def stored(path, number, pixels=None, **attributes):
    header = StudyHeader(study_instance_uid="1.7", study_type=StudyType.HAND, side=Side.LEFT)
    made = digital_radiograph(
        pattern(number if pixels is None else pixels), header, sop_instance_uid=f"1.7.{number}"
    )
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    save(made, path / f"{number}.dcm")


def test_the_files_of_one_exposure_count_as_the_daemon_counts_them(score, tmp_path):
    source = Dataset()
    source.ReferencedSOPInstanceUID = "1.7.4"
    stored(tmp_path, 1)
    stored(tmp_path, 2, pixels=1)
    stored(tmp_path, 3, SourceImageSequence=[source])
    stored(tmp_path, 4, PresentationIntentType="FOR PROCESSING")

    _, (study,), _ = score(str(tmp_path))

    first, copy, shown, raw = study["views"]
    assert (raw["status"], raw["probability"]) == ("unscorable", None)
    assert raw["reason"].startswith("presentation_twin: ")
    assert copy["probability"] == pytest.approx(first["probability"], abs=1e-6)
    assert copy["reason"].startswith("duplicate_exposure: ")
    assert first["reason"] is shown["reason"] is None
    mean = (first["probability"] + shown["probability"]) / 2
    assert study["probability"] == pytest.approx(mean, abs=1e-6)


def test_a_raw_image_alone_is_scored_and_marked(score, tmp_path):
    stored(tmp_path, 1, PresentationIntentType="FOR PROCESSING")

    code, (study,), _ = score(str(tmp_path))

    assert (code, study["status"]) == (0, "scored")
    assert study["reason"].startswith("low_trust: ")
    assert study["views"][0]["reason"].startswith("low_trust: ")


def test_what_the_network_looked_at_is_drawn_over_each_view(score, tmp_path):
    twin = picture(tmp_path / "XR_WRIST" / "patient1" / "image1.png", 5)
    other = picture(tmp_path / "XR_WRIST" / "patient2" / "image1.png", 6)

    code, studies, _ = score(dicom(tmp_path / "a.dcm", 5), twin, other, "--cam", "drawn")

    views = [study["views"][0] for study in studies]
    assert code == 0
    assert [view["cam"] for view in views] == [
        "drawn/1.2.5-1.png",
        "drawn/XR_WRIST-patient1-image1.png",
        "drawn/XR_WRIST-patient2-image1.png",
    ]
    drawings = [np.asarray(Image.open(view["cam"])) for view in views]
    assert all(drawing.shape == (40, 30, 3) for drawing in drawings)
    assert (drawings[0] == drawings[1]).all()
    assert (drawings[1] != drawings[2]).any()
    assert all(view["full_strength"] > 0 for view in views)


def test_files_of_the_same_name_are_drawn_into_files_of_their_own(score, tmp_path):
    for folder in ("x", "y"):
        picture(tmp_path / folder / "XR_WRIST" / "p" / "i.png", 1)

    _, studies, _ = score("x", "y", "--cam", "drawn")

    assert [study["views"][0]["cam"] for study in studies] == [
        "drawn/XR_WRIST-p-i.png",
        "drawn/XR_WRIST-p-i-2.png",
    ]
    assert len(list((tmp_path / "drawn").iterdir())) == 2


def test_what_is_not_scored_is_not_drawn(score, tmp_path):
    broken = tmp_path / "broken.dcm"
    broken.write_bytes((tmp_path / dicom(tmp_path / "whole.dcm", 1)).read_bytes()[:-500])

    code, (study,), _ = score(str(broken), "--cam", "drawn")

    assert code == 1
    assert (study["views"][0]["cam"], study["views"][0]["full_strength"]) == (None, None)
    assert list((tmp_path / "drawn").iterdir()) == []


def test_a_drawing_that_cannot_be_written_keeps_no_score_from_being_shown(score, tmp_path):
    (tmp_path / "drawn" / "1.2.5-1.png").mkdir(parents=True)

    code, studies, err = score(
        dicom(tmp_path / "a.dcm", 5), dicom(tmp_path / "b.dcm", 6), "--cam", "drawn"
    )

    views = [view for study in studies for view in study["views"]]
    assert code == 1
    assert [view["status"] for view in views] == ["scored", "scored"]
    assert [view["cam"] for view in views] == [None, "drawn/1.2.6-1.png"]
    assert "could not be drawn:" in err
    assert "drawn/1.2.5-1.png: cannot be written" in err
    assert "could not be read" not in err


def test_long_names_of_folders_become_a_name_that_a_file_can_have(score, tmp_path):
    file = picture(tmp_path / ("x" * 200) / "XR_WRIST" / ("y" * 200) / "i.png", 1)

    code, (study,), _ = score(file, "--cam", "drawn")

    assert code == 0
    assert study["views"][0]["cam"].endswith("y-i.png")


def test_a_folder_for_the_drawings_that_cannot_be_made_is_said_before_anything_is_scored(
    score, tmp_path
):
    (tmp_path / "file").touch()

    code, document, err = score(dicom(tmp_path / "a.dcm", 1), "--cam", "file/drawn")

    assert (code, document) == (1, None)
    assert "file/drawn: cannot be written" in err
