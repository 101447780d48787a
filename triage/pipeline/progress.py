"""The ticks: studies complete, waits grow too long."""

from datetime import UTC, datetime

from triage import logs
from triage.core.study import Patience
from triage.core.tally import COMPLETED, Tally
from triage.pipeline.moves import tell_moves
from triage.settings import Settings
from triage.store.database import Database
from triage.store.progress import complete_studies, mark_overdue

log = logs.get(__name__)


def complete_due(database: Database, settings: Settings, tally: Tally) -> None:
    """Complete the studies that have stopped growing, and count them.

    Raises DatabaseUnavailable.
    """
    patience = Patience(quiet=settings.study.quiet, limit=settings.study.limit)
    for uid, status in complete_studies(database, datetime.now(UTC), patience):
        log.info("study_complete", study_instance_uid=uid, status=status)
        tally.count(COMPLETED, status)


def mark_waiting(database: Database, settings: Settings) -> None:
    """Bring the studies that wait too long to the top. Raises DatabaseUnavailable."""
    tell_moves(mark_overdue(database, datetime.now(UTC), settings.worklist.max_wait))
