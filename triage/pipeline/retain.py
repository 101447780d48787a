"""The tick that deletes the pixel data of read studies, when its time is over or the disk is full."""

import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime

from triage import logs
from triage.core.retention import Allowance
from triage.errors import DatabaseUnavailable, SpoolUnavailable
from triage.pipeline.moves import tell_moves
from triage.store.database import Database
from triage.store.retention import Marked, delete_marked, mark_oldest
from triage.store.spool import Spool

log = logs.get(__name__)

DUE_EVERY = 60.0  # seconds
BUDGET = 5.0  # seconds of a tick; the next one goes on
BREATH = 0.01  # seconds between two studies, in which whoever receives may have the database


class Retention:
    """Deletes what may go. Several daemons may do so at once."""

    def __init__(self, database: Database, spool: Spool, allowance: Allowance) -> None:
        self._database = database
        self._spool = spool
        self._allowance = allowance
        self._unfinished: deque[Marked] = deque()  # marked, and its files not yet deleted
        self._scarce = False
        self._look_again = 0.0  # when what is due is looked for again
        self._try_again_at = 0.0  # when room is made again, after the disk gave nothing back

    def tick(self) -> None:
        """Delete what has been read for long enough, then what it takes to have room.

        The former is looked for once a minute, however often it ticks: what is due can wait,
        and a disk that fills up cannot. Raises DatabaseUnavailable.
        """
        now = time.monotonic()
        try:
            if now >= self._look_again:
                self._look_again = now + DUE_EVERY
                if not self._delete_due(now + BUDGET):
                    self._look_again = now
                self._spool.drop_abandoned()
        except SpoolUnavailable as error:
            log.error("spool_unavailable", reason=str(error))
        try:
            if now >= self._try_again_at:
                self._make_room(now + BUDGET)
        except SpoolUnavailable as error:
            self._try_again_at = now + DUE_EVERY
            log.error("spool_unavailable", reason=str(error))

    def _delete_due(self, until: float) -> bool:
        """Say whether it came to the end of what is due before its time was over."""
        self._finish(until)
        before = self._allowance.due_before(datetime.now(UTC))
        while self._delete_oldest("spool.keep", before):
            if time.monotonic() >= until:
                return False
            time.sleep(BREATH)
        return True

    def _make_room(self, until: float) -> None:
        """Delete before its time what is missing below the low-water mark."""
        missing = self._allowance.shortage(self._spool.free())
        freed = 0
        # Whichever comes first: some file systems say late that a file has made room.
        while freed < missing and self._allowance.shortage(self._spool.free()):
            if time.monotonic() > until:
                return
            marked = self._delete_oldest("spool.low_water")
            if marked is None:
                self._tell_scarce(missing - freed)
                return
            freed += marked.size
            time.sleep(BREATH)
        self._scarce = False

    def _tell_scarce(self, missing: int) -> None:
        if not self._scarce:
            log.warning("spool_low", missing=missing, low_water=self._allowance.low_water)
        self._scarce = True

    def _delete_oldest(self, why: str, before: datetime | None = None) -> Marked | None:
        """Mark and delete; raises SpoolUnavailable where not a file of it can be deleted now.

        Then a later tick goes on with the next study: a disk that gives nothing back must
        not have everything marked.
        """
        marked = mark_oldest(self._database, datetime.now(UTC), why=why, before=before)
        if marked is not None and marked.digests:
            left = self._delete(marked)
            if len(left) == len(marked.digests):
                raise SpoolUnavailable(left[marked.digests[0]])
            log.info(
                "pixels_deleted",
                study_instance_uid=marked.study_instance_uid,
                accession_number=marked.accession_number,
                files=len(marked.digests),
                bytes=marked.size,
                why=why,
            )
        return marked

    def _finish(self, until: float) -> None:
        """Try once more what was marked and could not be deleted: each once, the failed ones last."""
        for _ in range(len(self._unfinished)):
            if time.monotonic() > until:
                return
            self._delete(self._unfinished.popleft())

    def _delete(self, marked: Marked) -> dict[str, str]:
        """Delete the files of what is marked; keep in mind and return those that cannot be, and why."""
        now = datetime.now(UTC)
        try:
            done = delete_marked(self._database, self._spool, marked.study_id, marked.digests, now)
        except DatabaseUnavailable:
            self._unfinished.append(marked)
            raise
        tell_moves(done.moves)
        if done.failed:
            self._unfinished.append(replace(marked, digests=tuple(done.failed)))
            reason = next(iter(done.failed.values()))
            log.error("pixels_not_deleted", files=len(done.failed), reason=reason)
        return done.failed
