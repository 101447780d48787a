"""The same error again and again is one line a minute, so that no sender fills the journal."""

import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EVERY = 60.0  # seconds between two lines of the same error
KINDS = 1000  # different errors that are remembered, those of most recent first

# What differs between two occurrences of the same error; every other field tells errors apart.
_VARYING = frozenset({"timestamp", "exc_info", "sop_instance_uid", "views", "suppressed"})
# Of these a peer chooses some of the rest, so that by varying it one would write a line a
# connection: so many different ones a minute are told of each check and address.
_PEERS = {"association_refused", "association_dropped", "request_refused"}
_OF_A_PEER = ("event", "check", "address")
OF_A_PEER = 10
# A count or size in a sentence, and no part of an address, a version, a UID or a name.
_COUNT = re.compile(r"(?<![\w.:-])\d+(?![\w.:-]*\w)")

Kind = tuple[object, ...]


@dataclass
class _Told:
    at: float  # when its last line was let through, on the monotonic clock
    suppressed: int = 0  # lines since then


class Repeats(logging.Filter):
    """Lets an error through once a minute, with the number of those that were held back.

    Nothing below warning is held back, and no error that differs from another in
    more than a count or the object that met it. Of a peer that was turned away, errors
    differ by what would mend them, OF_A_PEER a minute. Any thread may log.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, kinds: int = KINDS) -> None:
        super().__init__()
        self._clock = clock
        self._kinds = kinds
        self._lock = threading.Lock()
        self._told: dict[Kind, _Told] = {}  # in the order of their last occurrence
        self._peers: dict[Kind, deque[float]] = {}  # when lines of a check and address were told

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record is to be logged."""
        if record.levelno < logging.WARNING:
            return True
        kind = _kind(record)
        with self._lock:
            now = self._clock()
            told = self._told.pop(kind, None)
            if told is not None and now - told.at < EVERY:
                told.suppressed += 1
                self._told[kind] = told
                return False
            if not self._peer_may(record, now):
                told = told or _Told(now)
                told.suppressed += 1
                self._told[kind] = told
                return False
            self._told[kind] = _Told(now)
            if len(self._told) > self._kinds:
                del self._told[next(iter(self._told))]
        if told is not None and told.suppressed:
            _add(record, told.suppressed)
        return True

    def _peer_may(self, record: logging.LogRecord, now: float) -> bool:
        """Say whether there is room for another line of this check and address."""
        peer = _peer(record)
        if peer is None:
            return True
        lines = self._peers.pop(peer, deque())
        while lines and now - lines[0] >= EVERY:
            lines.popleft()
        self._peers[peer] = lines
        if len(self._peers) > self._kinds:
            del self._peers[next(iter(self._peers))]
        if len(lines) >= OF_A_PEER:
            return False
        lines.append(now)
        return True


def _peer(record: logging.LogRecord) -> Kind | None:
    if isinstance(record.msg, dict) and record.msg.get("event") in _PEERS:
        return tuple(record.msg.get(key) for key in _OF_A_PEER)
    return None


def _add(record: logging.LogRecord, suppressed: int) -> None:
    if isinstance(record.msg, dict):
        record.msg = {**record.msg, "suppressed": suppressed}
    else:
        record.suppressed = suppressed


def _kind(record: logging.LogRecord) -> Kind:
    """Return what two records have in common that tell the same."""
    if isinstance(record.msg, dict):
        fields = record.msg
        if (peer := _peer(record)) is not None:  # what mends it tells two refusals apart
            return (*peer, fields.get("action"))
        told = tuple(
            (key, _COUNT.sub("#", str(value)) if key == "reason" else str(value))
            for key, value in sorted(fields.items())
            if key not in _VARYING
        )
        return (record.name, *told, *_place(fields.get("exc_info")))
    return (
        record.name,
        record.levelno,
        _COUNT.sub("#", record.getMessage()),
        *_place(record.exc_info),
    )


def _place(exc_info: Any) -> Kind:
    """Return the kind of an exception and the line that raised it."""
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if not isinstance(error, BaseException):
        return ()
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    line = (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else ()
    return (type(error).__qualname__, *line)
