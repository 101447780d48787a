"""Which of MURA's seven study types an image belongs to.

Source: Rajpurkar et al. 2017, section 2 (the seven types); DICOM PS3.16
CID 4031 and PS3.3 annex L for the defined terms of Body Part Examined.
"""

import re
from enum import StrEnum

from triage.core.reasons import Code, reason


class StudyType(StrEnum):
    """MURA's study types."""

    ELBOW = "elbow"
    FINGER = "finger"
    FOREARM = "forearm"
    HAND = "hand"
    HUMERUS = "humerus"
    SHOULDER = "shoulder"
    WRIST = "wrist"


# Defined terms of Body Part Examined (0018,0015), and the spellings that
# modalities send beside them.
BODY_PARTS = {
    "ELBOW": StudyType.ELBOW,
    "FINGER": StudyType.FINGER,
    "FINGERS": StudyType.FINGER,
    "THUMB": StudyType.FINGER,
    "FOREARM": StudyType.FOREARM,
    "RADIUS": StudyType.FOREARM,
    "ULNA": StudyType.FOREARM,
    "RADIUSULNA": StudyType.FOREARM,
    "LOWERARM": StudyType.FOREARM,
    "HAND": StudyType.HAND,
    "HUMERUS": StudyType.HUMERUS,
    "UPPERARM": StudyType.HUMERUS,
    "SHOULDER": StudyType.SHOULDER,
    "CLAVICLE": StudyType.SHOULDER,
    "SCAPULA": StudyType.SHOULDER,
    "ACJOINT": StudyType.SHOULDER,
    "WRIST": StudyType.WRIST,
    "SCAPHOID": StudyType.WRIST,
}
# Terms that name a region without saying which part of it: as good as missing.
VAGUE_PARTS = frozenset(
    {"", "ARM", "EXTREMITY", "UPPEREXTREMITY", "UPPERLIMB", "UNKNOWN", "OTHER", "SKELETON", "BONE"}
)

SIDES = frozenset({"L", "R", "LT", "RT", "LEFT", "RIGHT", "BILATERAL"})  # written beside the part


def from_body_part(body_part: str | None) -> tuple[StudyType | None, str | None]:
    """Return (study type, None), or (None, why there is none).

    Unknown and missing parts are `unknown_part`; a part that is named and lies
    elsewhere is `outside_upper_extremity` and never scored.
    """
    words = re.split(r"[^A-Z]+", (body_part or "").upper())
    term = "".join(word for word in words if word not in SIDES)
    if (study_type := BODY_PARTS.get(term)) is not None:
        return study_type, None
    if term in VAGUE_PARTS:
        named = f"Body Part Examined is {body_part!r}" if body_part else "no Body Part Examined"
        return None, reason(Code.UNKNOWN_PART, f"{named}, so the part of the body is not known")
    return None, reason(
        Code.OUTSIDE_UPPER_EXTREMITY,
        f"Body Part Examined is {body_part!r}, none of the terms for the seven study types",
    )
