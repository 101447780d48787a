"""Which received instances are for the network, and why the others are not."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from triage.core.anatomy import BUILT_IN, Evidence, Part, PartTable, Region, find_part
from triage.core.anatomy.text import fold
from triage.core.laterality import find_side
from triage.core.reasons import Code, reason
from triage.core.study import Side
from triage.core.studytype import StudyType

MAX_FRAMES = 32  # views in one instance; a radiograph has one, a series of stress views a few


class ObjectKind(StrEnum):
    """What a SOP class is to us."""

    RADIOGRAPH = "radiograph"
    OTHER_IMAGE = "other image"
    NOT_AN_IMAGE = "not an image"


# Modality (0008,0060) where it contradicts a radiograph's SOP class: a gateway
# that wraps everything as CR leaves the modality as it was.
OTHER_MODALITIES = frozenset(
    {"BMD", "CT", "DOC", "ES", "GM", "IO", "IVUS", "KO", "MG", "MR", "NM", "OCT", "OP", "OT", "PR"}
    | {"PT", "PX", "REPORT", "RF", "SC", "SEG", "SM", "SR", "US", "VL", "XA", "XC"}
)
# Values of Image Type (0008,0008) beyond the first two, PS3.3 C.7.6.1.1.2.
# Makers write them with a space or an underscore, and a result often as one word
# of several (AI_OVERLAY).
LOCALIZERS = frozenset({"LOCALIZER", "SCOUT", "TOPOGRAM"})
CAPTURES = frozenset(
    {"SCREEN", "SCREEN SAVE", "SCREENSAVE", "SCREENSHOT", "SCREEN SHOT", "CAPTURE"}
)
REJECTED = frozenset({"REJECT", "REJECTED"})
# Conversion Type (0008,0064) of what was drawn, captured or made up at a workstation, PS3.3
# C.8.6.1; film that was digitized (DF, DV) shows the exposure itself.
CONVERSIONS = frozenset({"WSD", "SD", "SI", "DRW", "SYN"})
# Whole descriptions of what is no exposure of the patient.
_CAPTURE = re.compile(
    r"^(?:screen ?(?:shot|save|capture)s?|scouts?|localizers?|topogram|dose (?:report|sheet|info)s?"
    r"|(?:radiation )?dose|patient protocol|exam protocol|test image|quality control|qc)$"
)
RESULTS = frozenset({"RESULT", "HEAT MAP"})
RESULT_WORDS = frozenset({"AI", "IA", "KI", "CAD", "HEATMAP", "SALIENCY", "ANNOTATED"})
# In a description, AI or KI says that an algorithm made the image where a word for a
# result stands near it: by itself it is Italian too (*RX ai polsi*, of the wrists), and
# IA also means intra-articular. The words are folded, with single spaces between them.
_AI = r"(?:(?<!j )a ?i|k ?i|cad)"
_RESULT = (
    r"(?:results?|resultats?|resultados?|risultat[io]|ergebnis(?:se)?|overlays?|detections?"
    r"|detected|deteccion|deteccao|rilevamento|detektion|erkennung|assist|assisted|assistance"
    r"|assistant|assistenz|assistiert|findings?|befunde?|hallazgos?|achados?|analysis|analyse"
    r"|analisis|analise|analysed|analyzed|annotated|annotations?|annotiert|annotee?s?|auswertung"
    r"|marked|markings?|outputs?|inference|predictions?|predicted|probability|generated)"
)
_FRACTURE = r"(?:fractures?|frakturen?|bone age)"  # IA fracture is an intra-articular one
_LOANED = r"(?:reports?|triage|scores?|summary|mask|positive|negative)"  # Italian has them, too
_OF = r"(?: (?:by|from|of|with|de|par|von|der))?"
_ALGORITHM = re.compile(
    rf"^(?:a ?i|k ?i|cad)$|\b{_AI}(?: \w+){{0,2}}? (?:{_RESULT}|{_FRACTURE})\b|\b{_AI} {_LOANED}\b"
    rf"|\bia(?: \w+)? {_RESULT}\b"
    # Behind the result, AI ends the text or another word for it follows: *report ai polsi*.
    rf"|\b(?:{_RESULT}|{_FRACTURE}|{_LOANED}){_OF} {_AI}(?: (?:{_RESULT}|{_FRACTURE})|(?: v?\d+)*$)"
    rf"|\b{_RESULT}{_OF} ia(?: v?\d+)*$"
    r"|\b(?:artificial intelligence|k(?:u|ue)nstliche intelligenz|intelligence artificielle"
    r"|inteligencia artificial|intelligenza artificiale|heat ?maps?|saliency|class activation"
    r"|deep learning|computer (?:aided|assisted) detection)\b"
    # Products that mark fractures.
    r"|\b(?:boneview|rayvolve|rbfracture|qmsk|lunit|annalise|gleamer|milvue)\b"
)
_CAD = re.compile(r"\bCAD\b")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the header of one object says that selection goes by."""

    kind: ObjectKind
    sop_class_name: str
    frames: int  # of pixels; 0 where there are none
    without_rows: bool = False  # it has pixels, and nothing says how many rows they make
    modality: str = ""
    image_type: tuple[str, ...] = ()
    algorithm: str = ""  # the algorithm that the header names as the image's maker
    conversion: str = ""  # Conversion Type
    quality_control: bool = False  # Quality Control Image (0028,0300): a phantom, no patient
    descriptions: tuple[str, ...] = ()  # of the series, its protocol, derivation and maker
    evidence: tuple[Evidence, ...] = ()  # of part and side


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a site decides about selection."""

    parts: PartTable = field(default=BUILT_IN)
    score_unknown_part: bool = False  # study.unknown_part


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The verdict on one instance."""

    study_type: StudyType | None = None
    part_from: str = ""  # the attribute that decided the study type
    side: Side = Side.UNKNOWN
    side_from: str = ""
    frames: int = 0  # views to score; 0 when it is not for the network
    reason: str | None = None  # why it is not


