"""What the report's plots are made of: a ROC and its axes, points, and intervals around them."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from triage.core.agreement import Confusion, Interval, proportion
from triage.research.evaluate import Judged
from triage.research.statistics import roc
from triage.svg import COLOURS


def roc_axes(axes: Axes, *, small: bool = False) -> Axes:
    """Make *axes* those of a ROC, with the line of chance; return them."""
    axes.plot((0, 1), (0, 1), color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    ticks = (0, 0.5, 1) if small else (0, 0.2, 0.4, 0.6, 0.8, 1)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set(xlabel="1 − specificity", ylabel="sensitivity")
    axes.grid()
    return axes


def curve(
    axes: Axes,
    studies: Sequence[Judged],
    truth: Sequence[bool],
    *,
    width: float,
    colour: str = "accent",
) -> bool:
    """Draw a ROC and say whether there is one."""
    found = roc(truth, [study.probability for study in studies])
    if found is None:
        return False
    axes.plot(
        found.false_positive_rate,
        found.true_positive_rate,
        color=COLOURS[colour],
        linewidth=width,
        solid_joinstyle="miter",
    )
    return True


def point(axes: Axes, counts: Confusion, marker: str, colour: str, label: str | None) -> None:
    """Mark where a reader stands: a point, with Wilson's intervals along both axes."""
    alarms = proportion(counts.fp, counts.normal)
    if counts.sensitivity is None or alarms is None:
        return
    errors(
        axes,
        [alarms.value],
        [counts.sensitivity.value],
        [alarms.interval],
        [counts.sensitivity.interval],
        marker=marker,
        markersize=8,
        color=colour,
        label=label,
    )


def errors(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    across: Sequence[Interval],
    along: Sequence[Interval] | None = None,
    **look: Any,
) -> None:
    """Draw points with intervals across, and along y where given."""

    def reach(values: Sequence[float], intervals: Sequence[Interval]) -> list[list[float]]:
        pairs = list(zip(values, intervals, strict=True))
        # A percentile interval need not hold the figure that it belongs to.
        return [
            [max(0.0, value - interval.low) for value, interval in pairs],
            [max(0.0, interval.high - value) for value, interval in pairs],
        ]

    axes.errorbar(
        x,
        y,
        xerr=reach(x, across),
        yerr=reach(y, along) if along else None,
        **{
            "linestyle": "none",
            "elinewidth": 1.4,
            "markersize": 6,
            "markeredgecolor": COLOURS["surface"],
            "markeredgewidth": 0.8,
            "zorder": 3,
            **look,
        },
    )
