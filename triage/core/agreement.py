"""How far two readers of the same studies agree, and how far one is right, from counts alone.

A reader is a person or a model; each says normal or abnormal of every study.
What cannot be computed is None, never a number that looks like one: kappa where
both readers give one and the same answer throughout, sensitivity where nothing
is abnormal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

# Of the two-sided 95 % interval: the figure that McHugh writes, and the quantile that it rounds.
MCHUGH_Z = 1.96
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float

    def apart_from(self, other: "Interval") -> bool:
        """Say whether the two have no point in common."""
        return self.high < other.low or other.high < self.low


@dataclass(frozen=True, kw_only=True)
class Kappa:
    """Cohen's kappa, -1 to 1; 0 is what chance alone would give."""

    value: float
    standard_error: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """A part of a whole, 0 to 1, with Wilson's interval."""

    value: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts of studies by truth and by what a reader says; positive is abnormal."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def total(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def abnormal(self) -> int:
        """Those that are abnormal in truth."""
        return self.tp + self.fn

    @property
    def normal(self) -> int:
        """Those that are normal in truth."""
        return self.fp + self.tn

    @property
    def sensitivity(self) -> Proportion | None:
        """The part of the abnormal studies that the reader calls abnormal."""
        return proportion(self.tp, self.abnormal)

    @property
    def specificity(self) -> Proportion | None:
        """The part of the normal studies that the reader calls normal."""
        return proportion(self.tn, self.normal)

    @property
    def kappa(self) -> Kappa | None:
        """Agreement beyond chance (Cohen 1960), its interval by McHugh's standard error.

        SE = sqrt(p_o (1 - p_o) / (n (1 - p_e)^2)) and kappa -+ 1.96 SE, cut off at
        -1 and 1 (McHugh 2012, "Interrater reliability: the kappa statistic"). Where the two agree
        on every study, or on none, that error is 0, however few they are: the interval is then
        Wilson's of the observed agreement, with the agreement by chance as it was found.
        """
        n = self.total
        said_abnormal, said_normal = self.tp + self.fp, self.fn + self.tn
        by_chance = self.abnormal * said_abnormal + self.normal * said_normal  # of n * n
        if by_chance == n * n:  # one answer throughout, or no study at all
            return None
        expected = by_chance / n**2
        observed = (self.tp + self.tn) / n
        value = (observed - expected) / (1 - expected)
        error = sqrt(observed * (1 - observed) / n) / (1 - expected)
        low, high = value - MCHUGH_Z * error, value + MCHUGH_Z * error
        if error == 0 and (found := proportion(self.tp + self.tn, n)):
            low, high = (
                (bound - expected) / (1 - expected)
                for bound in (found.interval.low, found.interval.high)
            )
        return Kappa(
            value=value, standard_error=error, interval=Interval(max(-1.0, low), min(1.0, high))
        )


def confusion(truth: Iterable[bool], said: Iterable[bool]) -> Confusion:
    """Count a reader's answers against the truth, study by study; both of one length."""
    pairs = [(bool(true), bool(claim)) for true, claim in zip(truth, said, strict=True)]
    return Confusion(
        tp=pairs.count((True, True)),
        fp=pairs.count((False, True)),
        fn=pairs.count((True, False)),
        tn=pairs.count((False, False)),
    )


def proportion(successes: int, total: int) -> Proportion | None:
    """Return the proportion with Wilson's interval (Wilson 1927); None of nothing."""
    if total == 0:
        return None
    value = successes / total
    spread = Z * Z / total
    centre = (value + spread / 2) / (1 + spread)
    reach = sqrt(value * (1 - value) * spread + spread * spread / 4) / (1 + spread)
    # At the ends the bound is 0 or 1 exactly; rounding must not say otherwise.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == total else centre + reach
    return Proportion(value=value, interval=Interval(low, high))


def majority(votes: Sequence[bool]) -> bool:
    """Return what most say; raises ValueError for an even number of votes, which may tie."""
    if len(votes) % 2 == 0:
        raise ValueError(f"{len(votes)} votes may tie; give an odd number")
    return 2 * sum(votes) > len(votes)
