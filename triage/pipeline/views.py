"""From stored pixels to probabilities and maps, the same way in the daemon and without one."""

import math
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from triage import logs
from triage.core.activation import CoarseMap
from triage.core.reasons import Code, reason
from triage.core.studytype import StudyType
from triage.errors import ModelUnusable, ScorerBroken
from triage.model.cam import pack
from triage.model.preprocess import Prepared, normalise
from triage.pipeline.wire import Kind, Request, Unread

if TYPE_CHECKING:  # torch takes seconds to import; a process without a model never pays them
    from triage.model.scorer import Scorer

log = logs.get(__name__)

T = TypeVar("T")

PATIENCE = 0.2  # seconds that a decoded view waits for others, to pass the network with them


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where one view comes from."""

    study_type: StudyType | None
    path: Path
    frame: int = 1
    kind: Kind = Kind.DICOM


class Decodes(Protocol):
    """What turns files into pictures; `triage.pipeline.decoders.Decoders` does."""

    def put(self, task: int, request: Request) -> None:
        """Have a view decoded."""

    def collect(self, seconds: float, wake: int | None = None) -> list[tuple[int, bytes | Unread]]:
        """Return the pictures, (side, side) uint8, or why there are none; by their numbers."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What scoring one view came to: a probability and its map, or why there is none."""

    probability: float | None = None
    map: CoarseMap | None = None
    threshold: float | None = None
    model: str | None = None
    reason: str | None = None
    final: bool = False  # trying again would change nothing


class Views(Generic[T]):
    """Views on their way through decoder and network; *T* is what the caller knows one by.

    They leave as they are decoded: one that takes long keeps no other waiting,
    and one that fails takes no other with it.
    """

    def __init__(self, scorer: "Scorer", decoders: Decodes) -> None:
        self._scorer = scorer
        self._decoders = decoders
        self._numbers = count()
        self._decoding: dict[int, tuple[T, Source]] = {}
        self._judged: list[tuple[T, Verdict]] = []

    def __len__(self) -> int:
        """Return how many are on their way."""
        return len(self._decoding) + len(self._judged)

    def put(self, item: T, source: Source) -> None:
        """Send a view on its way."""
        model = self._scorer.ensemble
        if source.study_type is not None and source.study_type not in model.accepted:
            sentence = f"the model {model.identity} does not accept {source.study_type} studies"
            why = reason(Code.NOT_ACCEPTED_BY_MODEL, sentence)
            self._judged.append((item, Verdict(reason=why, final=True)))
            return
        number = next(self._numbers)
        self._decoding[number] = item, source
        request = Request(
            path=str(source.path),
            frame=source.frame,
            kind=source.kind,
            side=model.preprocessing.size,
            resize=model.preprocessing.resize,
        )
        self._decoders.put(number, request)

    def take(self, seconds: float, wake: int | None = None) -> list[tuple[T, Verdict]]:
        """Return views that are through, after *seconds* or so even if there are none.

        Also when the file descriptor *wake* can be read. Raises ScorerBroken when
        it is the network that fails, whatever the view.
        """
        judged, self._judged = self._judged, []
        images: list[tuple[T, Source, Prepared]] = []
        until = math.inf
        while self._decoding and time.monotonic() < until:
            outcomes = self._decoders.collect(PATIENCE if images else seconds, wake)
            for number, outcome in outcomes:
                item, source = self._decoding.pop(number)
                if isinstance(outcome, Unread):
                    judged.append((item, Verdict(reason=outcome.reason, final=outcome.final)))
                else:
                    images.append((item, source, self._prepared(outcome)))
            if not outcomes:
                break
            until = min(until, time.monotonic() + PATIENCE)
        return judged + self._score(images) if images else judged

    def _prepared(self, picture: bytes) -> Prepared:
        preprocessing = self._scorer.ensemble.preprocessing
        scaled = np.frombuffer(picture, np.uint8).reshape(preprocessing.size, preprocessing.size)
        return normalise(scaled, preprocessing)

    def _score(self, images: list[tuple[T, Source, Prepared]]) -> list[tuple[T, Verdict]]:
        scorer, model = self._scorer, self._scorer.ensemble
        try:
            found = scorer.explain([image for _, _, image in images])
        except (ModelUnusable, RuntimeError) as error:  # torch: out of memory, a lost device
            if not scorer.works():
                raise ScorerBroken(
                    f"the network on {scorer.device} has stopped working: {error}"
                ) from error
            log.error("scoring_failed", reason=str(error), views=len(images))
            why = reason(Code.SCORING_FAILED, "the network failed on this view; see the log")
            return [(item, Verdict(reason=why)) for item, _, _ in images]
        return [
            (
                item,
                Verdict(
                    probability=scored.probability,
                    map=pack(scored.map, model.preprocessing.size, model.preprocessing.resize),
                    threshold=model.threshold_for(source.study_type),
                    model=model.identity,
                ),
            )
            for (item, source, _), scored in zip(images, found, strict=True)
        ]
