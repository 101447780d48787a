"""Who looks at which study, for the audit trail."""

import threading
import time
from datetime import UTC, datetime

from triage.core.audit import AuditKind
from triage.store import audit
from triage.store.database import Database

ONE_LOOK = 600.0  # seconds in which what an open page fetches belongs to its opening
MOST = 4096  # looks that are remembered; who was forgotten is written down once more


class Looks:
    """Writes down who is shown a study, before it is shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[tuple[str, int], float] = {}

    def note(self, database: Database, study_id: int, name: str) -> None:
        """Write that *name* is about to be shown the study.

        Raises DatabaseUnavailable; then it must not be.
        """
        audit.note_access(database, study_id, AuditKind.SHOWN, name, datetime.now(UTC))
        with self._lock:
            while len(self._since) >= MOST:
                del self._since[next(iter(self._since))]
            self._since.pop((name, study_id), None)
            self._since[name, study_id] = time.monotonic()

    def note_part(self, database: Database, study_id: int, name: str) -> None:
        """Likewise for a part of it, which is written once in each `ONE_LOOK`."""
        with self._lock:
            since = self._since.get((name, study_id))
        if since is None or time.monotonic() - since > ONE_LOOK:
            self.note(database, study_id, name)
