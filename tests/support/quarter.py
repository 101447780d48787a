"""A department's last quarter, written into a database: thirteen weeks of studies, most read."""

import random
from datetime import timedelta

from sqlalchemy import insert

from triage.core.studytype import StudyType
from triage.store.tables import study

STATIONS = ("DX-1", "DX-2", '<b>&"日')  # the last is what a peer may call itself
DRIFTING = "DX-2"  # its detector was changed `SINCE` weeks ago
SINCE = 3
WAITING = 40  # the last studies, not read yet
DAYS = 13 * 7
FAILED = 29  # each such study cannot be decoded


def fill(database, now, *, a_day=24, seed=1):
    """Write *a_day* studies for each of the days before *now*; return how many."""
    chance = random.Random(seed)  # noqa: S311  nothing is kept secret by it
    last = DAYS * a_day
    apart = timedelta(days=1) / a_day
    with database.writing() as connection:
        rows = [
            _row(number, now - (last - number) * apart, now, chance, read=number < last - WAITING)
            for number in range(last)
        ]
        connection.execute(insert(study), rows)
    return last


def _row(number, came, now, chance, *, read):
    station = STATIONS[number % 3]
    changed = station == DRIFTING and now - came < timedelta(weeks=SINCE)
    ill = chance.random() < 0.4
    probability = chance.betavariate(4, 2) if ill else chance.betavariate(1.5, 5)
    if changed:
        probability = 0.6 + 0.4 * probability
    scored = number % FAILED != 0
    abnormal = scored and probability > 0.5
    wait = timedelta(minutes=chance.uniform(5, 60) if abnormal else chance.uniform(30, 300))
    read_at = min(came + wait, now) if read else None
    return {
        "study_instance_uid": f"1.2.3.{number}",
        "accession_number": f"A{number}",
        "patient_name": "Family^Given",
        "station": station,
        **dict.fromkeys(("received_at", "opened_at", "last_received_at", "waiting_since"), came),
        "completed_at": came + timedelta(seconds=10),
        "status": "scored" if scored else "failed",
        "reason": None if scored else "undecodable: it is broken",
        "study_type": list(StudyType)[number % 7],
        "side": "L",
        "label": ("abnormal" if abnormal else "normal") if scored else None,
        "probability": probability if scored else None,
        "model": "reference 1.0" if scored else None,
        "views": 3,
        "views_scored": 3 if scored else 0,
        "reading_state": "read" if read else "claimed" if number % 5 == 0 else "unread",
        "claimed_by": None if read or number % 5 else "ada",
        "claimed_at": None if read or number % 5 else came,
        "read_by": "ada" if read else None,
        "read_at": read_at,
        "finding": ("abnormal" if ill else "normal") if read and number % 2 else None,
        "kept_since": read_at,
        "image_after_reading": False,
        "overdue": False,
        "band": (1 if abnormal else 3) if scored else 2,
        "weight": -probability if abnormal else 0.0,
    }
