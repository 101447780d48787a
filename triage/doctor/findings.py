"""What a check of the site finds."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    message: str
    action: str | None = None  # what to do; None where all is well
