import json
import sys

import pytest

from tests.support.mura import STUDIES, Listed, make_dataset
from triage import cli


@pytest.fixture
def triage(monkeypatch, capsys):
    """Return a function that runs `triage dataset`: (exit code, standard output, standard error)."""

    def triage(*arguments):
        monkeypatch.setattr(sys, "argv", ["triage", "dataset", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return ended.value.code or 0, output.out, output.err

    return triage


def test_studies_are_counted_by_type_and_label_as_in_the_papers_table_1(triage, tmp_path):
    code, shown, said = triage(make_dataset(tmp_path / "set"))

    rows = [line.split() for line in shown.splitlines()]
    assert (code, said) == (0, "")
    assert " ".join(rows[0]) == (
        "study type train normal train abnormal valid normal valid abnormal total"
    )
    assert [row[0] for row in rows[1:9]] == [
        "Elbow", "Finger", "Hand", "Humerus", "Forearm", "Shoulder", "Wrist", "Total",
    ]  # fmt: skip
    assert rows[3] == ["Hand", "1", "1", "1", "1", "4"]
    assert rows[7] == ["Wrist", "1", "1", "0", "0", "2"]
    assert rows[8] == ["Total", "2", "2", "1", "1", "6"]
    assert ["train", "4", "5", "4"] in rows
    assert ["valid", "2", "2", "2"] in rows


def test_the_json_holds_the_counts_and_every_problem(triage, tmp_path):
    root = make_dataset(tmp_path / "set")
    image = "train/XR_HAND/patient00002/study1_positive/image1.png"
    (root / image).write_bytes((root / image).read_bytes()[:200])

    code, shown, _ = triage(root, "--json")

    found = json.loads(shown)
    assert code == 1
    assert found["root"] == str(root)
    assert found["splits"] == [
        {"name": "train", "studies": 4, "images": 5, "patients": 4},
        {"name": "valid", "studies": 2, "images": 2, "patients": 2},
    ]
    assert found["study_types"][6] == {
        "study_type": "wrist",
        "splits": {
            "train": {"normal": 1, "abnormal": 1},
            "valid": {"normal": 0, "abnormal": 0},
        },
    }
    (problem,) = found["problems"]
    assert (problem["fault"], problem["where"], problem["grave"]) == (
        "unreadable_image",
        image,
        True,
    )


def test_without_decoding_a_damaged_image_goes_unseen(triage, tmp_path):
    root = make_dataset(tmp_path / "set")
    (root / "train/XR_HAND/patient00002/study1_positive/image1.png").write_bytes(b"")

    assert triage(root, "--no-decode")[0] == 0
    assert triage(root)[0] == 1


def test_a_patient_in_two_splits_ends_in_exit_1_after_the_table(triage, tmp_path):
    root = make_dataset(
        tmp_path / "set", [*STUDIES, Listed(patient=1, split="valid", abnormal=True)]
    )

    code, shown, said = triage(root)

    assert code == 1
    assert "Total" in shown
    assert "patient00001 in train, valid: " in shown
    assert said == f"triage: {root}: what it measures is in doubt: patient_in_two_splits (1)\n"


def test_a_layout_error_names_the_list_and_the_line(triage, tmp_path):
    root = make_dataset(tmp_path / "set")
    labels = root / "valid_labeled_studies.csv"
    labels.write_text(labels.read_text("utf-8").replace(",1", ",0"), "utf-8")

    code, shown, said = triage(root, "--json")

    assert (code, shown) == (1, "")
    assert "valid_labeled_studies.csv:2: the label 0 contradicts study1_positive" in said


@pytest.mark.fracatlas
def test_fracatlas_can_be_used_and_its_damage_is_listed(triage, fracatlas):
    code, shown, said = triage(fracatlas / "FracAtlas-MURA")

    rows = [line.split() for line in shown.splitlines()]
    assert code == 0, said
    assert ["Total", "760", "285", "119", "56", "1,220"] in rows
    assert "truncated_image (25)" in shown
