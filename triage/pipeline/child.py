"""A process of our own beside the daemon: told its settings, and started again when it ends.

The connection to it is its life line: it ends by itself when that does, and whatever the two say
to each other goes over it.
"""

import contextlib
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from triage.settings import Settings

BACKOFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each start, of those that failed
HEALTHY = 60.0  # seconds of life after which an end counts as the first
STOP_WAIT = 10.0  # seconds for what it has in hand


class Child:
    """One such process; there is at most one of it at a time."""

    def __init__(self, module: str, settings: Settings) -> None:
        """Prepare to run ``python -m MODULE CONNECTION ...``, descriptors' numbers."""
        self._module = module
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._failures = 0
        self._start_at = self._started = 0.0
        self.connection: socket.socket | None = None  # our end

    @property
    def pid(self) -> int | None:
        """The process that is there, ended or not; None while there is none."""
        return self._process.pid if self._process else None

    @property
    def is_due(self) -> bool:
        """Whether there is none, and the pause before the next start is over."""
        return self._process is None and time.monotonic() >= self._start_at

    def start(self, inherits: Sequence[socket.socket] = ()) -> int:
        """Start it, with other sockets that it *inherits*; return its process id.

        Raises OSError where no process, memory or descriptor is to be had; then a pause begins.
        """
        try:
            ours, theirs = socket.socketpair()
            with theirs:
                descriptors = [each.fileno() for each in (theirs, *inherits)]
                try:
                    process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                        [sys.executable, "-m", self._module, *map(str, descriptors)],
                        pass_fds=descriptors,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                    )
                except OSError:
                    ours.close()
                    raise
        except OSError:
            self.pause()
            raise
        request = {
            "settings": self._settings.model_dump(mode="json"),
            "log_level": logging.getLevelName(logging.getLogger().level).lower(),
        }
        with contextlib.suppress(OSError):  # it has ended already, and is found so
            ours.sendall(json.dumps(request).encode() + b"\n")
        self._process, self.connection = process, ours
        self._started = time.monotonic()
        return process.pid

    def poll(self) -> int | None:
        """Return the exit status of one that has ended."""
        return self._process.poll() if self._process else None

    def kill(self) -> None:
        """End it at once: it does not come back."""
        if self._process is not None:
            self._process.kill()

    def bury(self) -> None:
        """Forget one that has ended; the next starts after a pause, the longer the more there were."""
        if self.connection is not None:
            self.connection.close()
        self._process = self.connection = None
        if time.monotonic() - self._started > HEALTHY:
            self._failures = 0
        self.pause()

    def pause(self) -> None:
        """Let the next start wait, for one has come to nothing."""
        self._start_at = time.monotonic() + BACKOFF[min(self._failures, len(BACKOFF) - 1)]
        self._failures += 1

    def stop(self) -> None:
        """End it, after what it has in hand."""
        if self.connection is not None:
            self.connection.close()
        if self._process is not None:
            try:
                self._process.wait(timeout=STOP_WAIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
