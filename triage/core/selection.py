"""Which received instances are for the network, and why the others are not."""

from dataclasses import dataclass
from enum import StrEnum

from triage.core.reasons import Code, reason
from triage.core.studytype import StudyType, from_body_part

MAX_FRAMES = 32  # views in one instance; a radiograph has one, a series of stress views a few


class ObjectKind(StrEnum):
    """What a SOP class is to us."""

    RADIOGRAPH = "radiograph"
    OTHER_IMAGE = "other image"
    NOT_AN_IMAGE = "not an image"


@dataclass(frozen=True)
class Selection:
    """The verdict on one instance."""

    study_type: StudyType | None
    frames: int  # views to score; 0 when it is not for the network
    reason: str | None  # why it is not


def select(
    kind: ObjectKind, sop_class_name: str, body_part: str, frames: int, *, score_unknown_part: bool
) -> Selection:
    """Decide whether an instance with *frames* frames of pixels is for the network.

    A part outside MURA's seven study types is never scored; one that is not
    known is, if the site asks for it (`study.unknown_part`).
    """
    if kind is ObjectKind.NOT_AN_IMAGE or frames == 0:
        why = "has no pixels" if kind is not ObjectKind.NOT_AN_IMAGE else "is not an image"
        return Selection(None, 0, reason(Code.NOT_AN_IMAGE, f"{sop_class_name} {why}"))
    study_type, excluded = from_body_part(body_part)
    if kind is ObjectKind.OTHER_IMAGE:
        sentence = f"{sop_class_name} is not a computed or digital radiograph"
        return Selection(study_type, 0, reason(Code.NOT_A_RADIOGRAPH, sentence))
    if excluded and not (score_unknown_part and excluded.startswith(Code.UNKNOWN_PART)):
        return Selection(None, 0, excluded)
    if frames > MAX_FRAMES:
        sentence = f"{frames} frames in one instance, more than {MAX_FRAMES}"
        return Selection(study_type, 0, reason(Code.TOO_LARGE, sentence))
    return Selection(study_type, frames, None)
