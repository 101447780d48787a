"""Scoring a study again, by the rules and settings of today."""

from dataclasses import dataclass
from datetime import datetime

from triage import logs
from triage.core.selection import Rules
from triage.core.study import Instance
from triage.dicom.header import read_file_header
from triage.errors import BadInstance, NothingToScore
from triage.pipeline.judge import judge
from triage.pipeline.moves import tell_moves
from triage.store.database import Database
from triage.store.rescoring import files_of, rescore_study
from triage.store.spool import Spool

log = logs.get(__name__)


@dataclass(frozen=True)
class Rescorer:
    """Judges what is stored once more, and queues it."""

    database: Database
    spool: Spool
    rules: Rules

    def rescore(self, study_id: int, now: datetime, by: str) -> list[str]:
        """Queue the study again; its former score stays until the new one is there.

        Its headers are read again, so that a part which the site has since
        named, or a rule that has since changed, takes effect. An instance whose
        file cannot be read stays as it was judged at reception.

        Returns the SOP Instance UIDs of those whose pixel data retention has deleted:
        they keep the scores that they have. Raises NothingToScore when that is all
        of them.
        """
        stored = files_of(self.database, study_id)
        gone = [file.sop_instance_uid for file in stored if file.deleted]
        if stored and len(gone) == len(stored):
            raise NothingToScore(
                "its pixel data was deleted after it had been read (spool.keep), so it keeps the "
                "scores that it has; send it again from the PACS, then rescore it"
            )
        today: dict[int, Instance] = {}
        for file in stored:
            if file.deleted:
                continue
            try:
                header = read_file_header(self.spool.path(file.digest), digest=False)
            except (OSError, BadInstance, MemoryError) as error:
                log.warning("file_not_judged", digest=file.digest, reason=type(error).__name__)
                continue
            today[file.instance_id] = judge(header, self.rules)
        move = rescore_study(self.database, study_id, today, now, by)
        tell_moves([move] if move else [])
        return gone
