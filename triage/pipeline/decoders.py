"""The pool of decoding processes: any of them may die at any moment, for one view at most.

Most views take a moment, and a few take long or hang. Those are told apart by
trying: a view that is not through after SLOW_AFTER is slow. One decoder at a time
works on a slow view, up to DECODE_TIME; the others are there for the rest.
"""

import math
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from triage import logs
from triage.core.reasons import Code
from triage.model.cores import usable_cores
from triage.pipeline.decoder import Decoder, Lost, Outcome
from triage.pipeline.wire import Request, Unread

log = logs.get(__name__)

# Seconds for one view. The slowest honest one, 100 million pixels of JPEG 2000, takes 12 on a
# core of its own; a radiograph of 7 million takes 0.8.
DECODE_TIME = 30.0
# Seconds until a view is slow: no radiograph is that has half a core for itself, and one that is
# all the same is decoded, only later. Whoever comes while a decoder hangs waits this long at
# most, and 0.4 s for a new process.
SLOW_AFTER = 2.0
RETRY_STARTING = 5.0  # seconds until another try when a process could not be started
BEAT = 1.0  # seconds, the longest time between two heartbeats
FEWEST = 2  # one for a slow view, one for all others
MOST = 16  # each takes some 75 MB


def decoders_here() -> int:
    """Return how many a daemon of this machine has: one a core, within bounds."""
    return max(FEWEST, min(usable_cores(), MOST))


