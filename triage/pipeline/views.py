"""From stored pixels to probabilities and maps, the same way in the daemon and without one."""

import contextlib
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
from triage.pipeline.wire import Kind, Picture, Request, Unread

if TYPE_CHECKING:  # torch takes seconds to import; a process without a model never pays them
    from triage.model.inference import Scored
    from triage.model.scorer import Scorer

log = logs.get(__name__)

T = TypeVar("T")

# Seconds that a decoded view waits at most for others, to pass a network that is free with them.
PATIENCE = 0.02
# Seconds after which a pass is waited for in silence: whoever watches over this process hears no
# heartbeat then, and ends it if it lasts. A pass takes 0.1.
LONG = 30.0
# What the network fails with: no finite number; memory, a lost device.
_FAILURES = (ModelUnusable, RuntimeError)


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

    def collect(
        self, seconds: float, wakes: Sequence[int] = ()
    ) -> list[tuple[int, Picture | Unread]]:
        """Return the pictures, or why there are none; by their numbers."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What scoring one view came to: a probability and its map, or why there is none."""

    probability: float | None = None
    map: CoarseMap | None = None
    threshold: float | None = None
    model: str | None = None
    reason: str | None = None
    final: bool = False  # trying again would change nothing


@dataclass(frozen=True)
class _Decoded(Generic[T]):
    item: T
    source: Source
    picture: bytes  # (side, side) uint8
    at: float  # monotonic time


class Views(Generic[T]):
    """Views on their way through decoder and network; *T* is what the caller knows one by.

    They leave as they are decoded: one that takes long keeps no other waiting,
    and one that fails takes no other with it. The network runs in a thread of its
    own, so that decoders never wait for it: what they finish meanwhile passes next.
    """

    def __init__(self, scorer: "Scorer", decoders: Decodes) -> None:
        self._scorer = scorer
        self._decoders = decoders
        self.batch = scorer.batch  # views that pass the network together at most
        self._numbers = count()
        self._decoding: dict[int, tuple[T, Source]] = {}
        self._decoded: list[_Decoded[T]] = []
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._passing: tuple[list[_Decoded[T]], Future[list[Scored | None]]] | None = None
        self._began = 0.0  # when the pass that goes on began
        self._passed = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)  # set when a pass is over
        self._judged: list[tuple[T, Verdict]] = []

    def __len__(self) -> int:
        """Return how many are on their way."""
        passing = self._passing[0] if self._passing else []
        return len(self._decoding) + len(self._decoded) + len(passing) + len(self._judged)

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
        until = time.monotonic() + seconds
        wakes = [self._passed] if wake is None else [self._passed, wake]
        going_on = True
        while going_on and len(self) > len(self._judged) == 0:
            now = time.monotonic()
            outcomes = self._decoders.collect(max(0.0, min(until, self._due()) - now), wakes)
            self._sort(outcomes)
            with contextlib.suppress(BlockingIOError):  # before we look whether it is through
                os.eventfd_read(self._passed)
            moved = self._end_pass() | self._begin_pass()
            going_on = bool(outcomes) or moved
        judged, self._judged = self._judged, []
        return judged

    def _sort(self, outcomes: list[tuple[int, Picture | Unread]]) -> None:
        now = time.monotonic()
        for number, outcome in outcomes:
            item, source = self._decoding.pop(number)
            if isinstance(outcome, Unread):
                self._judged.append((item, Verdict(reason=outcome.reason, final=outcome.final)))
            else:
                self._decoded.append(_Decoded(item, source, outcome.pixels, now))

    def _due(self) -> float:
        """Return when the next pass is to begin, if none is going on."""
        if self._passing or not self._decoded:
            return math.inf
        alone = not self._decoding  # nobody is to be waited for
        full = len(self._decoded) >= self.batch
        return 0.0 if alone or full else self._decoded[0].at + PATIENCE

    def _begin_pass(self) -> bool:
        """Send decoded views through the network, if it is time; say whether it was."""
        if time.monotonic() < self._due():
            return False
        batch = self._decoded[: self.batch]
        del self._decoded[: len(batch)]
        future = self._network.submit(self._explain, [each.picture for each in batch])
        self._passing = batch, future
        self._began = time.monotonic()
        future.add_done_callback(lambda _: os.eventfd_write(self._passed, 1))
        return True

    def _explain(self, pictures: list[bytes]) -> "list[Scored | None]":
        """Run in the network's thread; None is for a view that it failed on, beside others."""
        preprocessing = self._scorer.ensemble.preprocessing
        shape = preprocessing.size, preprocessing.size
        prepared = [
            normalise(np.frombuffer(picture, np.uint8).reshape(shape), preprocessing)
            for picture in pictures
        ]
        try:
            return [*self._scorer.explain(prepared)]
        except _FAILURES as error:
            found = [self._alone(each) for each in prepared] if len(prepared) > 1 else []
            if not any(found):
                raise
            log.error("scoring_failed", reason=str(error), views=found.count(None))
            return found

    def _alone(self, view: Prepared) -> "Scored | None":
        try:
            (found,) = self._scorer.explain([view])
        except _FAILURES:
            return None
        return found

    def _end_pass(self) -> bool:
        """Take in what the network gave, if it is through; say whether it was."""
        if self._passing is None:
            return False
        if not self._passing[1].done():
            if time.monotonic() - self._began < LONG:
                return False
            wait([self._passing[1]])
        (batch, future), self._passing = self._passing, None
        self._judged += self._judge(batch, future)
        return True

    def _judge(
        self, batch: list[_Decoded[T]], future: "Future[list[Scored | None]]"
    ) -> list[tuple[T, Verdict]]:
        scorer, model = self._scorer, self._scorer.ensemble
        try:
            found = future.result()
        except _FAILURES as error:
            if not scorer.works():
                raise ScorerBroken(
                    f"the network on {scorer.device} has stopped working: {error}"
                ) from error
            log.error("scoring_failed", reason=str(error), views=len(batch))
            found = [None] * len(batch)
        why = reason(Code.SCORING_FAILED, "the network failed on this view; see the log")
        return [
            (
                each.item,
                Verdict(reason=why)
                if scored is None
                else Verdict(
                    probability=scored.probability,
                    map=pack(scored.map, model.preprocessing.size, model.preprocessing.resize),
                    threshold=model.threshold_for(each.source.study_type),
                    model=model.identity,
                ),
            )
            for each, scored in zip(batch, found, strict=True)
        ]
