"""How good a model is on labelled studies: by study type and over all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from triage.core.agreement import Confusion, confusion
from triage.core.studytype import StudyType
from triage.research.predictions import Prediction
from triage.research.statistics import (
    REPLICATES,
    Bootstrapped,
    Calibration,
    auroc,
    bootstrap_auroc,
    bootstrap_difference,
    calibration,
)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A study with the model's answer: abnormal if its probability is strictly above the threshold."""

    prediction: Prediction
    threshold: float  # that of the study's type

    @property
    def key(self) -> str:
        return self.prediction.study.key

    @property
    def study_type(self) -> StudyType:
        return self.prediction.study.study_type

    @property
    def patient(self) -> str:
        return self.prediction.study.patient

    @property
    def truth(self) -> bool:
        """What the label says."""
        return self.prediction.study.abnormal

    @property
    def said(self) -> bool:
        """What the model says."""
        return self.prediction.probability > self.threshold

    @property
    def probability(self) -> float:
        return self.prediction.probability


@dataclass(frozen=True, kw_only=True)
class Scoped(Generic[T]):
    """Something measured for each study type that occurs, in MURA's order, and over all."""

    by_type: dict[StudyType, T]
    overall: T

    def rows(self) -> Iterator[tuple[str, T]]:
        """Yield the scopes with their names, overall last as in the paper's tables."""
        yield from self.by_type.items()
        yield "overall", self.overall


@dataclass(frozen=True)
class Chance:
    """How the bootstrap draws."""

    seed: int = 0
    replicates: int = REPLICATES


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How the model does against the labels of some studies."""

    studies: int
    images: int  # those that could be read
    patients: int
    thresholds: tuple[float, ...]  # those of the study types among them, each once, rising
    confusion: Confusion
    auroc: Bootstrapped | None
    calibration: Calibration | None

    @property
    def prevalence(self) -> float | None:
        """The part of the studies that is abnormal."""
        return self.confusion.abnormal / self.studies if self.studies else None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The AUROC of a model and of another one over the same studies."""

    studies: int
    auroc: float | None
    other: float | None
    difference: Bootstrapped | None  # the first less the second


def judge(
    predictions: Sequence[Prediction], threshold: Callable[[StudyType], float]
) -> list[Judged]:
    """Give each prediction the threshold of its study type."""
    return [Judged(prediction=p, threshold=threshold(p.study.study_type)) for p in predictions]


def evaluate(studies: Sequence[Judged], chance: Chance) -> Scoped[Figures]:
    """Measure the model against the labels."""
    return scoped(studies, lambda some: _figures(some, chance))


def compare(
    studies: Sequence[Judged], others: Sequence[Prediction], chance: Chance
) -> Scoped[Difference]:
    """Measure how the model's AUROC differs from another's, over the studies that both scored."""
    theirs = {other.study.key: other.probability for other in others}
    both = [study for study in studies if study.key in theirs]
    return scoped(both, lambda some: _difference(some, theirs, chance))


def scoped(studies: Sequence[Judged], measure: Callable[[Sequence[Judged]], T]) -> Scoped[T]:
    """Apply a measure to the studies of each type, and to all of them."""
    present = {study.study_type for study in studies}
    return Scoped(
        by_type={
            part: measure([study for study in studies if study.study_type is part])
            for part in StudyType
            if part in present
        },
        overall=measure(studies),
    )


def bootstrapped(
    studies: Sequence[Judged], truth: Sequence[bool], chance: Chance
) -> Bootstrapped | None:
    """Return the AUROC of the model's probabilities for a truth, with its interval."""
    return bootstrap_auroc(
        truth,
        [study.probability for study in studies],
        [study.patient for study in studies],
        seed=chance.seed,
        replicates=chance.replicates,
    )


def _figures(studies: Sequence[Judged], chance: Chance) -> Figures:
    truth = [study.truth for study in studies]
    return Figures(
        studies=len(studies),
        images=sum(len(study.prediction.views) for study in studies),
        patients=len({study.patient for study in studies}),
        thresholds=tuple(sorted({study.threshold for study in studies})),
        confusion=confusion(truth, (study.said for study in studies)),
        auroc=bootstrapped(studies, truth, chance),
        calibration=calibration(truth, [study.probability for study in studies]),
    )


def _difference(studies: Sequence[Judged], theirs: dict[str, float], chance: Chance) -> Difference:
    truth = [study.truth for study in studies]
    own = [study.probability for study in studies]
    other = [theirs[study.key] for study in studies]
    return Difference(
        studies=len(studies),
        auroc=auroc(truth, own),
        other=auroc(truth, other),
        difference=bootstrap_difference(
            truth,
            own,
            other,
            [study.patient for study in studies],
            seed=chance.seed,
            replicates=chance.replicates,
        ),
    )
