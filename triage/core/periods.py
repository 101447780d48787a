"""The days and weeks that figures are counted by, as they begin where the reader is."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

WEEKS = 13  # shown, the present one among them
DAYS = 28  # likewise


@dataclass(frozen=True, kw_only=True)
class Periods:
    """When each of the last days and weeks began, in UTC, the present one last."""

    now: datetime
    days: tuple[datetime, ...]
    weeks: tuple[datetime, ...]  # from Monday on

    @property
    def today(self) -> datetime:
        return self.days[-1]

    @property
    def week(self) -> datetime:
        return self.weeks[-1]

    @property
    def begin(self) -> datetime:
        """The beginning of all of them."""
        return self.weeks[0]


def periods(now: datetime, zone: tzinfo) -> Periods:
    """Return the last `DAYS` days and `WEEKS` weeks as they are at *now* in *zone*.

    A day begins at its midnight, and so has 23 or 25 hours where the clocks are changed.
    """
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    monday = today - timedelta(days=today.weekday())

    def begin(day: datetime) -> datetime:
        return day.replace(tzinfo=zone).astimezone(UTC)

    return Periods(
        now=now,
        days=tuple(begin(today - timedelta(days=n)) for n in reversed(range(DAYS))),
        weeks=tuple(begin(monday - timedelta(weeks=n)) for n in reversed(range(WEEKS))),
    )


def which(begins: Sequence[datetime], moment: datetime) -> int | None:
    """Return the number of the period that *moment* falls into; None before the first."""
    place = bisect_right(begins, moment) - 1
    return None if place < 0 else place
