"""From an arrival to a durable file and a row: what C-STORE's success promises."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from triage import logs
from triage.core.selection import Rules
from triage.dicom import digest
from triage.dicom.header import Header, read_header
from triage.dicom.scp import Arrival
from triage.errors import WrongSopClass
from triage.pipeline.judge import judge
from triage.pipeline.moves import tell_moves
from triage.store.database import Database
from triage.store.intake import Outcome, file_instance
from triage.store.spool import Kept, Spool

log = logs.get(__name__)


class Intake:
    """Keeps what arrives, and wakes the scorer when there is something for it."""

    def __init__(
        self,
        database: Database,
        spool: Spool,
        *,
        rules: Rules,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._spool = spool
        self._rules = rules
        self._wake = wake

    def keep(self, arrival: Arrival) -> None:
        """Return when bytes and row survive a power cut.

        The bytes go first: a row without its file would be a lost image, a file
        without its row is filed at the next start, or when the sender brings it again.

        Raises BadInstance, SpoolUnavailable or DatabaseUnavailable.
        """
        header = read_header(arrival.data, transfer_syntax_uid=arrival.transfer_syntax_uid)
        _check_identity(header, arrival)
        name = digest.of_object(arrival.transfer_syntax_uid, arrival.data)
        parts = arrival.preamble, arrival.data
        size = sum(map(len, parts))
        kept = self._spool.keep(name, parts)
        instance = replace(
            judge(header, self._rules),
            digest=name,
            size=size,
            calling_ae_title=arrival.calling_ae_title,
            calling_address=arrival.calling_address,
        )

        def write() -> Kept:
            return kept if self._spool.holds(name, size) else self._spool.keep(name, parts)

        filed = file_instance(self._database, instance, datetime.now(UTC), write=write)
        if filed.outcome is not Outcome.DUPLICATE and instance.frames:
            self._wake()
        log.info(
            "instance_stored",
            outcome=filed.outcome,
            reopened=filed.reopened,
            study_instance_uid=header.study_instance_uid,
            sop_instance_uid=header.sop_instance_uid,
            accession_number=header.accession_number,
            size=size,
            # The code alone: the sentence may quote a description.
            not_scored=(instance.reason or "").partition(":")[0] or None,
        )
        tell_moves(filed.moves)


def _check_identity(header: Header, arrival: Arrival) -> None:
    """The request and its data set must speak of the same instance (PS3.4 B.2.3, A9xx)."""
    if header.sop_class_uid != arrival.sop_class_uid:
        raise WrongSopClass(f"the data set's SOP class is {header.sop_class_uid}")
    if header.sop_instance_uid != arrival.sop_instance_uid:
        raise WrongSopClass("SOP Instance UID differs from the request's")