class Decoders:
    """Decoding processes, `count` of them, replaced when they end.

    Only the thread that lives as long as this process may use it: the kernel
    ends a decoder with the thread that started it (`decode.confine`).
    """

    def __init__(
        self,
        count: int,
        *,
        beat: Callable[[], None] = lambda: None,
        time_limit: float = DECODE_TIME,
        slow_after: float = SLOW_AFTER,
    ) -> None:
        """Start none yet. *beat* is called about every BEAT seconds while anybody waits."""
        self.count = count
        self._beat = beat
        self._time_limit = time_limit
        self._slow_after = slow_after
        self._decoders: list[Decoder] = []
        self._waiting: deque[tuple[int, Request]] = deque()
        self._slow: deque[tuple[int, Request]] = deque()  # for the one before to be through
        self._done: list[tuple[int, Outcome]] = []
        self._start_at = 0.0
        self.problem = ""  # why the last start failed

    def __enter__(self) -> Self:
        self.tend()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pids(self) -> list[int]:
        """The processes that are there, ready or not."""
        return [decoder.pid for decoder in self._decoders]

    @property
    def slow(self) -> int:
        """How many views are slow, whether they wait or are worked on."""
        return len(self._slow) + self._slow_in_hand()

    def tend(self) -> None:
        """Bury the dead, start what is missing, hand out what waits; without waiting itself."""
        self._listen(0)
        self._work_on()

    def ready(self) -> bool:
        """Say whether a view could be decoded now, once those that are starting have started."""
        self.tend()
        while self._decoders and not any(decoder.ready for decoder in self._decoders):
            self._beat()
            self._listen(BEAT)
        return bool(self._decoders)

    def put(self, task: int, request: Request) -> None:
        """Have a view decoded; `collect` gives what becomes of it under this number.

        A decoder that ends, hangs or talks nonsense costs the view in its hand.
        While none can be started, views wait: none of them is to blame for that.
        """
        self._waiting.append((task, request))

    def collect(self, seconds: float, wakes: Sequence[int] = ()) -> list[tuple[int, Outcome]]:
        """Return what has been done since the last call, as soon as there is anything.

        It is empty when *seconds* (at most BEAT) have passed before that, or when one
        of the file descriptors *wakes* can be read.
        """
        until = time.monotonic() + min(seconds, BEAT)
        over = False
        while not (self._done or over):
            self._beat()
            self._work_on()
            woken = self._listen(until - time.monotonic(), wakes)
            over = woken or time.monotonic() >= until
        self._work_on()  # the decoders go on while our caller is busy with what we return
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """End all processes."""
        while self._decoders:
            self._remove(self._decoders[-1])

    def _work_on(self) -> None:
        while len(self._decoders) < self.count and time.monotonic() >= self._start_at:
            try:
                self._decoders.append(Decoder())
            except OSError as error:
                self._not_started(str(error))
        for decoder in self._decoders:
            slow = bool(self._slow) and not self._slow_in_hand()
            queue = self._slow if slow else self._waiting
            if (
                queue
                and decoder.ready
                and decoder.task is None
                and decoder.ask(*queue[0], self._time_limit)
            ):
                queue.popleft()
                decoder.slow = slow

    def _slow_in_hand(self) -> bool:
        return any(decoder.slow for decoder in self._decoders)

    def _set_slow_aside(self) -> None:
        """Tell the views that have become slow: one may go on, the others wait for it.

        Their decoders are ended; only that stops a codec.
        """
        put_back = False
        for decoder in list(self._decoders):
            if time.monotonic() < self._slow_at(decoder):
                continue
            if not self._slow_in_hand():
                decoder.slow = True
            elif decoder.task is not None and decoder.request is not None:
                self._slow.append((decoder.task, decoder.request))
                log.info("view_is_slow", path=decoder.request.path, frame=decoder.request.frame)
                self._remove(decoder)
                put_back = True
        if put_back:
            # Views that hang come in a row, of one sender or one disk. Who came last goes first
            # now, else it would wait for each of them.
            self._waiting.reverse()

    def _slow_at(self, decoder: Decoder) -> float:
        """Return when the view in its hand becomes slow."""
        fresh = decoder.task is not None and not decoder.slow
        return decoder.asked + self._slow_after if fresh else math.inf

    def _listen(self, seconds: float, wakes: Sequence[int] = ()) -> bool:
        """Hear the decoders, after waiting for one of them or *wakes* for up to *seconds*.

        Returns whether one of *wakes* can be read.
        """
        poll = select.poll()
        for fd in [*(decoder.connection.fileno() for decoder in self._decoders), *wakes]:
            poll.register(fd, select.POLLIN)
        due = min(
            (min(decoder.due, self._slow_at(decoder)) for decoder in self._decoders),
            default=self._start_at,
        )
        wait = max(0.0, min(seconds, due - time.monotonic()))
        readable = {fd for fd, _ in poll.poll(math.ceil(1000 * wait))}
        for decoder in list(self._decoders):
            self._hear(decoder)
        self._set_slow_aside()
        return not readable.isdisjoint(wakes)

    def _hear(self, decoder: Decoder) -> None:
        task, request, was_ready = decoder.task, decoder.request, decoder.ready
        queue = self._slow if decoder.slow else self._waiting
        try:
            outcome = decoder.hear()
        except Lost as lost:
            outcome = self._bury(decoder, str(lost))
            if outcome is None and task is not None and request is not None:
                queue.appendleft((task, request))  # it had not begun
        if decoder.ready and not was_ready:
            self.problem = ""
        if isinstance(outcome, Unread) and outcome.spent:
            self._remove(decoder)
        if outcome is not None and task is not None:
            self._done.append((task, outcome))

    def _bury(self, decoder: Decoder, why: str) -> Unread | None:
        """Remove a decoder that is lost; return what that means for the view in its hand."""
        status = self._remove(decoder)
        how = f"signal {-status}" if status < 0 else f"status {status}"
        if status == -signal.SIGKILL:
            how += ", perhaps for want of memory"
        if not decoder.ready:
            self._not_started(why or f"the process ended as it started ({how})")
            return None
        request = decoder.request if decoder.taken else None
        doing = "while it read this view" if request else "at rest"
        why = why or f"the decoder ended {doing} ({how})"
        log.warning(
            "decoder_ended",
            pid=decoder.pid,
            status=status,
            reason=why,
            path=request.path if request else None,
            frame=request.frame if request else None,
        )
        return Unread(code=Code.UNDECODABLE, sentence=why) if request else None

    def _remove(self, decoder: Decoder) -> int:
        self._decoders.remove(decoder)
        return decoder.end()

    def _not_started(self, why: str) -> None:
        """Leave it for a while; say so once, not at every try."""
        self._start_at = time.monotonic() + RETRY_STARTING
        if why != self.problem:
            self.problem = why
            log.error("decoder_not_started", reason=why)
