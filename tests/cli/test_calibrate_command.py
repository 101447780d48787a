import json
import math
import subprocess
import sys

import pytest
from safetensors.torch import load_file

from tests.support.daemon import EXACT, environment
from tests.support.mura import Listed, make_dataset
from tests.support.studies import picture
from triage import cli
from triage.core.studytype import StudyType
from triage.model.card import read_card

HANDS = 60  # as many as a threshold of their own needs; and four wrists


@pytest.fixture(scope="module")
def former(random_model, score_directly):
    """The uncalibrated probability of each made-up picture, by its number."""
    return score_directly(random_model, [picture(number) for number in range(HANDS + 4)])


@pytest.fixture(scope="module")
def data(former, tmp_path_factory):
    """Hands whose labels follow the probability but for six; a few wrists."""
    rising = sorted(range(HANDS), key=former.__getitem__)
    abnormal = set(rising[HANDS // 2 :]) ^ set(rising[::20]) ^ set(rising[19::20])
    hands = [
        Listed(patient=k, split="valid", abnormal=k in abnormal, images=(picture(k),))
        for k in range(HANDS)
    ]
    wrists = [
        Listed(
            patient=k,
            split="valid",
            abnormal=k % 2 == 0,
            study_type=StudyType.WRIST,
            images=(picture(k),),
        )
        for k in range(HANDS, HANDS + 4)
    ]
    return make_dataset(tmp_path_factory.mktemp("data"), [*hands, *wrists])


@pytest.fixture(scope="module")
def calibrated(random_model, data, tmp_path_factory):
    """The calibrated model, and what the command said."""
    out = tmp_path_factory.mktemp("calibrated") / "out.safetensors"
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "triage", "model", "calibrate", str(random_model)),
            *("--data", str(data), "--out", str(out), "--json"),
        ],
        env=environment() | EXACT,
        check=True,
        capture_output=True,
    )
    return out, json.loads(ran.stdout)


