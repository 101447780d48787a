import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from triage import cli
from triage.model import checkpoint
from triage.model.card import Card, Preprocessing, read_card
from triage.model.densenet import densenet169

CARD = Card(
    name="random",
    version="1",
    training_data="none",
    licence="CC0",
    preprocessing=Preprocessing(size=64),
)
ANSWERS = (
    "--name=mine",
    "--version=3",
    "--training-data=none",
    "--licence=CC0",
    "--input-size=64",
)


@pytest.fixture(scope="session")
def weights():
    torch.manual_seed(169)
    state = densenet169().state_dict()
    return {name: t.half() for name, t in state.items() if not name.endswith("num_batches_tracked")}


@pytest.fixture(scope="session")
def model(weights, tmp_path_factory):
    """A checkpoint alone in its folder."""
    path = tmp_path_factory.mktemp("models") / "random.safetensors"
    checkpoint.save(path, weights, CARD)
    return path


@pytest.fixture(scope="session")
def cardless(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("cardless") / "weights.safetensors"
    save_file(weights, path)
    return path


@pytest.fixture
def triage(tmp_path, monkeypatch, capsys):
    """Return a function that runs a command: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def triage(*arguments):
        monkeypatch.setattr(sys, "argv", ["triage", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return ended.value.code or 0, output.out, output.err

    return triage


def test_the_command_line_starts_without_torch_and_without_what_reads_images():
    heavy = "{'torch', 'torchvision', 'openvino', 'pydicom', 'pynetdicom', 'numpy'}"
    script = f"import sys, triage.cli; print(*{heavy} & sys.modules.keys())"

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == "\n"


def test_an_import_writes_a_checkpoint_with_the_card_that_the_options_say(
    triage, cardless, tmp_path
):
    code, shown, _ = triage(
        "model", "import", cardless, "--out=a.safetensors", *ANSWERS,
        "--resize=pad", "--mean=0.5,0.5,0.5", "--std=0.25,0.25,0.25",
        "--threshold=0.4", "--threshold=wrist=0.3", "--temperature=1.5",
        "--accepts=hand,wrist", "--measured=hand", "--figure=auroc=0.9", "--intended-use=tests",
    )  # fmt: skip

    assert code == 0, shown
    assert "mine" in shown
    assert read_card(tmp_path / "a.safetensors") == Card(
        name="mine",
        version="3",
        training_data="none",
        licence="CC0",
        preprocessing=Preprocessing(
            size=64, resize="pad", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)
        ),
        accepted=("hand", "wrist"),
        measured=("hand",),
        threshold=0.4,
        thresholds={"wrist": 0.3},
        temperature=1.5,
        figures={"auroc": 0.9},
        intended_use="tests",
    )


def test_an_import_takes_a_pickle_of_a_training_run(triage, weights, tmp_path):
    state = {f"module.{name}": tensor for name, tensor in weights.items()}
    torch.save({"epoch": 5, "state_dict": state}, tmp_path / "best.pth.tar")

    code, _, _ = triage("model", "import", "best.pth.tar", "--out=a.safetensors", *ANSWERS)

    assert code == 0
    assert read_card(tmp_path / "a.safetensors").identity == "mine 3"


def test_what_the_card_lacks_is_asked_for_by_the_options_names(triage, cardless):
    code, shown, said = triage("model", "import", cardless, "--name=mine")

    assert code == 2
    assert shown == ""
    assert "--out, --version, --training-data, --licence" in said


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--threshold=2", "threshold"),
        ("--threshold=high", "--threshold high: is not a number"),
        ("--threshold=knee=0.5", "give some of elbow"),
        ("--threshold=wrist,hand=0.4", "give one study type"),
        ("--threshold==0.4", "give one study type"),
        ("--accepts=knee", "give some of elbow"),
        ("--accepts=", "accepted"),
        ("--resize=crop", "resize"),
        ("--input-size=8", "size"),
        ("--temperature=0", "temperature"),
        ("--mean=0.5,0.5", "mean"),
        ("--figure=auroc", "give NAME=NUMBER"),
    ],
)
def test_a_wrong_answer_is_a_usage_error_and_writes_nothing(
    triage, cardless, tmp_path, option, says
):
    code, _, said = triage("model", "import", cardless, "--out=a", *ANSWERS, option)

    assert code == 2
    assert says in said
    assert not (tmp_path / "a").exists()


def test_an_existing_file_is_overwritten_only_by_force(triage, cardless, tmp_path):
    (tmp_path / "a.safetensors").write_text("precious")
    arguments = ("model", "import", cardless, "--out=a.safetensors", *ANSWERS)

    code, _, said = triage(*arguments)

    assert code == 2
    assert "--force" in said
    assert (tmp_path / "a.safetensors").read_text() == "precious"
    assert triage(*arguments, "--force")[0] == 0


def test_an_import_of_a_damaged_file_fails_and_writes_nothing(triage, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"PK\x03\x04")

    code, _, said = triage("model", "import", "weights.pth", "--out=a", *ANSWERS)

    assert code == 1
    assert said.startswith("triage: weights.pth: ")
    assert not (tmp_path / "a").exists()


def test_the_list_shows_the_cards_of_files_and_folders(triage, model, cardless, tmp_path):
    (tmp_path / "half.safetensors").write_bytes(model.read_bytes()[:5000])

    code, shown, _ = triage("model", "list", model.parent, "half.safetensors", cardless, "--json")

    entries = json.loads(shown)
    assert code == 0
    assert [entry["path"] for entry in entries] == [str(model), "half.safetensors", str(cardless)]
    assert entries[0]["card"]["name"] == "random"
    assert entries[0]["error"] is None
    hashes = [hashlib.sha256(Path(entry["path"]).read_bytes()).hexdigest() for entry in entries]
    assert [entry["sha256"] for entry in entries] == hashes
    assert entries[1]["card"] is None
    assert "cut off after 5000 bytes" in entries[1]["error"]
    assert "no card" in entries[2]["error"]


def test_the_list_without_arguments_is_of_the_model_in_the_settings(triage, model, monkeypatch):
    monkeypatch.setenv("TRIAGE_MODEL__PATH", str(model))

    code, shown, _ = triage("model", "list")

    assert code == 0
    assert "random" in shown
    assert "64 squeeze" in shown


def test_the_list_of_no_model_is_empty_and_says_why(triage):
    code, shown, said = triage("model", "list", "--json")

    assert (code, json.loads(shown)) == (0, [])
    assert "model.path is empty" in said


def test_a_check_shows_the_card_and_what_the_model_gives(triage, model):
    code, shown, _ = triage("model", "check", model, "--json")

    found = json.loads(shown)
    assert code == 0
    assert found["card"]["name"] == "random"
    assert (found["backend"], found["precision"]) == ("torch", "float32")
    assert found["spread"] <= 1e-6
    assert len(found["probabilities"]) == 5
    assert all(0 < probability < 1 for probability in found["probabilities"].values())


def test_a_check_is_of_the_model_in_the_settings_and_readable(triage, model, monkeypatch):
    monkeypatch.setenv("TRIAGE_MODEL__PATH", str(model))

    code, shown, _ = triage("model", "check")

    assert code == 0
    assert f"{model}: usable" in " ".join(shown.split())  # a long path turns the line
    assert "broken shaft" in shown


def test_a_check_fails_over_a_model_that_is_missing_damaged_or_not_set(triage, cardless, tmp_path):
    (tmp_path / "empty.safetensors").touch()

    for arguments, says in [
        ((), "model.path is empty"),
        (("gone.safetensors",), "no such file"),
        (("empty.safetensors",), "is empty"),
        ((cardless,), "triage model import"),
    ]:
        code, shown, said = triage("model", "check", *arguments)
        assert (code, shown) == (1, "")
        assert says in said


def test_a_precision_that_the_machine_has_not_is_a_configuration_error(triage, model, monkeypatch):
    monkeypatch.setenv("TRIAGE_MODEL__DEVICE", "cpu")
    monkeypatch.setenv("TRIAGE_MODEL__PRECISION", "float16")

    code, _, said = triage("model", "check", model)

    assert code == 2
    assert "model.precision=float16 needs a GPU" in said


@pytest.mark.fracatlas
def test_the_interim_weights_can_be_imported(triage, fracatlas):
    source = fracatlas / "densenet169-fracatlas-interim.safetensors"
    answers = [answer for answer in ANSWERS if "size" not in answer]

    code, shown, _ = triage(
        "model", "import", source, "--out=interim.safetensors", "--input-size=160", *answers
    )

    assert code == 0
    assert "160 x 160" in shown
