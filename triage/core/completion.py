"""When a study has stopped growing."""

from datetime import datetime

from triage.core.study import Growth, Patience

CLOCK_SLACK = 60  # seconds by which the clocks of daemons may differ


def is_complete(growth: Growth, now: datetime, patience: Patience) -> bool:
    """Say whether the study has been silent long enough, or open long enough.

    DICOM storage has no end-of-study message (PS3.4 annex B), so silence
    stands in for one. An image that arrives later reopens the study, and the
    limit then counts from that image. Images from the future were received
    before the clock was set back, and nothing can be said of the silence since.
    """
    silent_for = (now - growth.last_received_at).total_seconds()
    open_for = (now - growth.opened_at).total_seconds()
    if silent_for < -CLOCK_SLACK:
        return True
    return silent_for >= patience.quiet or open_for >= patience.limit
