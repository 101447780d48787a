"""Why something is not scored, or a study stands where it stands.

A reason is written ``code: sentence``. The codes are a closed list, so that a
site can count by them; the sentence is for the person who reads it.
"""

from enum import StrEnum


class Code(StrEnum):
    """The closed list of reason codes, documented in deploy/OPERATIONS.md."""

    NO_MODEL = "no_model"
    UNKNOWN_PART = "unknown_part"
    OUTSIDE_UPPER_EXTREMITY = "outside_upper_extremity"
    NOT_ACCEPTED_BY_MODEL = "not_accepted_by_model"
    NOT_AN_IMAGE = "not_an_image"
    NOT_A_RADIOGRAPH = "not_a_radiograph"
    ALGORITHM_RESULT = "algorithm_result"
    PRESENTATION_TWIN = "presentation_twin"
    DUPLICATE_EXPOSURE = "duplicate_exposure"
    LOW_TRUST = "low_trust"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"
    FILE_MISSING = "file_missing"
    PIXELS_DELETED = "pixels_deleted"
    SCORER_CRASHED = "scorer_crashed"
    SCORING_FAILED = "scoring_failed"
    PARTLY_SCORED = "partly_scored"
    INSTANCE_REPLACED = "instance_replaced"
    IMAGE_AFTER_READING = "image_after_reading"


def code_of(reason: str | None) -> str:
    """Return the code of a reason as it is stored; "" where there is none."""
    return (reason or "").partition(":")[0]


def reason(code: Code | str, sentence: str) -> str:
    """Write a reason as it is stored and shown."""
    return f"{code}: {sentence}"