def select(subject: Subject, rules: Rules) -> Selection:
    """Decide whether an instance is for the network, and which part and side it shows.

    A part outside MURA's seven study types is never scored; one that is not
    known is, if the site asks for it.
    """
    if subject.kind is ObjectKind.NOT_AN_IMAGE or subject.frames == 0:
        return Selection(
            reason=reason(Code.NOT_AN_IMAGE, f"{subject.sop_class_name} {_why_no_image(subject)}")
        )
    part = find_part(subject.evidence, rules.parts)
    side, side_from = find_side(subject.evidence, rules.parts)
    excluded = _origin(subject) or _part(part, subject.evidence, rules) or _size(subject.frames)
    return Selection(
        study_type=part.study_type,
        part_from=part.decided_by,
        side=side,
        side_from=side_from,
        frames=0 if excluded else subject.frames,
        reason=excluded,
    )


def _why_no_image(subject: Subject) -> str:
    if subject.kind is ObjectKind.NOT_AN_IMAGE:
        return "is not an image"
    return "has no Rows (0028,0010)" if subject.without_rows else "has no pixels"


def _origin(subject: Subject) -> str | None:
    """Say why an image is no exposure of a patient, None if it is one.

    An algorithm's result must never be scored, above all not our own: it would
    be judged by what it says.
    """
    if subject.kind is ObjectKind.OTHER_IMAGE:
        return reason(
            Code.NOT_A_RADIOGRAPH,
            f"{subject.sop_class_name} is not a computed or digital radiograph",
        )
    if subject.modality.upper() in OTHER_MODALITIES:
        return reason(Code.NOT_A_RADIOGRAPH, f"its modality is {subject.modality}")
    if subject.conversion in CONVERSIONS:
        sentence = f"it was made at a workstation (Conversion Type {subject.conversion})"
        return reason(Code.NOT_A_RADIOGRAPH, sentence)
    if subject.quality_control:
        return reason(Code.NOT_A_RADIOGRAPH, "it is a quality control image")
    if subject.algorithm:
        return reason(Code.ALGORITHM_RESULT, f"it names the algorithm {subject.algorithm!r}")
    return _described(subject.descriptions) or _image_type(subject.image_type)


def _described(descriptions: Sequence[str]) -> str | None:
    for description in descriptions:
        words = " ".join(re.findall(r"[^\W_]+", fold(description)))
        if _ALGORITHM.search(words) or _CAD.search(description.replace("_", " ")):
            return reason(Code.ALGORITHM_RESULT, f"it is described as {description!r}")
        if _CAPTURE.search(words):
            return reason(Code.NOT_A_RADIOGRAPH, f"it is described as {description!r}")
    return None


def _image_type(image_type: Sequence[str]) -> str | None:
    """PS3.3 C.7.6.1.1.2: the second value is PRIMARY for what the examination itself made."""
    written = "\\".join(value.strip().upper() for value in image_type)
    values = [" ".join(re.split(r"[_\s-]+", value)) for value in written.split("\\")]
    for value in values:
        if value in RESULTS or not RESULT_WORDS.isdisjoint(value.split()):
            return reason(Code.ALGORITHM_RESULT, f"its Image Type is {written}")
        if value in LOCALIZERS:
            return reason(Code.NOT_A_RADIOGRAPH, f"it is a localizer (Image Type {written})")
        if value in CAPTURES:
            return reason(Code.NOT_A_RADIOGRAPH, f"it is a screen capture (Image Type {written})")
        if value in REJECTED:
            return reason(Code.NOT_A_RADIOGRAPH, f"it was rejected (Image Type {written})")
    if values[1:2] == ["SECONDARY"]:
        sentence = f"it was made after the examination (Image Type {written})"
        return reason(Code.NOT_A_RADIOGRAPH, sentence)
    return None


def _part(part: Part, evidence: Sequence[Evidence], rules: Rules) -> str | None:
    """Say why a part is not scored, None if it is."""
    match part.region:
        case Region.UPPER_EXTREMITY:
            return None
        case Region.OUTSIDE:
            sentence = f"{part.decided_by} is none of the seven study types"
            return reason(Code.OUTSIDE_UPPER_EXTREMITY, sentence)
        case Region.UNRECOGNISED:
            sentence = f"{part.decided_by} is in no table of parts; study.parts can name it"
            return reason(Code.UNKNOWN_PART, sentence)
        case Region.UNKNOWN:
            if rules.score_unknown_part:
                return None
            named = next((e.text for e in evidence if e.attribute == "BodyPartExamined"), "")
            vague = f", and BodyPartExamined {named!r} does not either" if named else ""
            return reason(Code.UNKNOWN_PART, f"no attribute names the part of the body{vague}")


def _size(frames: int) -> str | None:
    if frames <= MAX_FRAMES:
        return None
    return reason(Code.TOO_LARGE, f"{frames} frames in one instance, more than {MAX_FRAMES}")
