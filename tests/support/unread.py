"""Many studies on a worklist, without an image of any."""

from sqlalchemy import insert

from tests.support.store import at
from triage.core.worklist import Band
from triage.store.tables import study


def add_many(database, count):
    """Bring studies that wait for their score onto the worklist at once, a third are wrists."""
    fixed = {"status": "receiving", "views": 1, "views_scored": 0, "weight": 0.0}
    fixed |= {"reading_state": "unread", "image_after_reading": False, "overdue": False}
    moments = ("received_at", "opened_at", "last_received_at", "waiting_since")
    rows = [
        fixed
        | dict.fromkeys(moments, at(number))
        | {
            "study_instance_uid": f"1.2.3.{number}",
            "accession_number": f"M{number:04}",
            "patient_name": f"DOE^M{number:04}",
            "study_type": "hand" if number % 3 else "wrist",
            "band": Band.NOT_SCORED,
        }
        for number in range(1, count + 1)
    ]
    with database.writing() as connection:
        connection.execute(insert(study), rows)
