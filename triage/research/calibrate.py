"""A model's temperature and thresholds from labelled studies that it did not learn from.

The temperature is fitted on views, where it is applied: each view's logit is
divided by it before the mean is taken, and the loss of views is convex in its
inverse, so that there is one answer. A view has its study's label, and the
views of a study weigh as one study together, because figures are by study.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triage.core.agreement import Confusion, confusion
from triage.core.studytype import StudyType
from triage.model.logistic import TINY, logit, sigmoid
from triage.research.predictions import Prediction
from triage.research.statistics import calibration

LEAST = 30  # studies of each class for a threshold of a study type's own
# Between these a temperature is looked for: views that a network tells apart without
# a mistake would have it sink to 0, and every probability become 0 or 1.
COLDEST, HOTTEST = 0.1, 10.0

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]
Types = NDArray[np.str_]


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good the studies' probabilities are as probabilities."""

    nll: float  # negative log-likelihood, the mean over the studies, in nats
    ece: float  # expected calibration error, 0 to 1


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What a card says of how logits become probabilities, and probabilities labels."""

    temperature: float
    threshold: float  # a probability strictly above it is abnormal
    thresholds: dict[StudyType, float]  # of the study types that have their own

    def threshold_for(self, study_type: StudyType | None) -> float:
        """Return the threshold of a study type; the overall one of None."""
        return (
            self.threshold
            if study_type is None
            else self.thresholds.get(study_type, self.threshold)
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the new thresholds do to the studies that they were fitted on."""

    study_type: StudyType | None  # None: all together, each with its type's threshold
    confusion: Confusion


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What calibrating a model came to."""

    scale: Scale
    fitted: bool  # otherwise a class is missing, and the scale is the former one
    bounded: bool  # the best temperature lies beyond COLDEST or HOTTEST
    before: Quality
    after: Quality
    outcomes: tuple[Outcome, ...]  # of every study type that has studies; last, of all


def fit(
    predictions: Sequence[Prediction],
    former: Scale,
    *,
    sensitivity: float | None = None,
    temperature_only: bool = False,
) -> Fit:
    """Fit temperature and thresholds to labelled studies, at least one.

    The thresholds are those of maximal kappa or, with *sensitivity*, 0 to 1,
    the most specific ones that reach it. With *temperature_only* the former
    ones are moved with the temperature, so that a single view is judged as it
    was. Where a class is missing everything stays.
    """
    truth = np.array([prediction.study.abnormal for prediction in predictions])
    types = np.array([str(prediction.study.study_type) for prediction in predictions])
    before = np.array([prediction.probability for prediction in predictions])
    counts = [len(prediction.views) for prediction in predictions]
    study = np.repeat(np.arange(len(predictions)), counts)  # of each view
    weights = 1 / np.repeat(counts, counts)
    views = np.concatenate([prediction.views for prediction in predictions])
    logits = former.temperature * logit(views)
    scale, after = former, before
    fitted = bool(truth.any() and not truth.all())
    if fitted:
        temperature = fit_temperature(logits, truth[study], weights)
        after = np.bincount(study, weights * sigmoid(logits / temperature)).astype(np.float64)
        scale = moved(former, temperature)
        if not temperature_only:
            scale = _with_thresholds(temperature, types, truth, after, sensitivity)
    return Fit(
        scale=scale,
        fitted=fitted,
        bounded=fitted and scale.temperature in (COLDEST, HOTTEST),
        before=quality(truth, before),
        after=quality(truth, after),
        outcomes=tuple(_outcomes(scale, types, truth, after)),
    )


def _with_thresholds(
    temperature: float, types: Types, truth: Truth, probability: Floats, sensitivity: float | None
) -> Scale:
    thresholds = {}
    for study_type in StudyType:
        among = types == study_type
        if min(np.sum(truth & among), np.sum(~truth & among)) >= LEAST:
            thresholds[study_type] = best_threshold(truth[among], probability[among], sensitivity)
    overall = best_threshold(truth, probability, sensitivity)
    return Scale(temperature=temperature, threshold=overall, thresholds=thresholds)


def _outcomes(scale: Scale, types: Types, truth: Truth, probability: Floats) -> Iterator[Outcome]:
    said = probability > np.array([scale.threshold_for(StudyType(name)) for name in types])
    for study_type in StudyType:
        among = types == study_type
        if among.any():
            found = confusion(truth[among], said[among])
            yield Outcome(study_type=study_type, confusion=found)
    yield Outcome(study_type=None, confusion=confusion(truth, said))


def fit_temperature(logits: ArrayLike, truth: ArrayLike, weights: ArrayLike) -> float:
    """Return the temperature of least negative log-likelihood, COLDEST to HOTTEST.

    One entry a view, of both classes (Guo et al. 2017, "On Calibration of Modern
    Neural Networks", section 4.2). The loss is convex in 1 / temperature, so its
    slope changes its sign once.
    """
    z, y, w = (np.asarray(values, dtype=np.float64) for values in (logits, truth, weights))

    def slope(temperature: float) -> float:
        """Of the loss by 1 / temperature."""
        return float(np.sum(w * (sigmoid(z / temperature) - y) * z))

    low, high = COLDEST, HOTTEST
    if slope(low) <= 0:  # colder would be better still
        return low
    if slope(high) >= 0:
        return high
    for _ in range(100):  # by then the two are neighbours in float64
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low


def best_threshold(truth: Truth, probability: Floats, sensitivity: float | None = None) -> float:
    """Return the threshold of maximal kappa, or the most specific one of this sensitivity.

    One entry a study, of both classes. It lies halfway between neighbouring
    probabilities, so that what differs in the last digits on another machine is
    judged alike; of equally good ones it is the one nearest to 0.5.
    """

    abnormal, normal = np.sort(probability[truth]), np.sort(probability[~truth])

    def worth(threshold: float) -> tuple[float, ...]:
        fn = int(np.searchsorted(abnormal, threshold, side="right"))
        tn = int(np.searchsorted(normal, threshold, side="right"))
        found = Confusion(tp=len(abnormal) - fn, fp=len(normal) - tn, fn=fn, tn=tn)
        if sensitivity is None:
            kappa = found.kappa.value if found.kappa else 0.0
            return round(kappa, 12), -abs(threshold - 0.5)
        return found.tp / found.abnormal >= sensitivity, found.tn, found.tp

    return max(cuts(probability), key=worth)


def cuts(probability: Floats) -> list[float]:
    """Return a threshold for each way to part the probabilities, rising, between 0 and 1."""
    values = np.unique(np.clip(probability, TINY, 1 - TINY)).tolist()
    ends = zip([0.0, *values], [*values, 1.0], strict=True)
    middles = [(low + high) / 2 for low, high in ends]
    # Of two neighbours in float64 the middle may be the upper one, which is to lie above it.
    return [
        min(middle, float(np.nextafter(high, 0)))
        for middle, high in zip(middles, [*values, 1.0], strict=True)
    ]


def quality(truth: Truth, probability: Floats) -> Quality:
    """Return how well the studies' probabilities fit their labels."""
    reliability = calibration(truth, probability)
    if reliability is None:
        raise ValueError("there is no study")
    right = np.where(truth, probability, 1 - probability)
    return Quality(nll=float(-np.mean(np.log(np.maximum(right, TINY)))), ece=reliability.ece)


def moved(scale: Scale, temperature: float) -> Scale:
    """Return the scale with another temperature, its thresholds parting views as they did."""

    def move(threshold: float) -> float:
        odds = logit(np.array(threshold)) * scale.temperature / temperature
        return float(np.clip(sigmoid(odds), TINY, 1 - TINY))

    thresholds = {part: move(threshold) for part, threshold in scale.thresholds.items()}
    return Scale(temperature=temperature, threshold=move(scale.threshold), thresholds=thresholds)
