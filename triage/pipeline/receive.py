"""From an arrival to a durable file and a row: what C-STORE's success promises."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from triage import logs
from triage.core.reasons import code_of
from triage.core.selection import Rules
from triage.core.study import Instance
from triage.core.tally import KEEPING, RECEIVED, SET_ASIDE, Kept, Tally
from triage.dicom.header import Header, read_header
from triage.dicom.scp import Arrival
from triage.errors import BadInstance, DatabaseUnavailable, SpoolUnavailable, WrongSopClass
from triage.pipeline.judge import judge
from triage.pipeline.moves import tell_moves
from triage.store.database import Database
from triage.store.intake import Outcome, file_instance
from triage.store.spool import Kept as KeptFile
from triage.store.spool import Spool

log = logs.get(__name__)

T = TypeVar("T")

READERS = 8  # headers that are read at once; more senders wait for one another


class Intake:
    """Keeps what arrives, and wakes the scorer when there is something for it."""

    def __init__(
        self,
        database: Database,
        spool: Spool,
        *,
        rules: Rules,
        wake: Callable[[], None],
        tally: Tally,
    ) -> None:
        self._database = database
        self._spool = spool
        self._rules = rules
        self._wake = wake
        self._tally = tally
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="header")

    def keep(self, arrival: Arrival) -> None:
        """Return when bytes and row survive a power cut; count what it came to.

        Raises BadInstance, SpoolUnavailable or DatabaseUnavailable.
        """
        begun = time.perf_counter()
        try:
            outcome = self._keep(arrival)
        except Exception as error:
            self._tally.count(RECEIVED, _failure(error))
            raise
        self._tally.count(RECEIVED, outcome)
        self._tally.observe(KEEPING, time.perf_counter() - begun)

    def _keep(self, arrival: Arrival) -> Outcome:
        """Make bytes and row durable.

        The bytes go first: a row without its file would be a lost image, a file
        without its row is filed at the next start, or when the sender brings it again.
        While the disk makes them safe the header is read; they get no name before that is well.
        """
        parts = arrival.preamble, *arrival.fragments
        reading = _Beside(self._readers, lambda: self._read(arrival))
        kept = self._spool.keep(arrival.digest, parts, check=reading.begin)
        header, instance = reading.result()

        def write() -> KeptFile:
            if self._spool.holds(arrival.digest, instance.size):
                return kept
            return self._spool.keep(arrival.digest, parts)

        filed = file_instance(self._database, instance, datetime.now(UTC), write=write)
        if filed.outcome is not Outcome.DUPLICATE and instance.frames:
            self._wake()
        # The code alone: the sentence may quote a description.
        not_scored = code_of(instance.reason) or None
        if filed.outcome is not Outcome.DUPLICATE and not_scored:
            self._tally.count(SET_ASIDE, not_scored)
        log.info(
            "instance_stored",
            outcome=filed.outcome,
            reopened=filed.reopened,
            study_instance_uid=header.study_instance_uid,
            sop_instance_uid=header.sop_instance_uid,
            accession_number=header.accession_number,
            size=instance.size,
            not_scored=not_scored,
        )
        tell_moves(filed.moves)
        return filed.outcome

    def _read(self, arrival: Arrival) -> tuple[Header, Instance]:
        """Return the header, and what is to be filed. Raises BadInstance."""
        header = read_header(*arrival.fragments, transfer_syntax_uid=arrival.transfer_syntax_uid)
        _check_identity(header, arrival)
        return header, replace(
            judge(header, self._rules),
            digest=arrival.digest,
            size=len(arrival.preamble) + sum(map(len, arrival.fragments)),
            calling_ae_title=arrival.calling_ae_title,
            calling_address=arrival.calling_address,
        )


class _Beside(Generic[T]):
    """Work that a thread does while ours waits for the disk."""

    def __init__(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> None:
        self._threads = threads
        self._work: Callable[[], T] | None = work
        self._future: Future[T] | None = None

    def begin(self) -> Callable[[], T]:
        """Have it begun, unless it is, and return `result`.

        Raises MemoryError where no thread is left.
        """
        self._begun()
        return self.result

    def result(self) -> T:
        """Wait for it; return what it gives, or raise what it raises."""
        try:
            return self._begun().result()
        except BaseException:
            # The error knows all who saw it, and so would hold the object as we would hold it.
            self._future = None
            raise

    def _begun(self) -> Future[T]:
        if self._future is None:
            try:
                self._future = self._threads.submit(self._do)
            except RuntimeError as error:
                self._work = None  # what was submitted stays in the queue, and is to hold no object
                raise MemoryError("no thread is to be had") from error
        return self._future

    def _do(self) -> T:
        if self._work is None:
            raise MemoryError
        return self._work()


def _failure(error: Exception) -> Kept:
    match error:
        case BadInstance():
            return Kept.REFUSED
        case SpoolUnavailable() | DatabaseUnavailable() | MemoryError():
            return Kept.LATER
    return Kept.FAILED


def _check_identity(header: Header, arrival: Arrival) -> None:
    """The request and its data set must speak of the same instance (PS3.4 B.2.3, A9xx)."""
    if header.sop_class_uid != arrival.sop_class_uid:
        raise WrongSopClass(f"the data set's SOP class is {header.sop_class_uid}")
    if header.sop_instance_uid != arrival.sop_instance_uid:
        raise WrongSopClass("SOP Instance UID differs from the request's")
