"""Scoring a study again, by the rules and settings of today."""

from dataclasses import dataclass
from datetime import datetime

from triage import logs
from triage.core.selection import Rules
from triage.core.study import Instance
from triage.dicom.header import read_file_header
from triage.errors import BadInstance
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

    def rescore(self, study_id: int, now: datetime, by: str) -> None:
        """Queue the study again; its former score stays until the new one is there.

        Its headers are read again, so that a part which the site has since
        named, or a rule that has since changed, takes effect. An instance whose
        file cannot be read stays as it was judged at reception.
        """
        today: dict[int, Instance] = {}
        for stored in files_of(self.database, study_id):
            try:
                header = read_file_header(self.spool.path(stored.digest), digest=False)
            except (OSError, BadInstance) as error:
                log.warning("file_not_judged", digest=stored.digest, reason=type(error).__name__)
                continue
            today[stored.instance_id] = judge(header, self.rules)
        move = rescore_study(self.database, study_id, today, now, by)
        tell_moves([move] if move else [])
