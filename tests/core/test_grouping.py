"""From views to a study's score: the paper's mean inside a group, the worst group between them."""

import math
from dataclasses import replace
from itertools import permutations

import pytest

from triage.core.grouping import deciding_group, group_views, score_study
from triage.core.study import Label, Side, View, ViewState
from triage.core.studytype import StudyType


def view(
    probability, *, part=StudyType.WRIST, side=Side.LEFT, threshold=0.5, state=None, exposure=None
):
    if state is None:
        state = ViewState.PENDING if probability is None else ViewState.SCORED
    return View(
        study_type=part,
        side=side,
        state=state,
        probability=probability,
        threshold=threshold,
        exposure=exposure,
    )


def test_one_part_and_side_gives_the_papers_mean():
    score = score_study([view(0.9), view(0.3), view(0.6)])

    assert score.probability == pytest.approx(0.6, abs=1e-15)
    assert score.label is Label.ABNORMAL


def test_the_threshold_itself_is_normal():
    assert score_study([view(0.5)]).label is Label.NORMAL
    assert score_study([view(math.nextafter(0.5, 1))]).label is Label.ABNORMAL


def test_a_healthy_side_does_not_dilute_a_fracture():
    score = score_study([view(0.9), *[view(0.0, side=Side.RIGHT)] * 5])

    assert (score.label, score.probability, score.side) == (Label.ABNORMAL, 0.9, Side.LEFT)


def test_views_of_unknown_side_are_a_group_of_their_own():
    groups = group_views([view(0.2), view(0.4, side=Side.UNKNOWN), view(0.6, side=Side.UNKNOWN)])

    assert [(group.side, group.views) for group in groups] == [(Side.UNKNOWN, 2), (Side.LEFT, 1)]


def test_a_group_that_exceeds_decides_before_a_higher_one_that_does_not():
    hand = view(0.6, part=StudyType.HAND, threshold=0.7)
    wrist = view(0.4, part=StudyType.WRIST, threshold=0.3)

    score = score_study([hand, wrist])

    assert (score.study_type, score.label, score.probability) == (
        StudyType.WRIST,
        Label.ABNORMAL,
        0.4,
    )


def test_without_one_that_exceeds_the_highest_decides():
    score = score_study([view(0.1, part=StudyType.HAND), view(0.2, part=StudyType.ELBOW)])

    assert (score.study_type, score.label) == (StudyType.ELBOW, Label.NORMAL)


def test_the_order_of_arrival_does_not_change_the_last_bit():
    probabilities = [0.1, 0.2, 0.3, 0.7, 1e-9]

    results = {
        score_study([view(p) for p in order]).probability for order in permutations(probabilities)
    }

    assert len(results) == 1


def test_only_views_with_a_probability_count():
    failed = view(0.9, state=ViewState.FAILED)

    assert score_study([view(None), failed]) is None
    assert score_study([view(None), failed, view(0.2)]).probability == 0.2


def test_a_view_that_is_tried_again_counts_with_its_former_probability():
    assert score_study([view(0.8, state=ViewState.PENDING)]).probability == 0.8


def test_nothing_is_decided_by_no_groups():
    assert deciding_group([]) is None


def test_the_views_of_one_exposure_count_once_by_the_most_abnormal():
    views = [view(0.2, exposure="7/1"), view(0.9, exposure="7/1"), view(0.4, exposure="7/2")]

    (group,) = group_views(views)

    assert (group.views, group.probability) == (2, pytest.approx(0.65))


def test_a_raw_image_stands_in_until_its_presentation_is_scored():
    raw = replace(view(0.9, exposure="7/1"), stand_in=True)

    assert score_study([raw, view(None, exposure="7/1")]).probability == 0.9
    assert score_study([raw, view(0.2, exposure="7/1")]).probability == 0.2


def test_a_copy_speaks_for_an_exposure_whose_first_view_could_not_be_scored():
    broken = view(None, state=ViewState.FAILED, exposure="7/1")

    assert score_study([broken, view(0.9, exposure="7/1")]).probability == 0.9
