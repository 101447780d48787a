"""One decoding process, as the pool of them sees it."""

import math
import os
import signal
import socket
import subprocess
import sys
import time

from triage.pipeline import wire
from triage.pipeline.wire import BadAnswer, Picture, Request, Unread

START_TIME = 60.0  # seconds until a new process must be ready; on an idle machine it takes 0.4
END_TIME = 1.0  # seconds until a killed process is gone; it takes longer where a disk hangs

# NumPy's threads would only take memory; and what a large image took goes back to the system
# (glibc would keep 80 MB after 7 million pixels of JPEG 2000).
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(4 << 20)}

Outcome = Picture | Unread  # of a request


class Lost(Exception):
    """The process can no longer be used; without a message, it has ended by itself."""


class Decoder:
    """The process and our end of the connection to it.

    ``ready`` is whether it has started; ``task`` is the number of the request in
    its hand, ``taken`` whether it has said that it works on it, ``slow`` whether
    it may work on it up to the time limit, ``asked`` since when it has it.
    """

    def __init__(self) -> None:
        """Start it. Raises OSError when the machine has no process, memory or file for it."""
        self.connection, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                    [sys.executable, "-m", "triage.pipeline.decode", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    # The terminal's Ctrl-C is for its parent, even while it starts.
                    process_group=0,
                    env={**os.environ, **ENVIRONMENT},
                )
        except OSError:
            self.connection.close()
            raise
        self.connection.setblocking(False)
        self.pid = self._process.pid
        self.ready = False
        self.task: int | None = None
        self.taken = self.slow = False
        self.asked = 0.0
        self.request: Request | None = None
        self.due = time.monotonic() + START_TIME  # when it must have said what we wait for
        self._limit = START_TIME
        self._heard = bytearray()

    def ask(self, task: int, request: Request, seconds: float) -> bool:
        """Hand it a request to be answered within *seconds*; False when it has died meanwhile."""
        line = request.line()
        try:
            self.connection.send(line)  # far shorter than the socket's buffer, which is empty
        except OSError:
            return False
        self.task, self.request, self.taken = task, request, False
        self.asked, self._limit = time.monotonic(), seconds
        self.due = self.asked + seconds
        return True

    def hear(self) -> Outcome | None:
        """Take in what it says; return its answer once that is whole.

        Raises Lost when it has ended, says what it should not, or is late.
        """
        try:
            self._heard += self._receive()
            answer = self._understand()
        except BadAnswer as error:
            raise Lost("the decoder gave no valid answer") from error
        if answer is None and time.monotonic() >= self.due:
            doing = "decoding" if self.ready else "starting"
            raise Lost(f"{doing} took longer than {self._limit:g} s")
        return answer

    def _receive(self) -> bytes:
        try:
            said = self.connection.recv(1 << 20)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise Lost from error
        if not said:
            raise Lost
        return said

    def _understand(self) -> Outcome | None:
        if not self.ready:
            self.ready = self._hears(wire.READY)
            self.due = math.inf if self.ready else self.due
        if self.request is None:
            if self.ready and self._heard:
                raise BadAnswer
            return None
        self.taken = self.taken or self._hears(wire.TAKEN)
        if not self.taken:
            return None
        answer = wire.parse_answer(self._heard, self.request)
        if answer is not None:
            self.task, self.request, self.due = None, None, math.inf
            self.taken = self.slow = False
            self._heard.clear()
        return answer

    def _hears(self, word: bytes) -> bool:
        """Take the word off what was heard; False when it is not all there yet."""
        start = bytes(self._heard[: len(word)])
        if not word.startswith(start):
            raise BadAnswer
        if start != word:
            return False
        del self._heard[: len(word)]
        return True

    def end(self) -> int:
        """End it and return its status; that of one that has ended by itself is its own."""
        self._process.kill()
        self.connection.close()
        try:
            return self._process.wait(END_TIME)
        except subprocess.TimeoutExpired:  # subprocess reaps it later
            return -signal.SIGKILL
