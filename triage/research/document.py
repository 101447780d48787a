"""An evaluation as plain values, ready for JSON; what is undefined is None."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from triage.core.agreement import Confusion, Interval, Kappa, Proportion
from triage.research.evaluate import Chance, Difference, Figures, Judged, Scoped
from triage.research.raters import RaterStudy, Readers
from triage.research.statistics import Bootstrapped, Calibration

T = TypeVar("T")
Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What of the split was not evaluated."""

    unreadable_images: tuple[str, ...]  # a sentence each
    unreadable_studies: tuple[str, ...]  # keys of those none of whose images could be read
    not_accepted: tuple[str, ...]  # keys of those whose type the model's card does not accept


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that one evaluation has come to."""

    dataset: Path
    problems: int  # of the data set, that put what is measured on it in doubt
    split: str
    model: str  # name and version
    checkpoint: str  # the file or files
    chance: Chance
    judged: Sequence[Judged]
    figures: Scoped[Figures]
    left_out: LeftOut
    raters: RaterStudy | None = None
    against: tuple[str, Scoped[Difference]] | None = None  # the other model's name and version


def to_document(report: Report) -> Document:
    """Return the report for `print_json`."""
    return {
        "dataset": report.dataset,
        "dataset_problems": report.problems,
        "split": report.split,
        "model": report.model,
        "checkpoint": report.checkpoint,
        "seed": report.chance.seed,
        "bootstrap": report.chance.replicates,
        "left_out": {name: list(values) for name, values in asdict(report.left_out).items()},
        **_scoped(report.figures, _figures),
        "raters": None if report.raters is None else _raters(report.raters),
        "against": report.against
        and {"model": report.against[0], **_scoped(report.against[1], _difference)},
        "predictions": [_prediction(study) for study in report.judged],
    }


def _scoped(measured: Scoped[T], document: Callable[[T], Document]) -> Document:
    return {
        "overall": document(measured.overall),
        "study_types": {part: document(value) for part, value in measured.by_type.items()},
    }


def _figures(figures: Figures) -> Document:
    return {
        "studies": figures.studies,
        "images": figures.images,
        "patients": figures.patients,
        "prevalence": figures.prevalence,
        "thresholds": list(figures.thresholds),
        **_reader(figures.confusion),
        "auroc": _bootstrapped(figures.auroc),
        "calibration": _calibration(figures.calibration),
    }


def _reader(confusion: Confusion) -> Document:
    return {
        "confusion": asdict(confusion),
        "kappa": _kappa(confusion.kappa),
        "sensitivity": _proportion(confusion.sensitivity),
        "specificity": _proportion(confusion.specificity),
    }


def _raters(study: RaterStudy) -> Document:
    return {
        "gold": list(study.gold),
        "unrated_studies": study.unrated,
        **_scoped(study.readers, _readers),
    }


def _readers(readers: Readers) -> Document:
    return {
        "studies": readers.model.total,
        "abnormal": readers.model.abnormal,
        "raters": {name: _reader(confusion) for name, confusion in readers.raters.items()},
        "model": {**_reader(readers.model), "auroc": _bootstrapped(readers.auroc)},
        "best": readers.best,
        "worst": readers.worst,
        "model_apart_from_best": readers.apart,
    }


def _difference(difference: Difference) -> Document:
    return {
        "studies": difference.studies,
        "auroc": difference.auroc,
        "auroc_against": difference.other,
        "difference": _bootstrapped(difference.difference),
    }


def _prediction(study: Judged) -> Document:
    return {
        "study": study.key,
        "study_type": study.study_type,
        "patient": study.patient,
        "abnormal": study.truth,
        "probability": study.probability,
        "threshold": study.threshold,
        "label": "abnormal" if study.said else "normal",
        "views": list(study.prediction.views),
    }


def _kappa(kappa: Kappa | None) -> Document | None:
    if kappa is None:
        return None
    return {
        "value": kappa.value,
        "standard_error": kappa.standard_error,
        "interval": _interval(kappa.interval),
    }


def _proportion(proportion: Proportion | None) -> Document | None:
    if proportion is None:
        return None
    return {"value": proportion.value, "interval": _interval(proportion.interval)}


def _bootstrapped(figure: Bootstrapped | None) -> Document | None:
    if figure is None:
        return None
    return {
        "value": figure.value,
        "interval": figure.interval and _interval(figure.interval),
        "replicates": figure.replicates,
        "replicates_left_out": figure.left_out,
    }


def _calibration(calibration: Calibration | None) -> Document | None:
    if calibration is None:
        return None
    return {"ece": calibration.ece, "bins": [asdict(place) for place in calibration.bins]}


def _interval(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
