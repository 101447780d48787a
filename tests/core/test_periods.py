"""Days and weeks begin where the reader is."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from triage.core.periods import DAYS, WEEKS, periods, which

BERLIN = ZoneInfo("Europe/Berlin")
# A Monday, 00:30 in Berlin, which is still Sunday in UTC.
MONDAY = datetime(2025, 3, 30, 22, 30, tzinfo=UTC)


def test_a_day_and_a_week_begin_at_the_readers_midnight():
    here = periods(MONDAY, BERLIN)

    assert here.today == here.week == datetime(2025, 3, 30, 22, tzinfo=UTC)
    assert periods(MONDAY, UTC).today == datetime(2025, 3, 30, tzinfo=UTC)
    assert periods(MONDAY, UTC).week == datetime(2025, 3, 24, tzinfo=UTC)


def test_the_day_on_which_the_clocks_go_forward_has_23_hours():
    *_, saturday, sunday, monday = periods(MONDAY, BERLIN).days

    assert (sunday - saturday, monday - sunday) == (timedelta(hours=24), timedelta(hours=23))


def test_all_periods_lie_one_after_the_other_and_the_present_one_is_last():
    here = periods(MONDAY, BERLIN)

    assert (len(here.days), len(here.weeks)) == (DAYS, WEEKS)
    assert list(here.days) == sorted(here.days)
    assert list(here.weeks) == sorted(here.weeks)
    assert here.begin == here.weeks[0] <= here.days[0]


@pytest.mark.parametrize(
    ("seconds", "week"), [(-1, WEEKS - 2), (0, WEEKS - 1), (86400, WEEKS - 1), (-8e6, None)]
)
def test_a_moment_falls_into_the_period_that_began_last_before_it(seconds, week):
    here = periods(MONDAY, BERLIN)

    assert which(here.weeks, here.week + timedelta(seconds=seconds)) == week
