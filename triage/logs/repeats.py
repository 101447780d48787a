"""The same error again and again is one line a minute, so that no sender fills the journal."""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EVERY = 60.0  # seconds between two lines of the same error
KINDS = 1000  # different errors that are remembered, those of most recent first

# What differs between two occurrences of the same error; every other field tells errors apart.
_VARYING = frozenset({"timestamp", "exc_info", "sop_instance_uid", "views", "suppressed"})
# Of these a peer chooses the rest, so that by varying it one would write a line a connection.
_PEERS = {"association_refused", "association_dropped"}
_OF_A_PEER = ("event", "check", "address")
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
    more than a count or the object that met it, or in what a peer says of itself
    that was turned away. Any thread may log.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, kinds: int = KINDS) -> None:
        super().__init__()
        self._clock = clock
        self._kinds = kinds
        self._lock = threading.Lock()
        self._told: dict[Kind, _Told] = {}  # in the order of their last occurrence

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
            self._told[kind] = _Told(now)
            if len(self._told) > self._kinds:
                del self._told[next(iter(self._told))]
        if told is not None and told.suppressed:
            _add(record, told.suppressed)
        return True


def _add(record: logging.LogRecord, suppressed: int) -> None:
    if isinstance(record.msg, dict):
        record.msg = {**record.msg, "suppressed": suppressed}
    else:
        record.suppressed = suppressed


def _kind(record: logging.LogRecord) -> Kind:
    """Return what two records have in common that tell the same."""
    if isinstance(record.msg, dict):
        fields = record.msg
        if fields.get("event") in _PEERS:
            return tuple(fields.get(key) for key in _OF_A_PEER)
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
