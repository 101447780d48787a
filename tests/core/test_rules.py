"""Completion and order."""

from datetime import UTC, datetime, timedelta

import pytest

from triage.core.completion import is_complete
from triage.core.study import Growth, Label, Patience
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
