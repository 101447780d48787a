import json
import pickle
import subprocess
import sys

import pytest
from safetensors.numpy import save_file

from triage.core.studytype import StudyType
from triage.errors import ModelUnusable
from triage.model.card import METADATA_KEY, Card, Preprocessing, read_card, to_document, to_metadata

REQUIRED = {"name": "a", "version": "1", "training_data": "b", "licence": "c"}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a safetensors file with this metadata and no tensor."""

    def write(metadata):
        save_file({}, tmp_path / "a.safetensors", metadata=metadata)
        return tmp_path / "a.safetensors"

    return write


def test_a_card_that_says_only_what_it_must_has_the_papers_preprocessing_and_threshold():
    card = Card(**REQUIRED)

    assert card.preprocessing == Preprocessing(
        size=224, resize="squeeze", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
    assert card.accepted == tuple(StudyType)
    assert (card.threshold, card.temperature) == (0.5, 1.0)


def test_identity_is_name_and_version():
    assert Card(**REQUIRED | {"name": "mura", "version": "2.1"}).identity == "mura 2.1"


def test_a_study_type_without_a_threshold_of_its_own_has_the_overall_one():
    card = Card(**REQUIRED, threshold=0.4, thresholds={StudyType.WRIST: 0.7})

    assert card.threshold_for(StudyType.WRIST) == 0.7
    assert card.threshold_for(StudyType.HAND) == 0.4
    assert card.threshold_for(None) == 0.4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "two\nlines"),
        ("licence", ""),
        ("threshold", 1.5),
        ("threshold", float("nan")),
        ("thresholds", {"knee": 0.5}),
        ("temperature", 0.0),
        ("accepted", ()),
        ("accepted", ("wrist", "wrist")),
        ("accepted", ("knee",)),
        ("figures", {"auroc": float("inf")}),
        ("preprocessing", {"size": 16}),
        ("preprocessing", {"resize": "crop"}),
        ("preprocessing", {"std": (0.0, 1.0, 1.0)}),
    ],
)
def test_a_card_cannot_be_constructed_with_a_wrong_value(field, value):
    with pytest.raises(ValueError, match=field):
        Card(**REQUIRED | {field: value})


def test_a_card_survives_the_file(write):
    card = Card(
        **REQUIRED | {"name": "Röntgen"},
        preprocessing=Preprocessing(size=160, resize="pad", mean=(0.5, 0.5, 0.5)),
        accepted=(StudyType.HAND, StudyType.WRIST),
        measured=(StudyType.HAND,),
        threshold=0.3,
        thresholds={StudyType.HAND: 0.2},
        temperature=1.7,
        figures={"auroc": 0.845},
        intended_use="tests",
    )

    assert read_card(write(to_metadata(card))) == card


def test_a_card_crosses_processes():
    card = Card(**REQUIRED, thresholds={StudyType.HAND: 0.2})

    assert pickle.loads(pickle.dumps(card)) == card  # noqa: S301  our own bytes


def test_a_card_is_read_without_torch(write):
    script = (
        "import sys; from pathlib import Path; from triage.model.card import read_card; "
        "print(read_card(Path(sys.argv[1])).name, 'torch' in sys.modules)"
    )
    path = write(to_metadata(Card(**REQUIRED)))

    ran = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )

    assert ran.stdout.split() == ["a", "False"]


def _document(**changes):
    return {METADATA_KEY: json.dumps({"format": 1} | to_document(Card(**REQUIRED)) | changes)}


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (None, "no card"),
        ({"architecture": "densenet169"}, "triage model import"),
        ({METADATA_KEY: "not JSON"}, "not a JSON object"),
        ({METADATA_KEY: "[]"}, "not a JSON object"),
        (_document(format=2), "upgrade triage"),
        (_document(format=None), "upgrade triage"),
        (_document(threshold=2), r"threshold: .*less than 1 \(it is 2\)"),
        (_document(threshold="0.5"), "threshold: .*number"),
        (_document(temperature=float("nan")), "temperature: .*finite"),
        (_document(treshold=0.5), "treshold"),
        (_document(accepted=["knee"]), "accepted.0: .*'elbow'"),
        (_document(licence=None), "licence"),
        ({METADATA_KEY: '{"format": 1}'}, "name: Field required"),
    ],
)
def test_a_missing_or_invalid_card_is_named(write, metadata, says):
    path = write(metadata)

    with pytest.raises(ModelUnusable, match=says) as raised:
        read_card(path)

    assert str(path) in str(raised.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ModelUnusable, match=r"gone\.safetensors: there is no such file"):
        read_card(tmp_path / "gone.safetensors")
    with pytest.raises(ModelUnusable, match="is a folder"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\x02", "cut off after 1 bytes"),
        (b"PK\x03\x04\x14\x00\x08\x08" + bytes(200), "pickle"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(200), "pickle"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "not a safetensors file"),
        (bytes(4096), "not a safetensors file"),
        ((100).to_bytes(8, "little") + b'{"a":', "cut off after 13 bytes"),
        ((2).to_bytes(8, "little") + b"{]", "header is damaged"),
        ((2).to_bytes(8, "little") + b"[]", "header is damaged"),
        ((7).to_bytes(8, "little") + b'{"a":1}', "header is damaged"),
        ((10000).to_bytes(8, "little") + b"[" * 10000, "header is damaged"),
    ],
)
def test_a_file_that_is_no_safetensors_is_refused(tmp_path, content, says):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)

    with pytest.raises(ModelUnusable, match=says):
        read_card(path)


def test_a_missing_end_is_noticed_without_loading_the_weights(saved):
    whole = saved.read_bytes()

    for size in (len(whole) - 1, len(whole) // 2, 4000, 9):
        saved.write_bytes(whole[:size])
        with pytest.raises(ModelUnusable, match=f"cut off after {size} bytes"):
            read_card(saved)
