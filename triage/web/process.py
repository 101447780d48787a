"""Keeps the web process alive, and tells it how the daemon is."""

import contextlib
import socket
import time

from triage import logs
from triage.core.tally import ENDED, Part, Tally
from triage.pipeline.channel import Outlet
from triage.pipeline.child import Child
from triage.settings import Settings
from triage.web.condition import Condition

log = logs.get(__name__)

HUNG = 120.0  # seconds without a word from it, the time that it needs to start included
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
        self._child = Child("triage.web.serve", settings)
        self._outlet: Outlet | None = None  # of our words
        self._heard = 0.0

    @property
    def port(self) -> int | None:
        """The port that is listened on; None where it could not be had yet."""
        return self._listener.getsockname()[1] if self._listener else None

    @property
    def pid(self) -> int | None:
        """The process that answers; None while there is none."""
        return self._child.pid

    def tick(self, condition: Condition) -> None:
        """Start the process if it is time, tell it how the daemon is, notice its end."""
        if self.pid is None:
            if self._child.is_due:
                self._start()
            return
        if (status := self._child.poll()) is not None:
            self._bury(status)
        elif self._is_hung():
            log.error("web_hung", pid=self.pid)
            self._child.kill()
        elif self._outlet is not None:
            with contextlib.suppress(OSError):  # it has just ended
                self._outlet.send(condition.line())

    def stop(self) -> None:
        """End the process, and give the port back."""
        self._child.stop()
        if self._listener is not None:
            self._listener.close()

    def _start(self) -> None:
        try:
            listener = self._listen()
        except OSError as error:
            self._child.pause()
            web = self._settings.web
            log.error(
                "web_unavailable",
                reason=f"web.host={web.host}, web.port={web.port}: {error.strerror or error}; "
                "another program has the port, or the address is not this machine's",
            )
            return
        try:
            pid = self._child.start([listener])
        except OSError as error:
            log.error("web_unavailable", reason=f"it cannot be started: {error.strerror or error}")
            return
        if self._child.connection is not None:
            self._outlet = Outlet(self._child.connection)
        self._heard = time.monotonic()
        log.info("web_started", pid=pid)

    def _is_hung(self) -> bool:
        """Say whether its event loop has been silent for too long."""
        line = self._child.connection
        with contextlib.suppress(OSError):  # nothing said, or nobody there: poll() tells which
            while line is not None and line.recv(4096, socket.MSG_DONTWAIT):
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
        self._outlet = None
        self._child.bury()
        self._tally.count(ENDED, Part.WEB)
        log.error("web_ended", status=status)
