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
    slowest_per_hour: float | None  # studies, of what is the slowest to decode
    sentence: str  # all of it, for people


@dataclass(frozen=True, kw_only=True)
class Slower:
    """A transfer syntax that takes longer to decode than what was sent."""

    name: str
    per_second: float  # views, decoding alone


def capacity(
    together: float, stages: Mapping[str, float], *, sent: str, slowest: Slower | None = None
) -> Capacity:
    """Judge from views a second: of everything *together*, and of each of the *stages* alone.

    *sent* says in words what a view was. Of what is the *slowest* to decode each view takes as
    much longer as its decoding does: on a processor, where one stage waits for the other's
    cores, that is what is left; with a GPU it may be more. Raises ValueError without a stage.
    """
    limit = min(stages, key=lambda stage: stages[stage])
    studies = together * HOUR / VIEWS_OF_A_STUDY
    others = [
        f"{stage} {_rounded(stages[stage])}"
        for stage in sorted(stages, key=lambda one: stages[one])
    ]
    sentence = (
        f"about {_rounded(studies)} studies of {VIEWS_OF_A_STUDY} views ({sent}) an hour; the "
        f"limit is {limit} (views a second, each stage alone: {', '.join(others)})"
    )
    left = None
    if slowest is not None and slowest.per_second < stages.get("decoding", 0):
        longer = 1 / slowest.per_second - 1 / stages["decoding"]  # seconds a view
        left = HOUR / VIEWS_OF_A_STUDY / (1 / together + longer)
        sentence += f"; of {slowest.name}, the slowest to decode, about {_rounded(left)}"
    return Capacity(studies_per_hour=studies, limit=limit, slowest_per_hour=left, sentence=sentence)


def _rounded(value: float) -> str:
    """Write two significant digits: more was not measured."""
    return f"{float(f'{value:.2g}'):,.10g}"
