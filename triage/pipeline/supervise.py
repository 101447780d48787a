"""Keeps the scoring process alive, and knows how it is."""

import contextlib
import json
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from triage import logs
from triage.core.tally import ENDED, Part, Tally
from triage.errors import DatabaseUnavailable
from triage.pipeline.channel import ScorerState, Word
from triage.pipeline.holder import holder
from triage.pipeline.moves import tell_moves
from triage.pipeline.score import BROKEN
from triage.settings import Settings
from triage.store.database import Database
from triage.store.scoring import Blame, free_views_of_dead

log = logs.get(__name__)

HUNG = 120.0  # seconds without a word from a scorer that is not loading
LOADING_TOO_LONG = 600.0  # likewise while it loads
BACKOFF = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each restart in a row
HEALTHY = 60.0  # seconds of life after which a crash counts as the first
# What the end of a scorer says of the views that it held, by its exit status.
_BLAME = {
    -signal.SIGKILL: Blame.ALONE,
    -signal.SIGTERM: Blame.NONE,
    BROKEN: Blame.NONE,
}


class Supervisor:
    """The parent's side of the scoring process. `tick` is called about once a second."""

    def __init__(self, settings: Settings, database: Database, tally: Tally) -> None:
        """Prepare to start it; what it counts goes into *tally*."""
        self._settings = settings
        self._database = database
        self._tally = tally
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._holder = ""  # the process, as the queue knows it
        self._heard = ""
        self._word = Word(state=ScorerState.RESTARTING)
        self._last_word = self._started = time.monotonic()
        self._crashes = 0
        self._start_at = 0.0
        self._stopping = False
        self._hung = False  # we ended it ourselves, because it did not come back

    @property
    def state(self) -> ScorerState:
        """How the scorer is, as far as it has said."""
        return self._word.state

    @property
    def model(self) -> Mapping[str, str] | None:
        """What scores, as far as it has said; None while nothing does."""
        return self._word.model

    def wake(self) -> None:
        """Tell the scorer that there may be work; never blocks, never fails."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.send(b"w", socket.MSG_DONTWAIT)

    def tick(self) -> None:
        """Start the process if it is time, hear what it says, notice its end."""
        if self._stopping:
            return
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self._start()
            return
        self._listen()
        if self._process.poll() is not None:
            self._bury()
        elif self._is_hung():
            log.error("scorer_hung", pid=self._process.pid, state=self.state)
            self._hung = True
            self._process.kill()

    def stop(self) -> None:
        """End the process; what it holds is free at the next start."""
        self._stopping = True
        if self._process is None:
            return
        if self._connection is not None:
            self._connection.close()  # it ends by itself after the batch in hand
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and module
                [sys.executable, "-m", "triage.pipeline.score", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._holder = holder(self._process.pid)
        request = {
            "settings": self._settings.model_dump(mode="json"),
            "log_level": logging.getLevelName(logging.getLogger().level).lower(),
        }
        ours.sendall(json.dumps(request).encode() + b"\n")
        self._connection = ours
        self._word = Word(state=ScorerState.LOADING)
        self._started = self._last_word = time.monotonic()
        log.info("scorer_started", pid=self._process.pid)

    def _listen(self) -> None:
        if self._connection is None:
            return
        try:
            while data := self._connection.recv(65536, socket.MSG_DONTWAIT):
                *lines, self._heard = (self._heard + data.decode()).split("\n")
                for line in lines:
                    self._word = Word.parse(line)
                    self._tally.add(self._word.done)
                    self._last_word = time.monotonic()
        except OSError:  # nothing said, or nobody there: poll() tells which
            return

    def _is_hung(self) -> bool:
        limit = LOADING_TOO_LONG if self.state is ScorerState.LOADING else HUNG
        return time.monotonic() - self._last_word > limit

    def _bury(self) -> None:
        """Free what the dead scorer held, and let the next one start after a pause."""
        process = self._process
        if process is None or process.returncode is None:
            return
        self._listen()  # what it said last
        self._word = Word(state=ScorerState.RESTARTING)
        try:
            freed = free_views_of_dead(
                self._database,
                lambda name: name == self._holder,
                datetime.now(UTC),
                Blame.ALL if self._hung else _BLAME.get(process.returncode, Blame.ALL),
            )
        except DatabaseUnavailable as error:
            log.warning("database_unavailable", reason=str(error))
            return  # at the next tick again
        if time.monotonic() - self._started > HEALTHY:
            self._crashes = 0
        pause = BACKOFF[min(self._crashes, len(BACKOFF) - 1)]
        self._crashes += 1
        self._tally.count(ENDED, Part.SCORER)
        log.error(
            "scorer_ended", pid=process.pid, status=process.returncode, views_freed=freed.views
        )
        tell_moves(freed.moves)
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None
        self._heard = ""
        self._hung = False
        self._start_at = time.monotonic() + pause
