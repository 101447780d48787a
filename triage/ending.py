"""The signals that end a process: for a main thread that waits for them, and for one that works."""

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Ending:
    """Hears that the process is to end, at whatever moment that is said.

    Not by a `threading.Event` that the handler sets: Python runs the handler when the main
    thread next looks for it, and one that has just looked and now blocks looks no more; one
    that holds the event's lock just then waits for itself. The interpreter's own handler
    writes a byte at once, and that ends a read.
    """

    def __init__(self) -> None:
        """Listen from now on; of the main thread alone."""
        self._heard, self._told = socket.socketpair()
        self._told.setblocking(False)
        signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)

    def wait(self) -> None:
        """Return once it was said, also if that was before."""
        self._heard.recv(1)


@contextmanager
def orderly() -> Iterator[None]:
    """Let a kill and a closed terminal end what is inside as Ctrl-C does, so that it cleans up.

    SIGTERM and SIGHUP become SystemExit with a shell's status, 128 and the number. One that is
    ignored stays so (nohup). Of the main thread alone.
    """
    former = {
        number: signal.signal(number, _exit)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the end wait until what is inside is done; then it comes.

    For what must be whole or not at all: a process that was started and that nobody knows yet is
    stopped by nobody. Of the main thread alone.
    """
    said: list[int] = []
    former = {
        number: handler
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        if callable(handler := signal.getsignal(number))
    }
    for number in former:
        signal.signal(number, lambda number, _frame: said.append(number))
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if said:
        signal.raise_signal(said[0])


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
