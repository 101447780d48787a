"""What can be wrong with a data set that can be used all the same."""

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What is wrong."""

    LEAK = "patient_in_two_splits"  # what is measured in one was learnt in the other
    TWIN = "picture_in_two_splits"  # likewise
    MISSING = "missing_file"
    NO_IMAGES = "study_without_images"
    UNKNOWN_PART = "unknown_part"
    UNREADABLE = "unreadable_image"
    TRUNCATED = "truncated_image"
    REPEATED = "repeated_line"
    METADATA = "macos_metadata"


# With these the studies are not those that the lists name, or a patient is on both sides.
GRAVE = frozenset(
    {Fault.LEAK, Fault.MISSING, Fault.NO_IMAGES, Fault.UNKNOWN_PART, Fault.UNREADABLE}
)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong that can be lived with."""

    fault: Fault
    where: str  # list and line, or the file
    message: str  # what is wrong, and what becomes of it

    @property
    def grave(self) -> bool:
        """Say whether figures of this data set are not what they seem."""
        return self.fault in GRAVE
