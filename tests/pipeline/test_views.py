"""Scoring a batch: what fails, fails alone, unless it is the network."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from triage.core.reasons import Code
from triage.core.studytype import StudyType
from triage.errors import ScorerBroken, ViewUnreadable
from triage.model.card import Card
from triage.pipeline.views import Source, score_views

CARD = Card(
    name="told",
    version="1",
    training_data="none",
    licence="CC0",
    accepted=(StudyType.HAND,),
    thresholds={StudyType.HAND: 0.25},
)


class ToldScorer:
    """Says what it is told: the mean grey as the probability, or an error."""

    card = CARD
    device = "cpu"

    def __init__(self, error=None, *, works=True):
        self._error, self._works = error, works

    def prepare(self, grey):
        return grey

    def score(self, prepared):
        if self._error:
            raise self._error
        return [float(image.mean()) / 255 for image in prepared]

    def works(self):
        return self._works

    def threshold(self, study_type):
        return CARD.threshold_for(study_type)


def grey(value):
    return Source(study_type=StudyType.HAND, read=lambda: np.full((2, 2), value, np.uint8))


def unreadable():
    raise ViewUnreadable(Code.UNDECODABLE, "it is broken")


@pytest.fixture
def score():
    with ThreadPoolExecutor(2) as decoders:
        yield lambda scorer, *sources: score_views(scorer, sources, decoders)


def test_each_view_has_its_probability_threshold_and_model(score):
    first, second = score(ToldScorer(), grey(0), grey(255))

    assert (first.probability, second.probability) == (0.0, 1.0)
    assert (first.threshold, first.model) == (0.25, "told 1")


def test_a_view_that_cannot_be_read_leaves_the_others_theirs(score):
    broken = Source(study_type=StudyType.HAND, read=unreadable)

    verdicts = score(ToldScorer(), grey(255), broken, grey(0))

    assert [verdict.probability for verdict in verdicts] == [1.0, None, 0.0]
    assert verdicts[1].reason == "undecodable: it is broken"
    assert not verdicts[1].final


def test_a_part_that_the_model_does_not_accept_is_final(score):
    wrist = Source(study_type=StudyType.WRIST, read=lambda: np.zeros((2, 2), np.uint8))

    (verdict,) = score(ToldScorer(), wrist)

    assert verdict.final
    assert verdict.reason.startswith("not_accepted_by_model: ")


def test_a_network_that_fails_on_these_views_is_tried_again(score):
    (verdict,) = score(ToldScorer(RuntimeError("no")), grey(1))

    assert (verdict.probability, verdict.final) == (None, False)
    assert verdict.reason.startswith("scoring_failed: ")


def test_a_network_that_fails_on_everything_blames_no_view(score):
    with pytest.raises(ScorerBroken, match="lost device"):
        score(ToldScorer(RuntimeError("lost device"), works=False), grey(1))
