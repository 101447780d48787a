"""Spool and database held against each other, and brought together again.

They part when a daemon is killed between file and row, when one of the two is
restored to another time than the other, and when somebody removes a file behind
our back. Nothing here deletes what was received: a file without a row is filed,
one that cannot be is set aside, a row without a file is named.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from triage import logs
from triage.core.retention import Allowance
from triage.core.selection import Rules
from triage.dicom import digest
from triage.dicom.header import read_file_header
from triage.errors import BadInstance, DatabaseUnavailable, SpoolUnavailable
from triage.pipeline.judge import judge
from triage.pipeline.moves import tell_moves
from triage.store.database import Database
from triage.store.files import LostFile, known_files, lost_files, set_aside
from triage.store.intake import file_instance
from triage.store.retention import delete_marked, note_deleting_again
from triage.store.spool import FOLDERS, Spool, SpooledFile

log = logs.get(__name__)

GRACE = 60.0  # seconds for which a file may wait for its row: somebody may be about to file it
RETRY = 5.0  # seconds until a database that is away is asked again, doubled each time
LONGEST = 300.0  # seconds
UNLISTED_RETRY = 3600.0  # seconds until a folder that the disk did not show is looked at again
PATIENCE = 5.0  # seconds that the end of the daemon waits for the file in hand
TOLD = 20  # lost files that the daemon's log names; `triage doctor` names them all


class Kind(StrEnum):
    """What was found, or done about it."""

    UNLISTED = "unlisted"  # a folder: the disk does not say what is in it
    YOUNG = "young"  # without a row, and perhaps about to get one
    UNFILED = "unfiled"  # without a row
    ADOPTED = "adopted"
    UNREADABLE = "unreadable"  # without a row, and the disk does not give it out
    QUARANTINED = "quarantined"
    LEFT_OVER = "left_over"  # retention has deleted it, and it is there
    DELETED_AGAIN = "deleted_again"
    FAILED = "failed"  # it could be neither brought in nor set aside nor deleted
    KEPT = "kept"  # retention has deleted it, it is there, and its study is unread again
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """One file or row that does not fit, or the folder where nobody knows."""

    kind: Kind
    file: SpooledFile | None = None
    lost: LostFile | None = None
    why: str = ""


@dataclass(frozen=True)
class Reconciler:
    """Looks through the spool, folder by folder; what it does may be done by several at once."""

    database: Database
    spool: Spool
    rules: Rules
    allowance: Allowance

    def folder(self, name: str, *, repair: bool) -> Iterator[Oddity]:
        """Yield what does not fit in one folder; with *repair*, bring together what can be.

        A file that cannot be dealt with is yielded and keeps no other from it, and so is the
        folder where it cannot be listed. Raises DatabaseUnavailable.
        """
        # Files first: whatever is listed and has no row after that had none when it was listed.
        try:
            files = {file.digest: file for file in self.spool.files(name)}
        except SpoolUnavailable as error:
            yield Oddity(kind=Kind.UNLISTED, why=str(error))
            return
        due_before = self.allowance.due_before(datetime.now(UTC))
        known = known_files(self.database, name, files, due_before)
        for file in files.values():
            row = known.get(file.digest)
            try:
                if row is None:
                    yield from self._without_row(file, repair=repair)
                elif row.deleted:
                    yield from self._deleted_before(file, row.study_id, repair=repair)
            except (DatabaseUnavailable, SpoolUnavailable) as error:
                self.database.require_answer()  # else it is not for this file
                yield Oddity(kind=Kind.FAILED, file=file, why=str(error))
            except MemoryError:
                yield Oddity(kind=Kind.FAILED, file=file, why="the memory does not suffice")
        suspects = [
            each
            for each, row in known.items()
            if row.wanted and (each not in files or files[each].size != row.size)
        ]
        for lost in lost_files(self.database, suspects, self._size_of):
            yield Oddity(kind=Kind.MISSING if lost.size is None else Kind.DAMAGED, lost=lost)

    def _size_of(self, name: str) -> int | None:
        try:
            found = self.spool.find(name)
        except SpoolUnavailable:  # it is there, and nothing of it can be had
            return 0
        return None if found is None else found.size

    def _without_row(self, file: SpooledFile, *, repair: bool) -> Iterator[Oddity]:
        if abs(time.time() - file.written_at) < GRACE:
            yield Oddity(kind=Kind.YOUNG, file=file)
        elif not repair:
            yield Oddity(kind=Kind.UNFILED, file=file)
        else:
            yield from self._adopt(file)

    def _adopt(self, file: SpooledFile) -> Iterator[Oddity]:
        """File what was received and has no row, at the time when it came."""
        path = self.spool.path(file.digest)
        try:
            if digest.of_file(path) != file.digest:
                raise BadInstance("its content is not what its name says")
            header = read_file_header(path)
        except FileNotFoundError:
            return
        except OSError as error:
            yield Oddity(kind=Kind.UNREADABLE, file=file, why=error.strerror or str(error))
            return
        except BadInstance as error:
            yield from self._set_aside(file, str(error))
            return
        now = datetime.now(UTC)
        instance = replace(judge(header, self.rules), digest=file.digest, size=file.size)
        came = min(now, datetime.fromtimestamp(file.written_at, UTC))
        filed = file_instance(self.database, instance, came, found=now)
        log.info(
            "file_adopted",
            outcome=filed.outcome,
            study_instance_uid=instance.study_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
            accession_number=instance.accession_number,
            path=str(path),
        )
        yield Oddity(kind=Kind.ADOPTED, file=file)

    def _set_aside(self, file: SpooledFile, why: str) -> Iterator[Oddity]:
        def move() -> bool:
            return self.spool.set_aside(file) is not None

        if set_aside(self.database, file.digest, why, datetime.now(UTC), move):
            log.warning("file_quarantined", file=f"{file.digest}.dcm", reason=why)
            yield Oddity(kind=Kind.QUARANTINED, file=file, why=why)

    def _deleted_before(
        self, file: SpooledFile, study_id: int, *, repair: bool
    ) -> Iterator[Oddity]:
        if not repair:
            yield Oddity(kind=Kind.LEFT_OVER, file=file)
            return
        now = datetime.now(UTC)
        note_deleting_again(self.database, study_id, file.size, now)
        done = delete_marked(self.database, self.spool, study_id, [file.digest], now)
        tell_moves(done.moves)
        if done.failed:
            yield Oddity(kind=Kind.FAILED, file=file, why=done.failed[file.digest])
        elif done.deleted:
            yield Oddity(kind=Kind.DELETED_AGAIN, file=file)
        elif done.kept:
            yield Oddity(kind=Kind.KEPT, file=file)


class AtStart:
    """Reconciles once, in the background of a daemon that serves already.

    What the disk does not show then is said, and looked at again now and then.
    """

    def __init__(self, reconciler: Reconciler, wake: Callable[[], None]) -> None:
        """*wake* tells the scorer that there is something for it."""
        self._reconciler = reconciler
        self._wake = wake
        self._ended = threading.Event()
        self._found: Counter[Kind] = Counter()
        self._unlisted: list[str] = []  # the folders that could not be listed the last time
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)

    def start(self) -> None:
        """Begin; nothing waits for it."""
        self._thread.start()

    def stop(self) -> None:
        """End it between two files; a disk that hangs is not waited for."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        started = time.time()
        try:
            self._reconcile(FOLDERS, started)
            while self._unlisted and not self._ended.wait(UNLISTED_RETRY):
                self._reconcile(self._unlisted, started)
        except Exception:  # whatever it is, the daemon serves on
            log.exception("loop_failed", loop="reconcile")

    def _reconcile(self, names: Iterable[str], started: float) -> None:
        """Look through folders, and say what that came to."""
        begun = time.monotonic()
        self._found.clear()
        self._unlisted = []
        # What a daemon that was killed just before us had written and not filed, and what
        # somebody else may have had his hands on, is left for a while.
        once_more = self._look_through(names, started)
        if once_more and not self._ended.wait(GRACE):
            self._look_through(once_more, started, again=True)
        if not self._ended.is_set():
            found = {str(kind): count for kind, count in self._found.items()}
            log.info("spool_reconciled", seconds=round(time.monotonic() - begun, 3), **found)

    def _look_through(
        self, names: Iterable[str], started: float, *, again: bool = False
    ) -> list[str]:
        """Bring folders together; return those to look through once more.

        One is waited for as long as the database is away, and comes again last.
        """
        waiting, once_more, pause = deque(names), [], RETRY
        while waiting and not self._ended.is_set():
            begun = time.monotonic()
            name = waiting.popleft()
            try:
                if self._go_through(name, started, again=again):
                    once_more.append(name)
            except DatabaseUnavailable as error:
                log.warning("reconciliation_waits", reason=str(error))
                waiting.append(name)
                self._ended.wait(pause)
                pause = min(2 * pause, LONGEST)
            else:
                pause = RETRY
                # Half the time is for the others.
                self._ended.wait(time.monotonic() - begun)
        return once_more

    def _go_through(self, name: str, started: float, *, again: bool) -> bool:
        """Bring a folder together; say whether to look through it once more."""
        once_more = False
        for oddity in self._reconciler.folder(name, repair=True):
            if self._ended.is_set():
                break
            if oddity.kind is Kind.UNLISTED:
                self._unlisted.append(name)
            if oddity.kind is Kind.YOUNG:
                # What came since we started is the business of whoever received it.
                once_more |= oddity.file is not None and oddity.file.written_at < started
            elif oddity.kind is Kind.FAILED and not again:
                once_more = True
            elif oddity.lost is None or not again:
                self._found[oddity.kind] += 1
                self._tell(oddity)
            if oddity.kind in (Kind.ADOPTED, Kind.KEPT):
                self._wake()
        return once_more

    def _tell(self, oddity: Oddity) -> None:
        if oddity.kind is Kind.UNLISTED and self._found[Kind.UNLISTED] <= TOLD:
            log.error("folder_unreadable", reason=oddity.why)
        if oddity.kind is Kind.UNREADABLE and oddity.file is not None:
            log.warning("file_unreadable", file=f"{oddity.file.digest}.dcm", reason=oddity.why)
        if oddity.kind is Kind.FAILED and oddity.file is not None:
            log.error("file_not_reconciled", file=f"{oddity.file.digest}.dcm", reason=oddity.why)
        if oddity.lost is None or self._found[Kind.MISSING] + self._found[Kind.DAMAGED] > TOLD:
            return
        log.warning(
            "file_lost",
            kind=oddity.kind,
            study_instance_uid=oddity.lost.study_instance_uid,
            accession_number=oddity.lost.accession_number,
            sop_instance_uid=oddity.lost.sop_instance_uid,
            digest=oddity.lost.digest,
        )
