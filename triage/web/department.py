"""The figures of the department, made when somebody asks, and kept for some seconds."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo

from triage.core.department import department
from triage.core.drift import Distribution
from triage.core.figures import By, Department, TurnAround
from triage.core.periods import periods
from triage.store.database import Database
from triage.store.figures import department_facts
from triage.web.health import Probe

KEPT = 30.0  # seconds for which figures are shown again instead of made again
DRIFT_KEPT = 300.0  # seconds for which a monitor is told the same drift: it changes by the day
STATIONS = 8  # drawn, those with the most studies; the table has all

# Whether the last scores of a study type or a station stand apart: what it is, its name, and that.
Drifts = list[tuple[str, str, bool]]

# matplotlib's settings are those of the whole process: one plot is drawn at a time.
_drawing = threading.Lock()


@dataclass(frozen=True)
class Plots:
    """The page's plots as SVG; those of scores belong to the first of the distributions."""

    turn_around: str
    agreement: str
    by_type: tuple[str, ...]
    by_station: tuple[str, ...]
    throughput: str


class Sheet:
    """The department as it was at one moment."""

    def __init__(self, figures: Department, zone: tzinfo) -> None:
        self.figures = figures
        self.zone = zone

    @cached_property
    def plots(self) -> Plots:
        """Draw the figures, once."""
        from triage.web import plots  # matplotlib takes 30 MB; most never open the page

        def scores(kind: str, some: tuple[Distribution, ...]) -> tuple[str, ...]:
            named = enumerate(some[:STATIONS])
            return tuple(plots.scores(f"{kind}-{n}", each, self.zone) for n, each in named)

        with _drawing:
            return Plots(
                turn_around=plots.turn_around(tuple((name_of(e), e) for e in self.turn_around)),
                agreement=plots.agreement(
                    tuple((each.study_type or "all", each) for each in self.figures.agreement)
                ),
                by_type=scores("type", self.figures.scores_by_type),
                by_station=scores("station", self.figures.scores_by_station),
                throughput=plots.throughput(self.figures.days, self.zone),
            )

    @property
    def turn_around(self) -> list[TurnAround]:
        """What of the turn-around says something: rows of studies."""
        return [each for each in self.figures.turn_around if each.week.studies]

    def drift(self, distribution: Distribution) -> str:
        """Say which weeks of a distribution drift."""
        weeks = [self.local(w.begin, "%Y-%m-%d") for w in distribution.weeks if w.drifts]
        return f"These weeks drift: {', '.join(weeks)}." if weeks else "No week drifts."

    def local(self, moment: datetime, form: str = "%Y-%m-%d %H:%M") -> str:
        """Write a moment as clocks showed it in the sheet's zone."""
        return f"{moment.astimezone(self.zone):{form}}"


class Figures:
    """The sheets of the last seconds, one for each time zone that was asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()  # who comes while a sheet is made waits for it
        self._sheets: dict[str, tuple[float, Sheet]] = {}  # each with the end of its time
        self.drifts: Probe[Drifts] = Probe("drift", self._drifts, DRIFT_KEPT)

    def of(self, zone: str) -> Sheet:
        """Return the department as it is, or was some seconds ago, in a zone's days and weeks.

        Raises DatabaseUnavailable.
        """
        with self._lock:
            now = time.monotonic()
            self._sheets = {name: kept for name, kept in self._sheets.items() if kept[0] > now}
            if zone not in self._sheets:
                self._sheets[zone] = (now + KEPT, self._make(zone))
            return self._sheets[zone][1]

    def _drifts(self) -> Drifts:
        figures = self.of("UTC").figures
        return [
            (kind, each.name or "", each.drifts)
            for kind, some in (
                ("study_type", figures.scores_by_type),
                ("station", figures.scores_by_station),
            )
            for each in some
            if each.tested
        ]

    def _make(self, zone: str) -> Sheet:
        when = periods(datetime.now(UTC), zone_named(zone))
        facts = department_facts(self._database, when.begin)
        return Sheet(department(facts, when, zone), zone_named(zone))


def zone_named(name: str) -> tzinfo:
    """Return a time zone of the IANA's database. Raises ValueError where it has none such."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, a folder, no name at all
        raise ValueError("not a time zone; one is written as in Europe/Berlin") from error


def name_of(row: TurnAround) -> str:
    """Return what the page calls a row of the turn-around."""
    if row.by is By.READER:
        return {"not_entered": "no finding"}.get(row.of, f"{row.of} (reader)")
    return {"not_scored": "not scored"}.get(row.of, f"{row.of} (model)")


def duration(seconds: float | None) -> str:
    """Write how long something took as a person would."""
    if seconds is None:
        return "-"
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"