@pytest.fixture
def triage(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAGE_MODEL__DEVICE", "cpu")

    def triage(*arguments):
        monkeypatch.setattr(sys, "argv", ["triage", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return ended.value.code or 0, output.out, output.err

    return triage


@pytest.fixture
def calibrate(triage, random_model, tmp_path):
    """Return a function that calibrates the random model on a few studies to out.safetensors."""
    studies = [Listed(patient=k, split="valid", abnormal=k in (1, 3, 4, 6)) for k in range(8)]
    data = make_dataset(tmp_path / "data", studies)

    def calibrate(*options):
        return triage(
            *("model", "calibrate", random_model, "--data", data),
            *("--out", "out.safetensors", *options),
        )

    return calibrate


def test_triage_score_shows_the_calibrated_probability_and_label(triage, calibrated, data, former):
    out, _ = calibrated

    code, shown, _ = triage("score", data / "valid", "--model", out, "--json")

    card = read_card(out)
    assert code == 0
    studies = json.loads(shown)
    assert len(studies) == HANDS + 4
    for study in studies:
        number = int(study["views"][0]["path"].split("patient")[1][:5])
        logit = math.log(former[number] / (1 - former[number]))
        expected = 1 / (1 + math.exp(-logit / card.temperature))
        # What batches change in the last digits is magnified by a temperature below 1.
        assert study["probability"] == pytest.approx(expected, abs=1e-6 / card.temperature)
        threshold = card.thresholds.get(study["study_type"], card.threshold)
        assert study["label"] == ("abnormal" if study["probability"] > threshold else "normal")


def test_the_figures_with_their_counts_are_in_the_json_and_in_the_card(calibrated, data):
    out, found = calibrated

    card = read_card(out)
    assert found["path"] == str(out)
    assert found["model"] == card.identity == "random 1-calibrated"
    assert found["temperature"] == {"before": 1, "after": card.temperature, "bounded": False}
    assert card.temperature != 1
    assert found["nll"]["after"] < found["nll"]["before"]
    assert found["calibration"] == card.calibration
    assert card.calibration == f"fitted to {data.name}/valid; thresholds: maximal kappa"
    hand, wrist, whole = found["study_types"]
    assert (hand["study_type"], hand["normal"], hand["abnormal"]) == ("hand", 30, 30)
    assert hand["threshold"] == {"before": 0.5, "after": card.thresholds["hand"], "own": True}
    assert hand["kappa"] == pytest.approx(0.8)
    assert (wrist["study_type"], wrist["threshold"]["after"]) == ("wrist", card.threshold)
    assert not wrist["threshold"]["own"]
    assert (whole["study_type"], whole["normal"], whole["abnormal"]) == (None, 32, 32)
    assert card.figures["calibration nll before"] == found["nll"]["before"]
    assert card.figures["calibration ece"] == found["ece"]["after"]
    assert card.figures["calibration hand abnormal"] == 30
    assert card.figures["calibration hand kappa"] == hand["kappa"]
    assert card.figures["calibration kappa"] == whole["kappa"]


def test_the_weights_stay_as_they_are(calibrated, random_model):
    before, after = load_file(random_model), load_file(calibrated[0])

    assert before.keys() == after.keys()
    assert all(before[name].dtype == after[name].dtype for name in before)
    assert all(before[name].equal(after[name]) for name in before)


def test_a_wanted_sensitivity_is_reached(calibrate):
    code, shown, _ = calibrate("--sensitivity", "1", "--json")

    found = json.loads(shown)["study_types"][-1]
    assert code == 0
    assert found["sensitivity"] == 1
    assert found["normal"] == found["abnormal"] == 4


def test_calibrating_what_is_calibrated_changes_nothing_more(triage, calibrate, tmp_path):
    assert calibrate("--version", "2")[0] == 0

    code, _, said = triage(
        *("model", "calibrate", "out.safetensors", "--data", "data", "--out", "again.safetensors")
    )

    once, twice = (read_card(tmp_path / f"{name}.safetensors") for name in ("out", "again"))
    assert code == 0, said
    assert (once.version, twice.version) == ("2", "2-calibrated")
    assert twice.temperature == pytest.approx(once.temperature, rel=1e-4)
    assert twice.threshold == pytest.approx(once.threshold, abs=1e-4)


def test_the_temperature_can_be_fitted_alone(calibrate, tmp_path):
    assert calibrate("--temperature-only")[0] == 0

    card = read_card(tmp_path / "out.safetensors")
    assert card.temperature != 1
    assert (card.threshold, card.thresholds) == (0.5, {})
    assert "thresholds: moved with the temperature" in card.calibration


def test_two_calibrations_of_one_model_have_two_names_and_tell_what_was_before(
    triage, calibrate, tmp_path
):
    assert calibrate("--sensitivity", "0.75")[0] == 0

    again = (
        "model",
        "calibrate",
        "out.safetensors",
        "--data",
        "data",
        "--out",
        "again.safetensors",
    )
    assert triage(*again, "--temperature-only")[0] == 0

    once, twice = (read_card(tmp_path / f"{name}.safetensors") for name in ("out", "again"))
    assert (once.version, twice.version) == ("1-calibrated", "1-calibrated-2")
    assert "thresholds: sensitivity 0.75" in twice.calibration


def test_undefined_figures_are_na_with_the_count(triage, random_model, tmp_path):
    root = make_dataset(tmp_path / "set", [Listed(patient=k, split="valid") for k in range(3)])

    code, shown, said = triage(
        *("model", "calibrate", random_model, "--data", root, "--out", "out.safetensors")
    )

    assert code == 1
    assert "n/a (n=0)" in shown
    assert "a class is missing, so nothing was fitted and out.safetensors was not written" in said
    assert not (tmp_path / "out.safetensors").exists()


def test_an_existing_file_is_overwritten_only_by_force(calibrate, tmp_path):
    (tmp_path / "out.safetensors").write_text("precious")

    code, _, said = calibrate()

    assert code == 2
    assert "--force" in said
    assert (tmp_path / "out.safetensors").read_text() == "precious"
    assert calibrate("--force")[0] == 0
    assert read_card(tmp_path / "out.safetensors").version == "1-calibrated"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--split", "train"), 2, "no split 'train'; it has valid"),
        (("--sensitivity", "0.9", "--temperature-only"), 2, "leave --sensitivity out"),
        (("--version", " 2"), 2, "version"),
        (("--out", "gone/out.safetensors"), 2, "there is no folder"),
        (("--out", "."), 2, "is a folder"),
    ],
)
def test_a_wrong_option_is_a_usage_error_and_writes_nothing(
    calibrate, tmp_path, options, code, says
):
    ended, shown, said = calibrate(*options)

    assert (ended, shown) == (code, "")
    assert says in said
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_data_set_that_is_not_sound_is_said(triage, random_model, tmp_path):
    studies = [Listed(patient=k, split="valid", abnormal=k % 2 == 0) for k in range(4)]
    root = make_dataset(tmp_path / "set", [*studies, Listed(patient=1, split="train")])

    code, _, said = triage(
        *("model", "calibrate", random_model, "--data", root, "--out", "out.safetensors")
    )

    assert code == 0
    assert f"not sound (problems: 1): `triage dataset {root}`" in said


def test_images_that_cannot_be_read_and_types_that_are_not_accepted_are_named(
    triage, random_model, tmp_path
):
    root = make_dataset(
        tmp_path / "set",
        [Listed(patient=k, split="valid", abnormal=k % 2 == 0) for k in range(4)],
    )
    image = root / "valid/XR_HAND/patient00001/study1_negative/image1.png"
    image.write_bytes(b"")

    code, _, said = triage(
        *("model", "calibrate", random_model, "--data", root, "--out", "out.safetensors")
    )

    assert code == 0
    assert f"left out: {image}: " in said
    assert read_card(tmp_path / "out.safetensors").figures["calibration normal"] == 1
