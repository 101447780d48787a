"""How much waits: counted in the indexes of what waits, however large the archive is."""

from datetime import datetime

from sqlalchemy import func, select

from triage.core.load import Load
from triage.core.study import StudyStatus
from triage.core.worklist import PRIORITIES, Band, Priority
from triage.store.database import Database
from triage.store.queries import pending_views
from triage.store.tables import ON_WORKLIST, study


def load(database: Database, now: datetime) -> Load:
    """Count what waits, as of *now*. Raises DatabaseUnavailable."""
    with database.reading() as connection:
        bands = connection.execute(
            select(study.c.band, func.count()).where(ON_WORKLIST).group_by(study.c.band)
        ).all()
        # Each answered by the first entry of the index, which asking for both at once is not.
        first = [
            connection.execute(
                select(study.c.waiting_since)
                .where(ON_WORKLIST, study.c.overdue.is_(overdue))
                .order_by(study.c.waiting_since)
                .limit(1)
            ).scalar()
            for overdue in (True, False)
        ]
        receiving = connection.execute(
            select(func.count()).select_from(study).where(study.c.status == StudyStatus.RECEIVING)
        ).scalar_one()
    counts = {Band(band): count for band, count in bands}
    views, longest_view_wait = pending_views(database, now)
    return Load(
        studies={
            priority: sum(n for band, n in counts.items() if PRIORITIES[band] is priority)
            for priority in Priority
        },
        overdue=counts.get(Band.OVERDUE, 0),
        longest_wait=max([(now - since).total_seconds() for since in first if since] or [0.0]),
        receiving=receiving,
        views=views,
        longest_view_wait=longest_view_wait,
    )
