"""How long pixel data is kept once a study has been read.

The rows of a study stay for ever, its pixel data need not: whoever wants to see
it again has the PACS. What nobody has read is never deleted, however full the
disk is; then the sender is told to wait.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What the site gives to the pixel data of read studies."""

    keep: float  # seconds after the reading
    low_water: int  # bytes of the disk; when fewer are free, the oldest read ones go before

    def due_before(self, now: datetime) -> datetime:
        """Return the moment before which a study must have been read for its time to be over."""
        return now - timedelta(seconds=self.keep)

    def shortage(self, free: int) -> int:
        """Return the bytes that must be deleted before their time, when *free* are left."""
        return max(0, self.low_water - free)
