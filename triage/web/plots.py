"""The department's plots, as SVG for its page.

They take a second of a core and 30 MB, of which the web process feels nothing until somebody
opens that page. One whose figures have not changed is not drawn again.
"""

from datetime import datetime, tzinfo
from functools import lru_cache

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from triage.core.drift import Distribution
from triage.core.figures import Agreement, Day, TurnAround, Wait
from triage.svg import COLOURS, drawing

HOUR = 3600.0  # seconds
DASHED = (0, (4, 3))
LAST = 64  # drawings of each kind that are kept; a page has fewer


@lru_cache(LAST)
def turn_around(rows: tuple[tuple[str, TurnAround], ...]) -> str:
    """Return the median wait of each row today and this week, with a line to nine of ten."""
    with drawing("turn-around", 5.6, 1.0 + 0.42 * len(rows)) as (figure, drawn):
        axes = figure.add_subplot()
        for place, (_, row) in enumerate(rows):
            _wait(axes, place - 0.15, row.today, "o", "accent")
            _wait(axes, place + 0.15, row.week, "D", "muted")
        for marker, colour, name in (("o", "accent", "today"), ("D", "muted", "this week")):
            axes.plot([], [], marker=marker, color=COLOURS[colour], linestyle="none", label=name)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel("hours from arrival to reading")
        axes.grid(axis="x")
        figure.legend(loc="outside upper left", ncols=2)
    return drawn[0]


def _wait(axes: Axes, height: float, wait: Wait, marker: str, colour: str) -> None:
    if wait.median_seconds is None or wait.ninety_seconds is None:
        return
    ends = (wait.median_seconds / HOUR, wait.ninety_seconds / HOUR)
    axes.plot(ends, (height, height), color=COLOURS[colour], linewidth=1.8)
    axes.plot(*ends[:1], height, marker=marker, color=COLOURS[colour], markersize=7)


@lru_cache(LAST)
def agreement(rows: tuple[tuple[str, Agreement], ...]) -> str:
    """Return kappa of model and readers with its interval, over all studies last."""
    with drawing("agreement", 5.6, 0.8 + 0.36 * len(rows)) as (figure, drawn):
        axes = figure.add_subplot()
        for place, (_, row) in enumerate(rows):
            overall = row.study_type is None
            colour = COLOURS["ink" if overall else "accent"]
            if row.kappa is None:
                axes.text(0.01, place, "not defined", va="center", color=COLOURS["muted"])
                continue
            interval = row.kappa.interval
            axes.plot((interval.low, interval.high), (place, place), color=colour, linewidth=1.8)
            axes.plot(
                row.kappa.value, place, marker="D" if overall else "o", color=colour, markersize=7
            )
        axes.axvline(0, color=COLOURS["muted"], linewidth=1, linestyle=DASHED)
        axes.set_yticks(range(len(rows)), [f"{name} (n={row.studies})" for name, row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(min(-0.05, axes.get_xlim()[0]), 1.02)
        axes.set_xlabel("kappa, with its 95 % interval; 0 is what chance alone gives")
        axes.grid(axis="x")
    return drawn[0]


@lru_cache(LAST)
def scores(number: str, distribution: Distribution, zone: tzinfo) -> str:
    """Return median and quartiles week by week, those that drift marked; *number* names it."""
    weeks = distribution.weeks
    with drawing(f"scores-{number}", 3.4, 2.1) as (figure, drawn):
        axes = figure.add_subplot()
        reference = [place for place, week in enumerate(weeks) if week.reference]
        if reference:
            axes.axvspan(
                reference[0] - 0.5, reference[-1] + 0.5, color=COLOURS["grid"], linewidth=0
            )
        for drifts, colour, marker in ((False, "accent", "o"), (True, "alarm", "^")):
            shown = [
                (place, week.quartiles)
                for place, week in enumerate(weeks)
                if week.quartiles and week.drifts is drifts
            ]
            places = [place for place, _ in shown]
            axes.vlines(
                places,
                [quartiles.low for _, quartiles in shown],
                [quartiles.high for _, quartiles in shown],
                color=COLOURS[colour],
                linewidth=2.2,
            )
            axes.plot(
                places,
                [quartiles.median for _, quartiles in shown],
                color=COLOURS[colour],
                marker=marker,
                markersize=6,
                linestyle="none",
            )
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks((0, 0.5, 1))
        axes.set_xlim(-0.7, len(weeks) - 0.3)
        ticks = range(0, len(weeks), 4)
        axes.set_xticks(ticks, [_day(weeks[place].begin, zone) for place in ticks])
        axes.grid(axis="y")
    return drawn[0]


@lru_cache(LAST)
def throughput(days: tuple[Day, ...], zone: tzinfo) -> str:
    """Return the studies received and read each day."""
    with drawing("throughput", 10, 2.6) as (figure, drawn):
        axes = figure.add_subplot()
        places = range(len(days))
        axes.bar(
            places, [day.received for day in days], color=COLOURS["soft"], width=0.75,
            label="received",
        )  # fmt: skip
        axes.plot(
            places, [day.read for day in days], color=COLOURS["accent"], marker="o", markersize=4,
            linewidth=1.6, label="read",
        )  # fmt: skip
        ticks = range(len(days) - 1, -1, -7)
        axes.set_xticks(ticks, [_day(days[place].begin, zone) for place in ticks])
        axes.set_xlim(-0.7, len(days) - 0.3)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.set_ylabel("studies")
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=2)
    return drawn[0]


def _day(begin: datetime, zone: tzinfo) -> str:
    return f"{begin.astimezone(zone):%m-%d}"
