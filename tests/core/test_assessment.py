"""A study's row, derived from its views."""

from dataclasses import replace

import pytest

from triage.core.assessment import assess
from triage.core.study import Side, StudyStatus, View, ViewState
from triage.core.studytype import StudyType

DAMAGED = "undecodable: the pixel data ends early"
HIP = "outside_upper_extremity: Body Part Examined is 'HIP'"
REPORT = "not_an_image: Basic Text SR is not an image"


def view(state, probability=None, reason=None):
    return View(
        study_type=StudyType.HAND,
        side=Side.UNKNOWN,
        state=state,
        probability=probability,
        reason=reason,
    )


PENDING = view(ViewState.PENDING)
SCORED = view(ViewState.SCORED, 0.7)
FAILED = view(ViewState.FAILED, reason=DAMAGED)


@pytest.mark.parametrize(
    ("views", "closed", "status"),
    [
        ([], False, StudyStatus.RECEIVING),
        ([SCORED], False, StudyStatus.RECEIVING),
        ([], True, StudyStatus.UNSCORABLE),
        ([PENDING, SCORED], True, StudyStatus.COMPLETE),
        ([PENDING, FAILED], True, StudyStatus.COMPLETE),
        ([SCORED, FAILED], True, StudyStatus.SCORED),
        ([FAILED, FAILED], True, StudyStatus.FAILED),
    ],
)
def test_the_status_follows_from_the_views(views, closed, status):
    assert assess(views, closed=closed).status is status


def test_a_view_without_a_score_yet_leaves_a_provisional_one():
    assessment = assess([SCORED, PENDING], closed=False)

    assert (assessment.views, assessment.views_scored) == (2, 1)
    assert assessment.score.probability == 0.7


def test_a_view_that_was_set_aside_is_told_with_its_cause():
    assessment = assess([SCORED, FAILED], closed=True)

    assert assessment.reason == f"partly_scored: 1 of 2 views could not be scored ({DAMAGED})"


def test_a_study_whose_views_all_failed_is_not_scored():
    assessment = assess([FAILED], closed=True)

    assert assessment.score is None
    assert assessment.reason == DAMAGED


def test_a_view_that_waits_tells_why():
    waiting = view(ViewState.PENDING, reason="no_model: model.path is empty")

    assert assess([waiting], closed=True).reason == "no_model: model.path is empty"


def test_an_image_that_was_left_out_says_more_than_a_report():
    assessment = assess([], closed=True, unscorable_reasons=[REPORT, HIP])

    assert assessment.reason == HIP


def test_an_image_after_the_reading_is_what_the_reader_must_know_first():
    assessment = assess([SCORED, FAILED], closed=True, image_after_reading=True)

    assert assessment.reason.startswith("image_after_reading: ")


RAW = replace(SCORED, low_trust=True)


def test_a_score_that_rests_on_raw_images_says_so():
    assert assess([SCORED, RAW], closed=True).reason.startswith("low_trust: 1 of 2 views")
    assert assess([SCORED], closed=True).reason is None


def test_a_raw_image_that_does_not_count_is_not_held_against_the_score():
    copies = [replace(SCORED, exposure="1"), replace(RAW, exposure="1")]

    assert assess(copies, closed=True).reason is None


@pytest.mark.parametrize("why", [HIP, "unknown_part: nothing says it", "too_large: 40 frames"])
def test_a_radiograph_that_was_not_scored_beside_others_is_told(why):
    assessment = assess([SCORED], closed=True, unscorable_reasons=[why, REPORT])

    assert assessment.reason == f"partly_scored: 1 of 2 views could not be scored ({why})"


def test_what_is_no_radiograph_of_the_patient_is_not_missed():
    unscorable = [REPORT, "presentation_twin: its presentation", "algorithm_result: by X"]

    assert assess([SCORED], closed=True, unscorable_reasons=unscorable).reason is None


def test_a_stand_in_is_no_view_of_the_study():
    stand_in = replace(RAW, exposure="1", stand_in=True)

    assessment = assess([stand_in, replace(PENDING, exposure="1")], closed=True)

    assert (assessment.views, assessment.views_scored) == (1, 0)
    assert assessment.status is StudyStatus.COMPLETE
    assert assessment.score.probability == RAW.probability
