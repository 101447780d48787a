import json
from dataclasses import replace

import pytest

from triage.errors import ModelUnusable, OutputUnwritable
from triage.model import stored
from triage.model.stored import Outputs, Picture

OUTPUTS = Outputs(
    model="mine 1",
    precision="float32",
    made_with={"triage": "0.1.0", "torch": "2.11.0", "device": "cpu"},
    specimens={"black": 0.25, "ramp": 0.75},
    pictures=(Picture(path="hand.png", sha256="ab", probability=0.5),),
)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_is_written_is_read_back_with_paths_from_where_one_stands(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    stored.write(tmp_path / "models/mine.json", OUTPUTS)
    document = json.loads((tmp_path / "models/mine.json").read_text("utf-8"))

    read = stored.read(tmp_path / "models/mine.json")

    assert document["triage.outputs"] == 1
    assert document["pictures"] == [{"path": "../hand.png", "sha256": "ab", "probability": 0.5}]
    assert read.pictures[0].path == str(tmp_path / "hand.png")
    assert replace(read, pictures=()) == replace(OUTPUTS, pictures=())


def test_outputs_are_alike_within_the_tolerance_of_their_precision():
    near = replace(OUTPUTS, specimens={"black": 0.250009, "ramp": 0.75})
    far = replace(OUTPUTS, specimens={"black": 0.250011, "ramp": 0.75})

    assert stored.differences(OUTPUTS, near) == []
    (difference,) = stored.differences(OUTPUTS, far)
    assert str(difference) == "black: 0.2500110, and 0.2500000 is stored"
    assert stored.differences(OUTPUTS, replace(far, precision="bfloat16")) == []
    assert stored.differences(replace(OUTPUTS, precision="float16"), far) == []
    wide = replace(OUTPUTS, precision="bfloat16", specimens={"black": 0.262, "ramp": 0.75})
    assert [difference.what for difference in stored.differences(OUTPUTS, wide)] == ["black"]


def test_a_picture_is_known_by_its_bytes_whatever_its_name():
    renamed = replace(OUTPUTS.pictures[0], path="other.png")
    changed = replace(OUTPUTS.pictures[0], sha256="cd")

    assert stored.differences(OUTPUTS, replace(OUTPUTS, pictures=(renamed,))) == []
    (difference,) = stored.differences(OUTPUTS, replace(OUTPUTS, pictures=(changed,)))
    assert str(difference) == "hand.png: the picture is not the stored one"
    assert difference.found is None


def test_a_specimen_that_there_is_no_more_is_named():
    (difference,) = stored.differences(OUTPUTS, replace(OUTPUTS, specimens={"ramp": 0.75}))

    assert str(difference) == "black: this version of triage has no such image"


def test_the_document_beside_a_checkpoint_is_found_and_one_of_something_else_is_not(tmp_path):
    checkpoint = tmp_path / "mine.safetensors"
    assert stored.beside(checkpoint) is None

    (tmp_path / "mine.json").write_text('{"epoch": 3}')
    assert stored.beside(checkpoint) is None

    stored.write(tmp_path / "mine.json", OUTPUTS)
    assert stored.beside(checkpoint) == tmp_path / "mine.json"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is damaged, or holds no stored outputs: it is no JSON"),
        ("[1]", "holds no outputs of a model"),
        ('{"triage.outputs": 2}', "holds no outputs of a model in the format 1"),
        ('{"triage.outputs": 1, "model": "a"}', "is damaged: precision: Field required"),
    ],
)
def test_a_damaged_document_is_named(tmp_path, content, says):
    (tmp_path / "a.json").write_text(content)

    with pytest.raises(ModelUnusable, match=rf"a\.json: {says}"):
        stored.read(tmp_path / "a.json")


def test_a_probability_above_1_is_refused(tmp_path):
    stored.write(tmp_path / "a.json", OUTPUTS)
    text = (tmp_path / "a.json").read_text("utf-8")
    (tmp_path / "a.json").write_text(text.replace("0.75", "1.75"), "utf-8")

    with pytest.raises(ModelUnusable, match=r"specimens\.ramp"):
        stored.read(tmp_path / "a.json")


def test_a_missing_document_and_a_folder_that_is_not_there_are_named(tmp_path):
    with pytest.raises(ModelUnusable, match=r"gone\.json: cannot be read"):
        stored.read(tmp_path / "gone.json")
    with pytest.raises(OutputUnwritable, match=r"a\.json: cannot be written"):
        stored.write(tmp_path / "gone/a.json", OUTPUTS)
