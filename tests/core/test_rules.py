"""Completion, order, study type, selection."""

from datetime import UTC, datetime, timedelta

import pytest

from triage.core.completion import is_complete
from triage.core.selection import MAX_FRAMES, ObjectKind, select
from triage.core.study import Growth, Label, Patience
from triage.core.studytype import BODY_PARTS, StudyType, from_body_part
from triage.core.worklist import Band, place

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("now", "complete"), [(after(14.9), False), (after(15), True), (after(600), True)]
)
def test_a_study_is_complete_when_it_was_silent_long_enough(now, complete):
    growth = Growth(opened_at=NOON, last_received_at=after(5))

    assert is_complete(growth, now, Patience(quiet=10, limit=1000)) is complete


def test_a_study_is_complete_at_the_limit_however_busy_the_sender():
    growth = Growth(opened_at=NOON, last_received_at=after(599))

    assert is_complete(growth, after(600), Patience(quiet=10, limit=600))
    assert not is_complete(growth, after(599.9), Patience(quiet=10, limit=600))


def test_a_clock_that_was_set_back_keeps_no_study_open():
    growth = Growth(opened_at=after(3600), last_received_at=after(3600))

    assert is_complete(growth, NOON, Patience(quiet=10, limit=600))
    assert not is_complete(growth, after(3590), Patience(quiet=30, limit=600))


def test_the_bands_stand_in_reading_order():
    places = [
        place(overdue=True, label=Label.NORMAL, probability=0.1),
        place(overdue=False, label=Label.ABNORMAL, probability=0.9),
        place(overdue=False, label=Label.ABNORMAL, probability=0.6),
        place(overdue=False, label=None, probability=None),
        place(overdue=False, label=Label.NORMAL, probability=0.4),
    ]

    assert places == sorted(places)
    assert [p.band for p in places] == [
        Band.OVERDUE,
        Band.ABNORMAL,
        Band.ABNORMAL,
        Band.NOT_SCORED,
        Band.NORMAL,
    ]


def test_normal_and_overdue_studies_stand_by_arrival_alone():
    for overdue, label in ((True, Label.ABNORMAL), (False, Label.NORMAL)):
        weights = {place(overdue=overdue, label=label, probability=p).weight for p in (0.1, 0.4)}
        assert len(weights) == 1


@pytest.mark.parametrize("study_type", list(StudyType))
def test_each_study_type_is_reached_by_its_defined_term(study_type):
    assert from_body_part(study_type.value.upper()) == (study_type, None)
    assert study_type in BODY_PARTS.values()


@pytest.mark.parametrize(
    "term", ["hand", "HAND ", "Hand.", "UPPER_ARM", "AC JOINT", "LT WRIST", "HAND R"]
)
def test_spelling_does_not_matter(term):
    assert from_body_part(term)[0] is not None


@pytest.mark.parametrize("term", [None, "", "EXTREMITY", "ARM"])
def test_a_missing_or_vague_part_is_unknown(term):
    study_type, reason = from_body_part(term)

    assert study_type is None
    assert reason.startswith("unknown_part: ")


@pytest.mark.parametrize("term", ["CHEST", "HIP", "FOOT", "HANDS AND FEET"])
def test_another_part_is_outside_and_named(term):
    study_type, reason = from_body_part(term)

    assert study_type is None
    assert reason.startswith("outside_upper_extremity: ")
    assert term in reason


def chosen(kind=ObjectKind.RADIOGRAPH, part="HAND", frames=1, *, score_unknown_part=False):
    return select(kind, "Some SOP Class", part, frames, score_unknown_part=score_unknown_part)


def test_a_radiograph_of_a_known_part_is_for_the_network():
    assert chosen().frames == 1
    assert chosen().study_type is StudyType.HAND
    assert chosen(frames=3).frames == 3


@pytest.mark.parametrize(
    ("selection", "code"),
    [
        (chosen(ObjectKind.NOT_AN_IMAGE, frames=0), "not_an_image"),
        (chosen(frames=0), "not_an_image"),
        (chosen(ObjectKind.OTHER_IMAGE), "not_a_radiograph"),
        (chosen(part="CHEST"), "outside_upper_extremity"),
        (chosen(part="CHEST", score_unknown_part=True), "outside_upper_extremity"),
        (chosen(part=""), "unknown_part"),
        (chosen(frames=MAX_FRAMES + 1), "too_large"),
    ],
)
def test_what_is_not_for_the_network_says_why(selection, code):
    assert selection.frames == 0
    assert selection.reason.startswith(f"{code}: ")


def test_a_site_may_have_unknown_parts_scored():
    selection = chosen(part="", score_unknown_part=True)

    assert (selection.frames, selection.study_type, selection.reason) == (1, None, None)
