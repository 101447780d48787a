"""An evaluation as tables of text, the same on the terminal and in the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from triage.core.agreement import Confusion, Kappa, Proportion
from triage.research.document import Report
from triage.research.evaluate import Difference, Figures, Scoped
from triage.research.raters import RaterStudy, Readers
from triage.research.statistics import Bootstrapped


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells below their columns' names, and what is to be known to read them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def tables(report: Report) -> list[Table]:
    """Return what was measured, most telling first."""
    made = [_merit(report.figures), _counts(report.figures)]
    if report.raters:
        made.append(_raters(report.raters))
    if report.against:
        made.append(_against(report.model, *report.against))
    return made


def estimate(
    figure: Kappa | Proportion | Bootstrapped | None, count: int, *, signed: bool = False
) -> str:
    """Write a figure with its interval as the paper does; undefined, n/a with its studies."""
    if figure is None:
        return missing(count)
    form = "{:+.3f}" if signed else "{:.3f}"
    if figure.interval is None:
        return form.format(figure.value)
    bounds = ", ".join(form.format(end) for end in (figure.interval.low, figure.interval.high))
    return f"{form.format(figure.value)} ({bounds})"


def missing(count: int) -> str:
    """Write that a figure is undefined over these studies."""
    return f"n/a (n={count})"


def reservations(report: Report) -> list[str]:
    """Say what of the split was not evaluated, and what puts the figures in doubt."""
    left = report.left_out
    counts = (
        (len(left.unreadable_images), "image", "could not be read"),
        (len(left.unreadable_studies), "study", "had no readable image and was left out"),
        (len(left.not_accepted), "study", "was left out: the model does not accept its type"),
    )
    sentences = [_counted(*count) for count in counts if count[0]]
    if report.problems:
        sentences.append(
            f"the data set is not sound ({_counted(report.problems, 'problem')}): "
            f"`triage dataset {report.dataset}` names what puts its figures in doubt"
        )
    return sentences


def _counted(count: int, noun: str, rest: str = "") -> str:
    """Write a count with its noun, and what is said of one or of many."""
    if count == 1:
        return f"1 {noun} {rest}".rstrip()
    many = "studies" if noun == "study" else f"{noun}s"
    return f"{count} {many} {rest.replace('was ', 'were ').replace('its ', 'their ')}".rstrip()


def _merit(figures: Scoped[Figures]) -> Table:
    return Table(
        title="Agreement with the labels",
        columns=("study type", "studies", "AUROC", "kappa", "sensitivity", "specificity", "ECE"),
        rows=[
            [
                name,
                str(some.studies),
                estimate(some.auroc, some.studies),
                *_answers(some.confusion),
                f"{some.calibration.ece:.3f}" if some.calibration else missing(some.studies),
            ]
            for name, some in figures.rows()
        ],
        notes=(
            "In brackets: 95 % intervals; AUROC by bootstrap over patients, kappa by McHugh's "
            "standard error, sensitivity and specificity by Wilson.",
            *_lacking(figures),
        ),
    )


def _answers(counts: Confusion) -> list[str]:
    return [
        estimate(counts.kappa, counts.total),
        estimate(counts.sensitivity, counts.abnormal),
        estimate(counts.specificity, counts.normal),
    ]


def _lacking(figures: Scoped[Figures]) -> list[str]:
    lacking = [
        f"{name} {some.auroc.left_out} of {some.auroc.left_out + some.auroc.replicates}"
        for name, some in figures.rows()
        if some.auroc and some.auroc.left_out
    ]
    return [f"Replicates left out for want of a class: {', '.join(lacking)}."] if lacking else []


def _counts(figures: Scoped[Figures]) -> Table:
    return Table(
        title="What was counted",
        columns=(
            *("study type", "studies", "images", "patients", "abnormal", "threshold"),
            *("true pos.", "false pos.", "false neg.", "true neg."),
        ),
        rows=[
            [
                name,
                str(some.studies),
                str(some.images),
                str(some.patients),
                f"{some.confusion.abnormal} ({some.prevalence:.1%})"
                if some.prevalence is not None
                else missing(0),
                " / ".join(f"{threshold:g}" for threshold in some.thresholds),
                str(some.confusion.tp),
                str(some.confusion.fp),
                str(some.confusion.fn),
                str(some.confusion.tn),
            ]
            for name, some in figures.rows()
        ],
        notes=("A study is called abnormal if its probability is strictly above the threshold.",),
    )


def _raters(study: RaterStudy) -> Table:
    names = list(study.readers.overall.raters)
    return Table(
        title="Kappa of raters and model against the gold standard",
        columns=("study type", "studies", *names, "model", "best", "worst", "model against best"),
        rows=[
            [
                scope,
                str(readers.model.total),
                *(
                    estimate(counts.kappa, counts.total)
                    for counts in (*readers.raters.values(), readers.model)
                ),
                readers.best or missing(readers.model.total),
                readers.worst or missing(readers.model.total),
                _apart(readers),
            ]
            for scope, readers in study.readers.rows()
        ],
        notes=(
            f"Gold standard: the majority of {', '.join(study.gold)}, "
            "who were drawn by the seed and are not measured themselves.",
            *(
                (f"{_counted(study.unrated, 'study', 'was left out: no rater judged it')}.",)
                if study.unrated
                else ()
            ),
        ),
    )


def _apart(readers: Readers) -> str:
    if readers.apart is None:
        return missing(readers.model.total)
    return "intervals apart" if readers.apart else "intervals overlap"


def _against(model: str, other: str, differences: Scoped[Difference]) -> Table:
    return Table(
        title=f"AUROC of {model} less that of {other}",
        columns=("study type", "studies", model, other, "difference"),
        rows=[
            [
                name,
                str(some.studies),
                missing(some.studies) if some.auroc is None else f"{some.auroc:.3f}",
                missing(some.studies) if some.other is None else f"{some.other:.3f}",
                estimate(some.difference, some.studies, signed=True),
            ]
            for name, some in differences.rows()
        ],
        notes=("The interval is of the paired bootstrap: both models over the same patients.",),
    )
