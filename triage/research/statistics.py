"""Figures of merit of probabilities: ranking (AUROC) and calibration, with their uncertainty.

Arrays hold one entry a study: ``truth`` (n,) bool, True for abnormal;
``probability`` (n,) float64, 0 to 1; ``patient`` (n,) of anything that tells
patients apart. What is undefined (one class alone) is None.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triage.core.agreement import Interval

REPLICATES = 2000
BINS = 10
WORK = 2_000_000  # entries of a block of replicates; 16 MB for each of the arrays in it

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Bootstrapped:
    """A figure with its percentile interval over resampled patients."""

    value: float
    interval: Interval | None  # None where no replicate had both classes
    replicates: int  # those that the interval rests on
    left_out: int  # those that lacked a class


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The studies whose probability lies in (low, high]; the first bin holds 0 too."""

    low: float
    high: float
    count: int
    probability: float | None  # their mean; None of an empty bin
    abnormal: float | None  # the part of them that is abnormal


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How well probabilities match frequencies."""

    ece: float  # expected calibration error, 0 to 1
    bins: tuple[Bin, ...]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A receiver operating characteristic: from (0, 0) to (1, 1), a corner a distinct probability."""

    false_positive_rate: Floats
    true_positive_rate: Floats


def auroc(truth: ArrayLike, probability: ArrayLike) -> float | None:
    """Return the area under the ROC: the part of (abnormal, normal) pairs in order, ties half."""
    abnormal = np.asarray(truth, dtype=bool)
    once = np.ones((1, len(abnormal)), dtype=np.int64)
    area = float(_Ranking(abnormal, np.asarray(probability, dtype=np.float64)).areas(once)[0])
    return None if np.isnan(area) else area


def bootstrap_auroc(
    truth: ArrayLike,
    probability: ArrayLike,
    patient: ArrayLike,
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> Bootstrapped | None:
    """Return the AUROC with its interval.

    Patients are drawn with replacement, each with all of their studies, for the
    studies of a patient are not independent (Efron and Tibshirani 1993, sections
    8.4 and 13.3).
    """
    value = auroc(truth, probability)
    if value is None:
        return None
    ranking = _Ranking(np.asarray(truth, dtype=bool), np.asarray(probability, dtype=np.float64))
    areas = [ranking.areas(weights) for weights in _resamples(patient, seed, replicates)]
    return _bootstrapped(value, np.concatenate([np.empty(0), *areas]))


def bootstrap_difference(
    truth: ArrayLike,
    probability: ArrayLike,
    other: ArrayLike,
    patient: ArrayLike,
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> Bootstrapped | None:
    """Return the AUROC of *probability* less that of *other*, both over the same draws of patients."""
    values = auroc(truth, probability), auroc(truth, other)
    if values[0] is None or values[1] is None:
        return None
    abnormal = np.asarray(truth, dtype=bool)
    one = _Ranking(abnormal, np.asarray(probability, dtype=np.float64))
    two = _Ranking(abnormal, np.asarray(other, dtype=np.float64))
    differences = [
        one.areas(weights) - two.areas(weights) for weights in _resamples(patient, seed, replicates)
    ]
    return _bootstrapped(values[0] - values[1], np.concatenate([np.empty(0), *differences]))


def calibration(
    truth: ArrayLike, probability: ArrayLike, *, bins: int = BINS
) -> Calibration | None:
    """Return the reliability of the probabilities in bins of equal width, and its error.

    ECE is the mean over the bins, weighted by their studies, of |part abnormal -
    mean probability| (Guo et al. 2017, section 2, with the probability of the
    positive class in the place of the confidence, for there are two classes alone).
    """
    abnormal = np.asarray(truth, dtype=bool)
    values = np.asarray(probability, dtype=np.float64)
    if not len(values):
        return None
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    means = np.bincount(place, values, bins) / np.maximum(counts, 1)
    parts = np.bincount(place, abnormal, bins) / np.maximum(counts, 1)
    return Calibration(
        ece=float(np.sum(counts * np.abs(parts - means)) / len(values)),
        bins=tuple(
            Bin(
                low=float(edges[k]),
                high=float(edges[k + 1]),
                count=int(counts[k]),
                probability=float(means[k]) if counts[k] else None,
                abnormal=float(parts[k]) if counts[k] else None,
            )
            for k in range(bins)
        ),
    )


def roc(truth: ArrayLike, probability: ArrayLike) -> Curve | None:
    """Return the corners of the ROC; None where a class is missing."""
    abnormal = np.asarray(truth, dtype=bool)
    values = np.asarray(probability, dtype=np.float64)
    if not abnormal.any() or abnormal.all():
        return None
    falling = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[falling])), len(values) - 1)
    hits = np.cumsum(abnormal[falling])[last]
    alarms = last + 1 - hits
    return Curve(
        false_positive_rate=np.append(0, alarms / alarms[-1]),
        true_positive_rate=np.append(0, hits / hits[-1]),
    )


class _Ranking:
    """Studies in the order of their probability, to be weighted in many ways at once."""

    def __init__(self, abnormal: NDArray[np.bool_], probability: Floats) -> None:
        self._order = np.argsort(probability, kind="stable")
        rising = probability[self._order]
        self._abnormal = abnormal[self._order]
        # Where each run of equal probabilities begins.
        self._starts = np.flatnonzero(np.append(True, np.diff(rising) != 0)[: len(rising)])

    def areas(self, weights: Counts) -> Floats:
        """Return the AUROC of each replicate, (R,); nan where it lacks a class.

        *weights*, (R, n): how often each study stands in each replicate.
        """
        if not len(self._order):
            return np.full(len(weights), np.nan)
        sorted_ = weights[:, self._order]
        positive = np.add.reduceat(sorted_ * self._abnormal, self._starts, axis=1)
        negative = np.add.reduceat(sorted_ * ~self._abnormal, self._starts, axis=1)
        below = np.cumsum(negative, axis=1)
        # Twice the ordered pairs, so that a tie's half stays a whole number.
        pairs = np.sum(positive * (2 * below - negative), axis=1)
        total = 2 * positive.sum(axis=1) * below[:, -1]
        with np.errstate(invalid="ignore"):
            areas: Floats = pairs / total
        return areas


def _resamples(patient: ArrayLike, seed: int, replicates: int) -> Iterator[Counts]:
    """Yield blocks of replicates, (R, n): how often each study stands in each of them."""
    names, place = np.unique(np.asarray(patient), return_inverse=True)
    patients = len(names)
    generator = np.random.default_rng(seed)
    block = max(1, WORK // max(1, len(place)))
    for start in range(0, replicates, block):
        rows = min(block, replicates - start)
        draws = generator.integers(patients, size=(rows, patients))
        draws += np.arange(rows)[:, None] * patients
        times = np.bincount(draws.ravel(), minlength=rows * patients).reshape(rows, patients)
        yield times[:, place]


def _bootstrapped(value: float, replicates: NDArray[Any]) -> Bootstrapped:
    valid = replicates[~np.isnan(replicates)]
    interval = None
    if len(valid):
        low, high = np.quantile(valid, [0.025, 0.975])
        interval = Interval(float(low), float(high))
    return Bootstrapped(
        value=value,
        interval=interval,
        replicates=len(valid),
        left_out=len(replicates) - len(valid),
    )
