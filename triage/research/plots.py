"""The report's plots, as SVG for its page."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from matplotlib.axes import Axes

from triage.core.agreement import Confusion, Interval, proportion
from triage.research.document import Report
from triage.research.marks import curve, errors, point, roc_axes
from triage.research.raters import RaterStudy
from triage.research.statistics import Calibration
from triage.research.tables import missing
from triage.svg import COLOURS, drawing

T = TypeVar("T")

MARKERS = "sD^vP*"  # raters are told apart by shape and colour together: 36 of them
COLUMNS = 4  # small plots side by side


def roc_overall(report: Report) -> str:
    """Return the ROC over all studies, with the threshold's place on it."""
    overall = report.figures.overall
    with drawing("roc", 5.2, 4.9) as (figure, drawn):
        axes = roc_axes(figure.add_subplot())
        curve(axes, report.judged, [study.truth for study in report.judged], width=2.2)
        point(axes, overall.confusion, "o", COLOURS["ink"], "model at its threshold")
        axes.legend(loc="lower right")
    return drawn[0]


def roc_by_type(report: Report) -> str:
    """Return the ROC of each study type, that over all studies pale behind it."""
    parts = report.figures.by_type
    columns = min(COLUMNS, len(parts))
    rows = -(-len(parts) // columns)
    with drawing("roc-types", 0.5 + 2.3 * columns, 0.4 + 2.45 * rows) as (figure, drawn):
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for place, axes in enumerate(grid.flat):
            if place >= len(parts):
                axes.set_visible(False)
                continue
            part, figures = list(parts.items())[place]
            some = [study for study in report.judged if study.study_type is part]
            roc_axes(axes, small=True)
            axes.set_xlabel("")
            axes.set_ylabel("")
            axes.set_title(f"{part} (n={len(some)})")
            axes.tick_params(labelbottom=place + columns >= len(parts))  # the lowest of its column
            curve(
                axes,
                report.judged,
                [study.truth for study in report.judged],
                colour="muted",
                width=0.9,
            )
            if curve(axes, some, [study.truth for study in some], width=2):
                point(axes, figures.confusion, "o", COLOURS["ink"], None)
            else:
                axes.text(0.97, 0.03, missing(len(some)), ha="right", va="bottom")
        figure.supxlabel("1 − specificity", size=10)
        figure.supylabel("sensitivity", size=10)
    return drawn[0]


def reliability(report: Report) -> str:
    """Return how often studies were abnormal against how probable the model said it was."""
    with drawing("reliability", 5.2, 4.9) as (figure, drawn):
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot((0, 1), (0, 1), color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="part abnormal")
        axes.grid()
        below.set(xlabel="mean probability of the bin", ylabel="studies")
        below.grid(axis="y")
        measured = report.figures.overall.calibration
        if measured:
            _bins(axes, below, measured)
    return drawn[0]


def by_type(report: Report) -> str:
    """Return AUROC and kappa of each study type with their intervals, overall last."""
    scopes = list(report.figures.rows())
    with drawing("types", 7.6, 1.0 + 0.36 * len(scopes)) as (figure, drawn):
        left, right = figure.subplots(1, 2, sharey=True)
        _forest(
            left, scopes, lambda figures: figures.auroc, lambda figures: figures.studies, "AUROC"
        )
        _forest(
            right,
            scopes,
            lambda figures: figures.confusion.kappa,
            lambda figures: figures.studies,
            "kappa against the labels",
        )
        left.set_yticks(range(len(scopes)), [f"{name} (n={some.studies})" for name, some in scopes])
        left.invert_yaxis()
        for axes, chance in ((left, 0.5), (right, 0.0)):
            axes.axvline(chance, color=COLOURS["muted"], linewidth=1, linestyle=(0, (4, 3)))
            axes.set_xlim(left=min(chance - 0.02, axes.get_xlim()[0]))
    return drawn[0]


def raters_kappa(study: RaterStudy) -> str:
    """Return the kappa of each rater and of the model against the gold standard, by study type."""
    scopes = list(study.readers.rows())
    readers = [*study.readers.overall.raters, "model"]
    height = 0.9 + len(scopes) * (0.2 + 0.16 * len(readers)) + 0.25 * -(-len(readers) // 4)
    with drawing("raters", 7.6, height) as (figure, drawn):
        axes = figure.add_subplot()
        for place, reader in enumerate(readers):
            shift = (place - (len(readers) - 1) / 2) * 0.75 / len(readers)
            rows = [(row + shift, _counts_of(some, reader)) for row, (_, some) in enumerate(scopes)]
            defined = [(row, counts.kappa) for row, counts in rows if counts.kappa]
            errors(
                axes,
                [kappa.value for _, kappa in defined],
                [row for row, _ in defined],
                [kappa.interval for _, kappa in defined],
                label=_shown(reader),
                **_look(place, reader),
            )
        axes.set_yticks(
            range(len(scopes)), [f"{name} (n={some.model.total})" for name, some in scopes]
        )
        axes.invert_yaxis()
        axes.set_xlabel("kappa against the gold standard")
        axes.grid(axis="x")
        figure.legend(loc="outside upper left", ncols=min(4, len(readers)))
    return drawn[0]


def raters_roc(report: Report, study: RaterStudy) -> str:
    """Return the model's ROC against the gold standard, the raters as points beside it."""
    with drawing("raters-roc", 5.2, 4.9) as (figure, drawn):
        axes = roc_axes(figure.add_subplot())
        rated = [judged for judged in report.judged if judged.key in study.truth]
        curve(axes, rated, [study.truth[judged.key] for judged in rated], width=2.2)
        overall = study.readers.overall
        for place, (name, counts) in enumerate(overall.raters.items()):
            look = _look(place, name)
            point(axes, counts, look["marker"], look["color"], _shown(name))
        point(axes, overall.model, "o", COLOURS["ink"], "model at its threshold")
        axes.legend(loc="lower right")
    return drawn[0]


def _forest(
    axes: Axes,
    scopes: Sequence[tuple[str, T]],
    figure: Callable[[T], Any],
    count: Callable[[T], int],
    title: str,
) -> None:
    for row, (name, some) in enumerate(scopes):
        found = figure(some)
        if found is None:
            axes.text(
                0.02, row, missing(count(some)), va="center", transform=axes.get_yaxis_transform()
            )
            continue
        errors(
            axes,
            [found.value],
            [row],
            [found.interval or Interval(found.value, found.value)],
            marker="D" if name == "overall" else "o",
            color=COLOURS["ink" if name == "overall" else "accent"],
        )
    axes.set_title(title)
    axes.set_xlim(right=1.02)
    axes.grid(axis="x")


def _bins(axes: Axes, below: Axes, measured: Calibration) -> None:
    filled = [
        (place, proportion(round(place.abnormal * place.count), place.count))
        for place in measured.bins
        if place.abnormal is not None
    ]
    known = [(place, part) for place, part in filled if part]
    axes.errorbar(
        [place.probability or 0.0 for place, _ in known],
        [part.value for _, part in known],
        yerr=[
            [part.value - part.interval.low for _, part in known],
            [part.interval.high - part.value for _, part in known],
        ],
        marker="o",
        color=COLOURS["accent"],
        linewidth=1.4,
        elinewidth=1.2,
        markeredgecolor=COLOURS["surface"],
    )
    below.bar(
        [(place.low + place.high) / 2 for place in measured.bins],
        [place.count for place in measured.bins],
        width=0.92 / len(measured.bins),
        color=COLOURS["soft"],
    )


def _counts_of(readers: Any, reader: str) -> Confusion:
    counts: Confusion = readers.model if reader == "model" else readers.raters[reader]
    return counts


def _shown(reader: str) -> str:
    """Return a name that the legend takes: matplotlib leaves out what begins with a line below."""
    return f" {reader}" if reader.startswith("_") else reader


def _look(place: int, reader: str) -> dict[str, Any]:
    if reader == "model":
        return {"marker": "o", "color": COLOURS["accent"]}
    shape = (place + place // 6) % 6
    return {"marker": MARKERS[shape], "color": COLOURS[f"rater{place % 6}"]}
