import shutil

import pytest

from tests.support.models import EXACT
from triage.errors import ModelUnusable
from triage.model import reference, stored
from triage.model.card import chosen_paths, read_card
from triage.model.scorer import Scorer
from triage.settings import ModelSettings

SHIPPED = reference.FOLDER
LARGEST = 30_000_000  # bytes of the package's model


@pytest.fixture
def packaged(pristine, tmp_path, monkeypatch):
    """A package with this checkpoint as its reference model."""
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    return shutil.copy(pristine, tmp_path / "reference.safetensors")


def test_an_empty_path_takes_the_reference_model_of_the_package(packaged):
    assert chosen_paths(ModelSettings()) == (packaged,)


def test_a_model_that_is_named_goes_before_the_reference_model(packaged, tmp_path):
    assert chosen_paths(ModelSettings(path="mine.safetensors")) != (packaged,)


def test_without_a_reference_model_an_empty_path_is_no_model():
    with pytest.raises(ModelUnusable, match=r"model\.path is empty and no reference model"):
        chosen_paths(ModelSettings())


def test_the_model_that_is_shipped_says_where_it_comes_from_and_computes_as_where_it_was_made():
    (path,) = SHIPPED.glob("*.safetensors")
    scorer = Scorer(path, **EXACT, threads=1)
    card = read_card(path)

    assert path.stat().st_size <= LARGEST
    assert "10.1038/s41597-023-02432-4" in card.training_data
    assert "CC BY 4.0" in card.licence
    assert card.figures
    assert card.measured
    assert "research" in card.intended_use.lower()
    known = stored.read(stored.beside(path))
    found = stored.measure(scorer, stored.score_specimens(scorer))
    assert known.specimens
    assert known.model == card.identity
    assert stored.differences(known, found) == []
