"""Keeps the web process alive, and tells it how the daemon is."""

import contextlib
import json
import logging
import socket
import subprocess
import sys
import time

from triage import logs
from triage.core.tally import ENDED, Part, Tally
from triage.pipeline.channel import Outlet
from triage.settings import Settings
from triage.web.condition import Condition

log = logs.get(__name__)

BACKOFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each start, of those that failed
HUNG = 120.0  # seconds without a word from it, the time that it needs to start included
HEALTHY = 60.0  # seconds of life after which an end counts as the first
BACKLOG = 128  # connections that wait while the process starts again


class WebProcess:
    """The daemon's side of the web process. `tick` is called about once a second.

    Whatever becomes of it, the daemon goes on: a port that another program has is tried again.
    """

    def __init__(self, settings: Settings, tally: Tally) -> None:
        """Prepare to start it; its ends are counted in *tally*."""
        self._settings = settings
        self._tally = tally
        self._listener: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._outlet: Outlet | None = None  # of our words
        self._failures = 0
        self._start_at = self._started = self._heard = 0.0

    @property
    def port(self) -> int | None:
        """The port that is listened on; None where it could not be had yet."""
        return self._listener.getsockname()[1] if self._listener else None

    @property
    def pid(self) -> int | None:
        """The process that answers; None while there is none."""
        return self._process.pid if self._process else None

    def tick(self, condition: Condition) -> None:
        """Start the process if it is time, tell it how the daemon is, notice its end."""
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self._start()
            return
        if (status := self._process.poll()) is not None:
            self._bury(status)
        elif self._is_hung():
            log.error("web_hung", pid=self._process.pid)
            self._process.kill()
        elif self._outlet is not None:
            with contextlib.suppress(OSError):  # it has just ended
                self._outlet.send(condition.line())

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
        try:
            process = self._spawn(listener)
        except OSError as error:  # no process, no memory or no descriptor is to be had
            self._fail()
            log.error("web_unavailable", reason=f"it cannot be started: {error.strerror or error}")
            return
        self._process = process
        self._started = self._heard = time.monotonic()
        log.info("web_started", pid=process.pid)

    def _spawn(self, listener: socket.socket) -> subprocess.Popen[bytes]:
        """Start the process with our end of the line to it. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                    [
                        sys.executable,
                        *("-m", "triage.web.serve"),
                        *(str(theirs.fileno()), str(listener.fileno())),
                    ],
                    pass_fds=[theirs.fileno(), listener.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            except OSError:
                ours.close()
                raise
        request = {
            "settings": self._settings.model_dump(mode="json"),
            "log_level": logging.getLevelName(logging.getLogger().level).lower(),
        }
        with contextlib.suppress(OSError):  # it has ended already, and is found so
            ours.sendall(json.dumps(request).encode() + b"\n")
        self._line, self._outlet = ours, Outlet(ours)
        return process

    def _is_hung(self) -> bool:
        """Say whether its event loop has been silent for too long."""
        with contextlib.suppress(OSError):  # nothing said, or nobody there: poll() tells which
            while self._line is not None and self._line.recv(4096, socket.MSG_DONTWAIT):
                self._heard = time.monotonic()
        return time.monotonic() - self._heard > HUNG

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
        self._process = self._line = self._outlet = None
        if time.monotonic() - self._started > HEALTHY:
            self._failures = 0
        self._fail()
        self._tally.count(ENDED, Part.WEB)
        log.error("web_ended", status=status)

    def _fail(self) -> None:
        self._start_at = time.monotonic() + BACKOFF[min(self._failures, len(BACKOFF) - 1)]
        self._failures += 1
