"""Keeps the web process alive, and tells it how the daemon is."""

import contextlib
import json
import logging
import socket
import subprocess
import sys
import time

from triage import logs
from triage.settings import Settings
from triage.web.condition import Condition

log = logs.get(__name__)

BACKOFF = (
    0.0,
    1.0,
    2.0,
    5.0,
    10.0,
    30.0,
)  # seconds before each start in a row that came to nothing
HEALTHY = 60.0  # seconds of life after which an end counts as the first
BACKLOG = 128  # connections that wait while the process starts again


class WebProcess:
    """The daemon's side of the web process. `tick` is called about once a second.

    Whatever becomes of it, the daemon goes on: a port that another program has is tried again.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listener: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._failures = 0
        self._start_at = self._started = 0.0

    @property
    def port(self) -> int | None:
        """The port that is listened on; None where it could not be had yet."""
        return self._listener.getsockname()[1] if self._listener else None

    def tick(self, condition: Condition) -> None:
        """Start the process if it is time, tell it how the daemon is, notice its end."""
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self._start()
            return
        if (status := self._process.poll()) is not None:
            self._bury(status)
        elif self._line is not None:
            # It is busy and has our last word in its buffer; or it has just ended.
            with contextlib.suppress(OSError):
                self._line.send(condition.line(), socket.MSG_DONTWAIT)

    def stop(self) -> None:
        """End the process, and give the port back."""
        if self._line is not None:
            self._line.close()  # it ends by itself after the answers in hand
        if self._process is not None:
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._listener is not None:
            self._listener.close()

    def _start(self) -> None:
        try:
            listener = self._listen()
        except OSError as error:
            self._fail()
            web = self._settings.web
            log.error(
                "web_unavailable",
                reason=f"web.host={web.host}, web.port={web.port}: {error.strerror or error}; "
                "another program has the port, or the address is not this machine's",
            )
            return
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [
                    *(sys.executable, "-m", "triage.web.serve"),
                    *(str(theirs.fileno()), str(listener.fileno())),
                ],
                pass_fds=[theirs.fileno(), listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        request = {
            "settings": self._settings.model_dump(mode="json"),
            "log_level": logging.getLevelName(logging.getLogger().level).lower(),
        }
        ours.sendall(json.dumps(request).encode() + b"\n")
        self._line = ours
        self._started = time.monotonic()
        log.info("web_started", pid=self._process.pid)

    def _listen(self) -> socket.socket:
        """Have the port. It is kept while the process starts again: browsers wait."""
        if self._listener is None:
            host, port = self._settings.web.host, self._settings.web.port
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        return self._listener

    def _bury(self, status: int) -> None:
        if self._line is not None:
            self._line.close()
        self._process = self._line = None
        if time.monotonic() - self._started > HEALTHY:
            self._failures = 0
        self._fail()
        log.error("web_ended", status=status)

    def _fail(self) -> None:
        self._start_at = time.monotonic() + BACKOFF[min(self._failures, len(BACKOFF) - 1)]
        self._failures += 1
