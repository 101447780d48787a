"""The records that the rules on anatomy speak of."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from triage.core.studytype import StudyType


class Region(StrEnum):
    """Where the part lies, as far as the decision goes."""

    UPPER_EXTREMITY = "upper extremity"  # one of the seven study types
    OUTSIDE = "outside"  # named, and none of the seven
    UNKNOWN = "unknown"  # missing, or too vague to say which part
    UNRECOGNISED = "unrecognised"  # named by a term that is in no table


# What a word, a term or a code stands for. An unknown place is a word that is
# known to be vague: the next attribute speaks.
Place = StudyType | Literal[Region.OUTSIDE, Region.UNKNOWN]


@dataclass(frozen=True)
class Coded:
    """One item of a code sequence (PS3.3 8.8)."""

    scheme: str  # Coding Scheme Designator
    value: str  # Code Value, Long Code Value or URN Code Value
    meaning: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.value, self.scheme, self.meaning)))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One attribute that may say what is on the image."""

    attribute: str  # its keyword; inside a sequence, SequenceKeyword.Keyword
    text: str = ""
    codes: tuple[Coded, ...] = ()  # the items of a code sequence and of their modifiers


@dataclass(frozen=True, kw_only=True)
class Part:
    """The part of the body, and what said so."""

    region: Region
    study_type: StudyType | None  # one of the seven where the region is the upper extremity
    decided_by: str  # attribute and value, e.g. "BodyPartExamined 'HAND'"; "" where nothing did
