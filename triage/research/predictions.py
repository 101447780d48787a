"""What a model says of labelled studies, computed as the daemon computes it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from triage.errors import ModelUnusable, ScorerBroken, ViewUnreadable
from triage.model.cores import usable_cores
from triage.model.preprocess import Prepared, read_picture
from triage.research.images import read_ahead
from triage.research.mura import LabelledStudy

if TYPE_CHECKING:  # torch takes seconds to import, and a table of predictions does not need it
    from triage.model.scorer import Scorer

BATCH = 8  # images in one pass of the network
AHEAD = 32  # images that are decoded or being decoded before their turn; bounds the memory


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says of one study."""

    study: LabelledStudy
    views: tuple[float, ...]  # probability of each image that could be read, in their order
    probability: float  # their mean


def predict(
    scorer: "Scorer",
    studies: Sequence[LabelledStudy],
    *,
    progress: Callable[[int], None] = lambda more: None,  # noqa: ARG005
) -> tuple[list[Prediction], list[str]]:
    """Score every study; also return the images that could not be read, a sentence each.

    A study none of whose images can be read has no prediction. Images pass the
    network in batches across studies while threads decode the next ones.
    *progress* is told how many more images are done. Raises ScorerBroken
    when the network stops working.
    """
    images = [(number, path) for number, study in enumerate(studies) for path in study.images]
    views: dict[int, list[float]] = {}
    unreadable: list[str] = []
    decoded = _decoded(scorer, images)
    while batch := list(islice(decoded, BATCH)):
        unreadable += [outcome for _, outcome in batch if isinstance(outcome, str)]
        readable = [(number, image) for number, image in batch if not isinstance(image, str)]
        probabilities = _scored(scorer, [image for _, image in readable])
        for (number, _), probability in zip(readable, probabilities, strict=True):
            views.setdefault(number, []).append(probability)
        progress(len(batch))
    return [
        Prediction(
            study=studies[number], views=tuple(probabilities), probability=fmean(probabilities)
        )
        for number, probabilities in sorted(views.items())
    ], unreadable


Outcome = tuple[int, Prepared | str]  # the study's number; its image, or why there is none


def _decoded(scorer: "Scorer", images: Sequence[tuple[int, Path]]) -> Iterator[Outcome]:
    """Yield the images in their order, some of them decoded ahead."""

    def decode(image: tuple[int, Path]) -> Outcome:
        number, path = image
        try:
            return number, scorer.prepare(read_picture(path))
        except ViewUnreadable as error:
            return number, str(error)

    return read_ahead(decode, images, workers=usable_cores(), ahead=AHEAD)


def _scored(scorer: "Scorer", images: Sequence[Prepared]) -> list[float]:
    if not images:
        return []
    try:
        return scorer.score(images)
    except ModelUnusable:
        raise
    except RuntimeError as error:  # torch: out of memory, a lost device
        raise ScorerBroken(
            f"the network on {scorer.device} has stopped working: {error}; "
            "try model.device=cpu, which TRIAGE_MODEL__DEVICE in the environment sets"
        ) from error
