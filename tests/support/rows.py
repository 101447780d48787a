"""A row of the worklist, as tests of the core want one."""

from datetime import UTC, datetime

from triage.core.study import Label, StudyStatus
from triage.core.studytype import StudyType
from triage.core.worklist import Priority, WorklistRow

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(**changes: object) -> WorklistRow:
    """Return a study that is scored normal and waits, but for the *changes*."""
    values = {
        "position": 1,
        "priority": Priority.LOW,
        "overdue": False,
        "label": Label.NORMAL,
        "probability": 0.2,
        "provisional": False,
        "status": StudyStatus.SCORED,
        "reason": None,
        "study_type": StudyType.WRIST,
        "views": 2,
        "views_scored": 2,
        "accession_number": "A1",
        "patient_id": "P1",
        "patient_name": "Muster^Erika",
        "study_instance_uid": "1.2",
        "study_description": None,
        "received_at": NOON,
        "completed_at": NOON,
        "waiting_seconds": 1.0,
        "claimed_by": None,
        "model": "net 1",
    }
    return WorklistRow(**{**values, **changes})
