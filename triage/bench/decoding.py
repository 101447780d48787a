"""Decoding: from an object's file to the network's picture, by transfer syntax."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from triage.bench import objects
from triage.dicom.transcode import transcode
from triage.errors import DecodersUnavailable, TriageError
from triage.pipeline.decoder import Outcome
from triage.pipeline.decoders import Decoders, decoders_here
from triage.pipeline.wire import Kind, Request, Unread

SECONDS = 1.5  # of one measurement, about
POLL = 1.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """One transfer syntax, an image of 2500 x 2000 pixels and 12 bits."""

    uid: str
    name: str  # of the transfer syntax
    bytes: int  # of the object's file
    milliseconds: float | None = None  # of one image in one process
    per_second: float | None = None  # images, by as many processes as the daemon has
    reason: str = ""  # why it could not be measured


def measure(folder: Path, side: int, resize: str) -> Iterator[Decoded]:
    """Decode the large object in each syntax to a picture of *side* pixels; yield each.

    Raises DecodersUnavailable.
    """
    folder.mkdir()
    source = next(iter(objects.write(objects.large_pixels(), folder / "native", 1)))
    with Decoders(1) as one, Decoders(decoders_here()) as all_of_them:
        for decoders in (one, all_of_them):
            if not decoders.ready():
                raise DecodersUnavailable(f"no decoding process starts: {decoders.problem}")
        for made in transcode(source, folder):
            request = Request(
                path=str(made.path), frame=1, kind=Kind.DICOM, side=side, resize=resize
            )
            row = Decoded(uid=made.uid, name=made.name, bytes=made.path.stat().st_size)
            try:
                yield _measured(row, request, one, all_of_them)
            except TriageError as error:
                yield replace(row, reason=str(error))


def _measured(row: Decoded, request: Request, one: Decoders, all_of_them: Decoders) -> Decoded:
    count = max(1, round(SECONDS / _seconds(one, request, 1)))
    together = decoders_here() * count
    return replace(
        row,
        milliseconds=1000 * _seconds(one, request, count) / count,
        per_second=together / _seconds(all_of_them, request, together),
    )


def _seconds(decoders: Decoders, request: Request, count: int) -> float:
    """Return what *count* views take; raises TriageError when one is not decoded."""
    started = time.perf_counter()
    for number in range(count):
        decoders.put(number, request)
    outcomes: list[Outcome] = []
    while len(outcomes) < count:  # to the last one, for the next measurement begins with none
        outcomes += [outcome for _, outcome in decoders.collect(POLL)]
    seconds = time.perf_counter() - started
    for outcome in outcomes:
        if isinstance(outcome, Unread):
            raise TriageError(outcome.sentence)
    return seconds
