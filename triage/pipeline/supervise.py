"""Keeps the scoring process alive, and knows how it is."""

import contextlib
import signal
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from triage import logs
from triage.core.tally import ENDED, Part, Tally
from triage.errors import DatabaseUnavailable
from triage.pipeline.channel import ScorerState, Word
from triage.pipeline.child import Child
from triage.pipeline.holder import holder
from triage.pipeline.moves import tell_moves
from triage.pipeline.score import BROKEN
from triage.settings import Settings
from triage.store.database import Database
from triage.store.scoring import Blame, free_views_of_dead

log = logs.get(__name__)

HUNG = 120.0  # seconds without a word from a scorer that is not loading
LOADING_TOO_LONG = 600.0  # likewise while it loads
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
        self._child = Child("triage.pipeline.score", settings)
        self._database = database
        self._tally = tally
        self._holder = ""  # the process, as the queue knows it
        self._heard = ""
        self._word = Word(state=ScorerState.RESTARTING)
        self._last_word = time.monotonic()
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
        connection = self._child.connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.send(b"w", socket.MSG_DONTWAIT)

    def tick(self) -> None:
        """Start the process if it is time, hear what it says, notice its end."""
        if self._stopping:
            return
        if self._child.pid is None:
            if self._child.is_due:
                self._start()
            return
        self._listen()
        if (status := self._child.poll()) is not None:
            self._bury(status)
        elif self._is_hung():
            log.error("scorer_hung", pid=self._child.pid, state=self.state)
            self._hung = True
            self._child.kill()

    def stop(self) -> None:
        """End the process; what it holds is free at the next start."""
        self._stopping = True
        self._child.stop()

    def _start(self) -> None:
        try:
            pid = self._child.start()
        except OSError as error:
            log.error("scorer_unavailable", reason=error.strerror or str(error))
            return
        self._holder = holder(pid)
        self._word = Word(state=ScorerState.LOADING)
        self._last_word = time.monotonic()
        log.info("scorer_started", pid=pid)

    def _listen(self) -> None:
        connection = self._child.connection
        if connection is None:
            return
        try:
            while data := connection.recv(65536, socket.MSG_DONTWAIT):
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

    def _bury(self, status: int) -> None:
        """Free what the dead scorer held, and let the next one start after a pause."""
        self._listen()  # what it said last
        self._word = Word(state=ScorerState.RESTARTING)
        try:
            freed = free_views_of_dead(
                self._database,
                lambda name: name == self._holder,
                datetime.now(UTC),
                Blame.ALL if self._hung else _BLAME.get(status, Blame.ALL),
            )
        except DatabaseUnavailable as error:
            log.warning("database_unavailable", reason=str(error))
            return  # at the next tick again
        self._tally.count(ENDED, Part.SCORER)
        log.error("scorer_ended", pid=self._child.pid, status=status, views_freed=freed.views)
        tell_moves(freed.moves)
        self._child.bury()
        self._heard = ""
        self._hung = False
