"""An evaluation as one page of HTML that needs nothing else: no network, no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from triage.errors import TriageError
from triage.research.document import Report
from triage.research.tables import estimate, missing, reservations, tables


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A figure that stands at the head of the page."""

    name: str
    value: str
    interval: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plot with what a reader who cannot see it is told."""

    title: str
    svg: str
    alternative: str
    caption: str = ""
    wide: bool = False


def write_report(report: Report, path: Path) -> None:
    """Write the page; raises TriageError where it cannot be written."""
    page = render(report)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise TriageError(f"{path}: cannot be written ({error.strerror or error})") from error


def render(report: Report) -> str:
    """Return the page."""
    pages = Environment(
        loader=PackageLoader("triage.research"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("report.html").render(
        report=report,
        facts=_facts(report),
        plots=_plots(report),
        tables=tables(report),
        reservations=reservations(report),
    )


def _facts(report: Report) -> list[Fact]:
    figures = report.figures.overall
    counts = figures.confusion
    written = (
        ("AUROC", estimate(figures.auroc, figures.studies)),
        ("Kappa", estimate(counts.kappa, counts.total)),
        ("Sensitivity", estimate(counts.sensitivity, counts.abnormal)),
        ("Specificity", estimate(counts.specificity, counts.normal)),
    )
    return [_fact(name, text) for name, text in written]


def _fact(name: str, text: str) -> Fact:
    value, _, interval = text.partition(" ")
    return Fact(name=name, value=value, interval=interval)


def _plots(report: Report) -> Sequence[Plot]:
    from triage.research import plots  # matplotlib takes a second

    overall = report.figures.overall
    area = estimate(overall.auroc, overall.studies)
    error = f"{overall.calibration.ece:.3f}" if overall.calibration else missing(overall.studies)
    spoken = "; ".join(
        f"{name}: AUROC {estimate(some.auroc, some.studies)}, "
        f"kappa {estimate(some.confusion.kappa, some.studies)}"
        for name, some in report.figures.rows()
    )
    drawn = [
        Plot(
            title="ROC over all studies",
            svg=plots.roc_overall(report),
            alternative=f"ROC curve over all {overall.studies} studies. AUROC {area}. At its "
            f"threshold the model's sensitivity is "
            f"{estimate(overall.confusion.sensitivity, overall.confusion.abnormal)} and its "
            f"specificity {estimate(overall.confusion.specificity, overall.confusion.normal)}.",
            caption=f"AUROC {area}. Bars at the threshold: Wilson's intervals. Dashed: chance.",
        ),
        Plot(
            title="Reliability",
            svg=plots.reliability(report),
            alternative="Part of abnormal studies against the model's mean probability in ten "
            f"bins of equal width; expected calibration error {error}.",
            caption=f"Expected calibration error {error}. Bars: Wilson's intervals. "
            "Dashed: perfectly calibrated. Below: studies in each bin.",
        ),
        Plot(
            title="AUROC and kappa by study type",
            svg=plots.by_type(report),
            alternative=f"Points with 95 % intervals. {spoken}.",
            caption="With 95 % intervals. Dashed: chance.",
            wide=True,
        ),
        Plot(
            title="ROC by study type",
            svg=plots.roc_by_type(report),
            alternative=f"ROC curve of each study type. {spoken}.",
            caption="Pale: all studies. The point is the model at its threshold.",
            wide=True,
        ),
    ]
    if report.raters:
        readers = report.raters.readers.overall
        kappas = "; ".join(
            f"{name} {estimate(counts.kappa, counts.total)}"
            for name, counts in (*readers.raters.items(), ("model", readers.model))
        )
        drawn += [
            Plot(
                title="Raters and model by study type",
                svg=plots.raters_kappa(report.raters),
                alternative=f"Kappa against the gold standard with 95 % intervals. Overall: {kappas}.",
                caption=f"Gold standard: the majority of {', '.join(report.raters.gold)}.",
                wide=True,
            ),
            Plot(
                title="ROC against the gold standard",
                svg=plots.raters_roc(report, report.raters),
                alternative="ROC curve of the model against the raters' majority, AUROC "
                f"{estimate(readers.auroc, readers.model.total)}; the raters as points.",
                caption=f"AUROC {estimate(readers.auroc, readers.model.total)}. "
                "Bars: Wilson's intervals.",
            ),
        ]
    return drawn
