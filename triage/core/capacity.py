"""What a machine carries: the rates of its stages, and the one that sets the limit."""

from collections.abc import Mapping
from dataclasses import dataclass

VIEWS_OF_A_STUDY = 3  # MURA has 40,561 images in 14,863 studies (Rajpurkar et al. 2017, section 2)
HOUR = 3600


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How much a machine carries, and why not more."""

    studies_per_hour: float
    limit: str  # the stage that is the slowest by itself
    sentence: str  # both, for people


def capacity(together: float, stages: Mapping[str, float]) -> Capacity:
    """Judge from views a second: of everything *together*, and of each of the *stages* alone.

    Raises ValueError without a stage.
    """
    limit = min(stages, key=lambda stage: stages[stage])
    studies = together * HOUR / VIEWS_OF_A_STUDY
    others = [
        f"{stage} {_rounded(stages[stage])}"
        for stage in sorted(stages, key=lambda one: stages[one])
    ]
    return Capacity(
        studies_per_hour=studies,
        limit=limit,
        sentence=(
            f"about {_rounded(studies)} studies of {VIEWS_OF_A_STUDY} views an hour; the limit is "
            f"{limit} (views a second, each stage alone: {', '.join(others)})"
        ),
    )


def _rounded(value: float) -> str:
    """Write two significant digits: more was not measured."""
    return f"{float(f'{value:.2g}'):,.10g}"
