"""The model of the scoring process: waited for, loaded once its files are whole, and watched."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from triage import logs
from triage.core.reasons import Code, reason
from triage.errors import DatabaseUnavailable, EngineUnavailable, ModelUnusable, TriageError
from triage.pipeline.channel import Channel, ScorerState
from triage.settings import ModelSettings
from triage.store.database import Database
from triage.store.unscored import explain_new, explain_pending

if TYPE_CHECKING:
    from triage.model.scorer import Scorer

log = logs.get(__name__)

RETRY_LOADING = 60.0  # seconds until a model that could not be loaded is tried again
MODEL_POLL = 5.0  # seconds between looks for a model while there is none


class Loader:
    """Brings the model in; while there is none, says of each view that waits why it does."""

    def __init__(
        self,
        settings: ModelSettings,
        database: Database,
        channel: Channel,
        beside: Callable[[], None],
    ) -> None:
        """*beside* is called before torch is imported, to start what can start meanwhile."""
        self._settings = settings
        self._database = database
        self._channel = channel
        self._beside = beside
        self._loaded: list[object] = []  # the checkpoints' files as they were read
        self._look_again = 0.0
        self._explained = ""  # what every view that waits has as its reason

    def load(self) -> "Scorer":
        """Load the model, waiting for one to appear as long as there is none.

        What the file is to blame for is tried again when the file changes,
        anything else (a GPU without memory, a machine that forbids torch what
        it needs) after a while.
        """
        seen: list[object] | None = None
        told = ""
        again = 0.0
        while True:
            present = self._fingerprints()
            if present != seen or time.monotonic() > again:
                seen, again = present, math.inf
                self._channel.tell(ScorerState.LOADING)
                try:
                    scorer = self._open()
                    self._require_unchanged(present)
                    return scorer
                except Exception as error:
                    unexpected = not isinstance(error, TriageError)
                    passes = unexpected or isinstance(error, EngineUnavailable)
                    again = time.monotonic() + RETRY_LOADING if passes else math.inf
                    why = f"{type(error).__name__}: {error}" if unexpected else str(error)
                    if why != told:
                        told = why
                        log.error("no_model", reason=told, exc_info=unexpected)
            self._channel.tell(ScorerState.NO_MODEL)
            self._explain(reason(Code.NO_MODEL, told))
            self._channel.wait(MODEL_POLL)

    def _open(self) -> "Scorer":
        from triage.model.ensemble import read_cards

        read_cards(self._settings)
        self._beside()
        from triage.model.scorer import open_scorer

        return open_scorer(self._settings)

    def _fingerprints(self) -> list[object]:
        return [_fingerprint(path) for path in self._settings.paths]

    def _require_unchanged(self, present: list[object]) -> None:
        """Raise ModelUnusable if a checkpoint changed while it was read; `load` reads it again.

        A copy that is under way may have its whole length already, and numbers that fit.
        """
        if self._fingerprints() != present:
            paths = ", ".join(self._settings.paths)
            raise ModelUnusable(f"{paths}: is being written; it is read when that is over")
        self._loaded = present

    def look(self, identity: str) -> None:
        """Say it, once, when a checkpoint is no longer the one that scores."""
        if time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + MODEL_POLL
        present = self._fingerprints()
        if present != self._loaded:
            self._loaded = present
            log.warning(
                "model_replaced",
                model=identity,
                paths=list(self._settings.paths),
                action="the former model goes on scoring; restart the daemon to use the file",
            )

    def _explain(self, why: str) -> None:
        try:
            after: int | None = 0
            while why != self._explained and after is not None:
                after = explain_pending(self._database, why, _now(), after)
                self._channel.tell(ScorerState.NO_MODEL)
            self._explained = why
            while explain_new(self._database, why, _now()):
                self._channel.tell(ScorerState.NO_MODEL)
        except DatabaseUnavailable as error:
            log.warning("database_unavailable", reason=str(error))


def _now() -> datetime:
    return datetime.now(UTC)


def _fingerprint(path: str) -> object:
    try:
        status = Path(path).stat()
    except OSError:
        return "absent"
    return status.st_mtime_ns, status.st_size, status.st_ino
