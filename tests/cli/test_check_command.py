import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from triage import cli
from triage.model import checkpoint, reference


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
def model(random_model, tmp_path):
    """A checkpoint in the working directory."""
    return shutil.copy(random_model, tmp_path / "model.safetensors")


def _change(path, specimen, difference):
    """Store another probability than the model gave."""
    document = json.loads(path.read_text("utf-8"))
    document["specimens"][specimen] += difference
    path.write_text(json.dumps(document), "utf-8")


def _picture(path, seed):
    grain = np.random.default_rng(seed).integers(0, 256, (90, 70), np.uint8)
    Image.fromarray(grain).save(path)
    return path


def test_outputs_that_were_written_are_found_again(triage, model, tmp_path):
    picture = _picture(tmp_path / "hand.png", 1)

    code, shown, _ = triage("model", "check", model, "--picture", picture, "--write", "was.json")
    assert code == 0
    assert "hand.png" in shown

    code, shown, _ = triage("model", "check", model, "--expect", "was.json", "--json")
    found = json.loads(shown)
    assert code == 0
    assert found["pictures"].keys() == {"hand.png"}
    assert found["expected"]["compared"] == 6
    assert found["expected"]["tolerance"] == 1e-5
    assert found["expected"]["differences"] == []
    assert found["expected"]["made_with"]["device"] == "cpu"

    picture.rename(tmp_path / "moved.png")
    assert triage("model", "check", model, "--expect", "was.json")[0] == 1
    again = triage("model", "check", model, "--expect", "was.json", "--picture", "moved.png")
    assert again[0] == 0


def test_what_differs_is_named_and_ends_in_exit_1(triage, model, tmp_path):
    picture = _picture(tmp_path / "hand.png", 1)
    triage("model", "check", model, "--picture", picture, "--write", "was.json")
    _change(tmp_path / "was.json", "ramp", -0.001)
    _picture(picture, 2)

    code, shown, said = triage("model", "check", model, "--expect", "was.json", "--json")

    names = [each["what"] for each in json.loads(shown)["expected"]["differences"]]
    assert code == 1
    assert names == ["ramp", "hand.png"]
    assert "\n  ramp: " in said
    assert "\n  hand.png: the picture is not the stored one" in said
    assert "black" not in said


def test_another_model_differs_and_both_are_named(triage, model, tmp_path):
    triage("model", "check", model, "--write", "was.json")
    card, network = checkpoint.load(model)
    colder = replace(card, version="2", temperature=card.temperature / 2)
    checkpoint.save(tmp_path / "other.safetensors", network.state_dict(), colder)

    code, _, said = triage("model", "check", "other.safetensors", "--expect", "was.json")

    assert code == 1
    assert "other.safetensors: computes otherwise than was.json says of random 1" in said
    assert "\n  black: " in said


def test_outputs_beside_the_checkpoint_are_expected_without_being_named(triage, model, tmp_path):
    triage("model", "check", model, "--write", "model.json")

    code, shown, _ = triage("model", "check", model)
    assert code == 0
    assert "the 5 outputs in " in shown

    _change(tmp_path / "model.json", "weave", 0.001)
    code, _, said = triage("model", "check", model)
    assert code == 1
    assert "weave" in said


def test_what_was_written_is_overwritten_only_by_force(triage, model, tmp_path):
    (tmp_path / "was.json").write_text("precious")

    code, _, said = triage("model", "check", model, "--write", "was.json")

    assert code == 2
    assert "--force" in said
    assert (tmp_path / "was.json").read_text() == "precious"
    assert triage("model", "check", model, "--write", "was.json", "--force")[0] == 0


def test_wrong_names_are_said_without_a_traceback(triage, model, tmp_path):
    for options, code, says in [
        (("--expect", "gone.json"), 1, "gone.json: cannot be read"),
        (("--picture", "gone.png"), 2, "there is no gone.png"),
        (("--write", "a.json", "--expect", "b.json"), 2, "not both"),
        (("--write", "gone/a.json"), 2, "there is no folder"),
    ]:
        ended, _, said = triage("model", "check", model, *options)
        assert ended == code
        assert says in said


def _model_finding(triage):
    findings = json.loads(triage("doctor", "--json")[1])
    return next(finding for finding in findings if finding["check"] == "model")


def test_doctor_compares_a_model_with_the_outputs_beside_it(triage, model, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIAGE_MODEL__PATH", str(model))
    triage("model", "check", "--write", "model.json")

    finding = _model_finding(triage)
    assert finding["status"] == "ok"
    assert "gives the 5 stored outputs" in finding["message"]

    _change(tmp_path / "model.json", "broken shaft", 0.001)
    finding = _model_finding(triage)
    assert finding["status"] == "failed"
    assert "broken shaft: " in finding["message"]
    assert "triage model check" in finding["action"]


def test_the_reference_model_is_that_of_every_command_where_none_is_named(
    triage, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    picture = _picture(tmp_path / "hand.png", 1)

    listed = json.loads(triage("model", "list", "--json")[1])
    checked = json.loads(triage("model", "check", "--json")[1])
    scored = json.loads(triage("score", picture, "--study-type", "hand", "--json")[1])
    finding = _model_finding(triage)

    assert [entry["path"] for entry in listed] == [str(model)]
    assert checked["path"] == str(model)
    assert scored[0]["model"] == "random 1"
    assert finding["status"] == "ok"
    assert "the reference model of the package" in finding["message"]
