"""Several checkpoints at once, as the commands know them."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from tests.support.studies import picture
from triage.core.studytype import StudyType
from triage.model import checkpoint
from triage.model.card import Preprocessing


@pytest.fixture(scope="module")
def members(random_model, tmp_path_factory):
    """Two checkpoints that go together, and a third whose input is larger."""
    folder = tmp_path_factory.mktemp("members")
    card, network = checkpoint.load(random_model)
    state = network.state_dict()
    cards = {
        "a": card,
        "b": replace(card, name="other", threshold=0.25, accepted=(StudyType.HAND,)),
        "large": replace(card, preprocessing=Preprocessing(size=96)),
    }
    for name, changed in cards.items():
        checkpoint.save(folder / f"{name}.safetensors", state, changed)
        state = state | {"classifier.bias": state["classifier.bias"] + 1}
    return {name: str(folder / f"{name}.safetensors") for name in cards}


@pytest.fixture
def triage(triage, tmp_path, monkeypatch):
    """Return a function that runs a command: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAGE_MODEL__DEVICE", "cpu")
    return triage


@pytest.fixture
def hand(tmp_path):
    path = tmp_path / "XR_HAND" / "patient1" / "image1.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(picture(3)).save(path)
    return path


def probability(triage, path, *options):
    code, out, err = triage("score", "--json", path, *options)
    assert code == 0, err
    (study,) = json.loads(out)
    return study["probability"], study["model"]


def test_a_score_by_two_models_is_the_mean_of_theirs(triage, members, hand, monkeypatch):
    a, named = probability(triage, hand, "--model", members["a"])
    b, _ = probability(triage, hand, "--model", members["b"])

    both, model = probability(triage, hand, "--model", members["a"], "--model", members["b"])

    assert abs(a - b) > 0.01
    assert both == pytest.approx((a + b) / 2, abs=1e-6)
    assert (named, model) == ("random 1", "random 1 + other 1")

    monkeypatch.setenv("TRIAGE_MODEL__PATH", json.dumps([members["a"], members["b"]]))
    assert probability(triage, hand) == (pytest.approx(both, abs=1e-6), model)


def test_a_part_that_one_of_them_does_not_accept_is_not_scored(triage, members, hand):
    options = [f"--model={members[name]}" for name in "ab"]

    _, out, _ = triage("score", "--json", hand, "--study-type", "wrist", *options)

    (study,) = json.loads(out)
    assert study["reason"].startswith("not_accepted_by_model: the model random 1 + other 1 ")


def test_models_that_do_not_go_together_are_wrong_configuration(triage, members, hand):
    code, out, err = triage("score", hand, "--model", members["a"], "--model", members["large"])

    assert (code, out) == (2, "")
    assert all(part in err for part in ("a.safetensors", "large.safetensors", "64", "96"))


def test_the_list_and_the_check_show_each_member(triage, members, monkeypatch):
    monkeypatch.setenv("TRIAGE_MODEL__PATH", json.dumps([members["a"], members["b"]]))

    listed = json.loads(triage("model", "list", "--json")[1])
    code, out, _ = triage("model", "check", "--json")
    checked = json.loads(out)

    assert [entry["path"] for entry in listed] == [members["a"], members["b"]]
    assert code == 0
    assert [entry["path"] for entry in checked["members"]] == [members["a"], members["b"]]
    assert [entry["card"]["name"] for entry in checked["members"]] == ["random", "other"]
    assert checked["path"] is checked["card"] is None
    assert len(checked["probabilities"]) == 5

    text = triage("model", "check")[1]
    assert all(f"{members[name]}: usable" in text for name in "ab")


def test_doctor_names_the_whole_ensemble_or_what_keeps_it_from_being_one(
    triage, members, monkeypatch
):
    found = {}
    for last in ("b", "large"):
        monkeypatch.setenv("TRIAGE_MODEL__PATH", json.dumps([members["a"], members[last]]))
        findings = json.loads(triage("doctor", "--json")[1])
        (found[last],) = (finding for finding in findings if finding["check"] == "model")

    assert found["b"]["status"] == "ok"
    assert found["b"]["message"].startswith("random 1 + other 1, torch float32 on cpu (")
    assert found["large"]["status"] == "failed"
    assert "large.safetensors" in found["large"]["message"]
