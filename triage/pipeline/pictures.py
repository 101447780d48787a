"""Views as pictures for people to see, decoded by processes that may die.

They go through what the scorer's views go through (`triage.pipeline.decode`), so that a reader
sees what the network saw: windowed, turned to black-is-zero, cropped to the exposed field.
"""

import contextlib
import math
import os
import select
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from triage import priority
from triage.errors import DecodersUnavailable, ViewUnreadable
from triage.pipeline.decoders import Decoders
from triage.pipeline.wire import FIT, Kind, Picture, Request, Unread

DECODERS = 2  # one for a slow view, one for all others
MOST = 6000  # pixels, height and width; radiographs of 43 cm have 4300
IDLE = 60.0  # seconds without a request after which the decoders end
POLL = 1.0  # seconds


@dataclass(frozen=True)
class _Wanted:
    number: int
    request: Request
    future: Future[Picture]


class Pictures:
    """Reads views whoever asks, in any thread. Nothing runs before the first is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._coming: deque[_Wanted] = deque()
        self._thread: threading.Thread | None = None
        self._news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closing = False

    def read(self, path: Path, frame: int, side: int) -> Future[Picture]:
        """Have a frame of a DICOM file read, no larger than *side* pixels.

        The future raises ViewUnreadable, or DecodersUnavailable.
        """
        request = Request(path=str(path), frame=frame, kind=Kind.DICOM, side=side, resize=FIT)
        wanted = _Wanted(next(_numbers), request, Future())
        with self._lock:
            self._coming.append(wanted)
            if self._thread is None:
                # It lives as long as the process, as its decoders ask.
                self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
                self._thread.start()
        os.eventfd_write(self._news, 1)
        return wanted.future

    def close(self) -> None:
        """End the decoders; what is still being read fails, and nothing may be asked for again."""
        self._closing = True
        os.eventfd_write(self._news, 1)
        if self._thread is not None:
            self._thread.join()
        os.close(self._news)

    def _run(self) -> None:
        priority.stand_back()  # the decoders too, which it starts
        while not self._closing:
            self._wait(math.inf)
            with Decoders(DECODERS) as decoders:
                while self._serve(decoders) and not self._closing and self._wait(IDLE):
                    pass
        with self._lock:
            _fail((wanted.future for wanted in self._coming), "the daemon ends")

    def _wait(self, seconds: float) -> bool:
        """Wait until somebody asks, or *seconds* are over; say whether somebody has."""
        poll = select.poll()
        poll.register(self._news, select.POLLIN)
        return bool(poll.poll(None if seconds == math.inf else 1000 * seconds))

    def _serve(self, decoders: Decoders) -> bool:
        """Read what is asked for until nothing is; False where no decoder starts for it."""
        reading: dict[int, Future[Picture]] = {}
        while self._take(decoders, reading) or reading:
            if self._closing or not decoders.ready():
                _fail(reading.values(), decoders.problem or "the daemon ends")
                return False
            for number, outcome in decoders.collect(POLL, [self._news]):
                _settle(reading.pop(number), outcome)
        return True

    def _take(self, decoders: Decoders, reading: dict[int, Future[Picture]]) -> bool:
        """Hand over what has been asked for since the last look."""
        with contextlib.suppress(BlockingIOError):  # before we look
            os.eventfd_read(self._news)
        with self._lock:
            coming, self._coming = self._coming, deque()
        for wanted in coming:
            if wanted.future.set_running_or_notify_cancel():
                reading[wanted.number] = wanted.future
                decoders.put(wanted.number, wanted.request)
        return bool(coming)


_numbers = count()


def _fail(futures: Iterable[Future[Picture]], why: str) -> None:
    for future in futures:
        with contextlib.suppress(InvalidStateError):  # who asked does not wait for it any more
            future.set_exception(DecodersUnavailable(f"no decoding process starts: {why}"))


def _settle(future: Future[Picture], outcome: Picture | Unread) -> None:
    if isinstance(outcome, Unread):
        future.set_exception(ViewUnreadable(outcome.code, outcome.sentence))
    else:
        future.set_result(outcome)


class Shelf:
    """What was made last, up to so many bytes; the longest unasked for goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._lock = threading.Lock()
        self._held: OrderedDict[object, bytes] = OrderedDict()

    def get(self, key: object) -> bytes | None:
        """Return what was put there, if it still is."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: object, made: bytes) -> None:
        """Keep it for a while; one that would take half the place is not kept."""
        if 2 * len(made) > self._most:
            return
        with self._lock:
            self._size += len(made) - len(self._held.pop(key, b""))
            self._held[key] = made
            while self._size > self._most:
                _, oldest = self._held.popitem(last=False)
                self._size -= len(oldest)
