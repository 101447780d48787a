"""Several checkpoints as one model: the mean of what each of them says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.models import EXACT
from triage.core.studytype import StudyType
from triage.errors import ConfigurationError, ModelUnusable, UsageError
from triage.model import checkpoint
from triage.model.card import Preprocessing
from triage.model.ensemble import Ensemble, read_cards
from triage.model.scorer import Scorer, open_scorer
from triage.model.selfcheck import try_out
from triage.model.specimens import specimens
from triage.settings import ModelSettings


@pytest.fixture
def write(weights, card, tmp_path):
    """Return a function that writes a member: its output moved by *bias*, its card by *changes*."""

    def write(name, bias=0.0, **changes):
        path = tmp_path / f"{name}.safetensors"
        state = weights | {"classifier.bias": torch.tensor([bias])}
        checkpoint.save(path, state, replace(card, name=name, **changes))
        return path

    return write


def alone(path):
    """Return what a member says of the built-in images, each prepared as its card wants it."""
    scorer = Scorer(path, **EXACT)
    return scorer.explain([scorer.prepare(picture) for picture in specimens().values()])


def together(*paths):
    scorer = Scorer(*paths, **EXACT)
    return scorer.explain([scorer.prepare(picture) for picture in specimens().values()])


def mean(members, what):
    return np.mean([[getattr(scored, what) for scored in member] for member in members], axis=0)


def test_probability_and_map_are_the_means_of_the_members_each_at_its_temperature(write):
    paths = write("a", -2.0), write("b", 1.0, temperature=2.5), write("c", 3.0, temperature=0.5)
    members = [alone(path) for path in paths]

    found = together(*paths)

    assert np.ptp([member[0].probability for member in members]) > 0.5  # they disagree
    assert [scored.probability for scored in found] == pytest.approx(
        mean(members, "probability"), abs=1e-6
    )
    assert np.stack([scored.map for scored in found]) == pytest.approx(
        mean(members, "map"), abs=1e-5
    )


def test_members_may_normalise_differently(write):
    other = Preprocessing(size=64, mean=(0.2, 0.3, 0.4), std=(0.5, 0.25, 0.125))
    paths = write("a"), write("b", preprocessing=other)
    members = [alone(path) for path in paths]
    assert abs(members[0][1].probability - members[1][1].probability) > 1e-3

    for order in (paths, paths[::-1]):
        found = together(*order)
        assert [scored.probability for scored in found] == pytest.approx(
            mean(members, "probability"), abs=1e-6
        )


def test_the_threshold_is_the_mean_of_the_members(write):
    scorer = Scorer(
        write("a", threshold=0.4, thresholds={StudyType.WRIST: 0.9}),
        write("b", threshold=0.6, thresholds={StudyType.WRIST: 0.5, StudyType.HAND: 0.2}),
        **EXACT,
    )

    assert scorer.threshold(StudyType.WRIST) == pytest.approx(0.7)
    assert scorer.threshold(StudyType.HAND) == pytest.approx(0.3)
    assert scorer.threshold(None) == pytest.approx(0.5)


def test_it_accepts_what_all_accept_and_bears_the_names_of_all(card):
    hand, wrist, elbow = StudyType.HAND, StudyType.WRIST, StudyType.ELBOW
    cards = replace(card, name="a", accepted=(hand, wrist)), replace(card, accepted=(elbow, wrist))

    ensemble = Ensemble(cards)

    assert ensemble.accepted == (wrist,)
    assert ensemble.identity == "a 1 + random 1"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"preprocessing": Preprocessing(size=96)}, r"a\.safetensors.* size 64 .*b\.saf.* 96"),
        ({"preprocessing": Preprocessing(size=64, resize="pad")}, r"a\.saf.*squeeze.*b\.saf.*pad"),
        ({"accepted": (StudyType.WRIST,)}, r"no study type .* all of .*a\.saf.*b\.saf"),
    ],
)
def test_members_that_do_not_go_together_are_named(write, changes, says):
    paths = write("a", accepted=(StudyType.HAND,)), write("b", **changes)

    with pytest.raises(ConfigurationError, match=says):
        Scorer(*paths, **EXACT)
    with pytest.raises(ConfigurationError, match=says):  # before torch is loaded, too
        read_cards(ModelSettings(path=tuple(map(str, paths))))


def test_a_member_that_is_missing_or_broken_is_named(write, tmp_path, weights, card):
    a = write("a")
    with pytest.raises(ModelUnusable, match=r"gone\.safetensors: there is no such file"):
        open_scorer(ModelSettings(path=(str(a), str(tmp_path / "gone.safetensors"))))

    scorer = Scorer(a, write("b"), **EXACT)
    with pytest.raises(ModelUnusable, match=r"a\.safetensors: the network gives no finite"):
        scorer.score([np.full((3, 64, 64), np.nan, np.float32)])


def test_the_settings_name_the_members(write, card):
    a, b = write("a"), write("b")

    scorer = open_scorer(ModelSettings(path=(str(a), str(b)), **EXACT))

    assert scorer.paths == (a, b)
    assert scorer.identity == "a 1 + b 1"
    assert try_out(scorer).spread <= 1e-6
    with pytest.raises(UsageError, match=r"a\.safetensors, .*b\.safetensors: is an ensemble"):
        _ = scorer.card
    assert open_scorer(ModelSettings(path=(str(a),), **EXACT)).card == replace(card, name="a")
