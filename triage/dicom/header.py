"""What the header of an object says, read without touching its pixels."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from blake3 import blake3
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from triage.core.selection import Subject
from triage.core.study import Exposure
from triage.dicom import evidence, field, origin
from triage.dicom.excerpt import UNDEFINED, Excerpt, Inflated, Source, TooMuch, read_excerpt
from triage.dicom.fileformat import blaming, read_transfer_syntax
from triage.dicom.fragments import Fragments
from triage.dicom.imagepixel import whole
from triage.dicom.sopclasses import kind_of, name_of
from triage.dicom.text import text
from triage.errors import BadInstance

_WANTED = {
    int(Tag(keyword)): dictionary_VR(keyword)
    for keyword in (
        *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"),
        *("SeriesInstanceUID", "AccessionNumber", "PatientID", "PatientName", "StudyDescription"),
        "StationName",
        *("Modality", "BodyPartExamined", "NumberOfFrames", "Rows", "Columns"),
        *origin.KEYWORDS,
        *evidence.KEYWORDS,
        *field.KEYWORDS,
    )
}
_CHUNK = 64 * 1024  # bytes of pixels that are read at a time
# PS3.5 9.1 allows digits and dots. Peers that put letters into UIDs exist and
# mean it; what would break a log line or a query is refused.
_UID = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, kw_only=True)
class Header:
    """The facts that grouping, selection and the worklist need."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    accession_number: str
    patient_id: str
    patient_name: str
    study_description: str
    station: str
    body_part: str
    subject: Subject
    exposure: Exposure
    exposed_field: str  # what a view of it is cropped to; "" where it is the whole image
    pixel_digest: str = ""  # BLAKE3 of the value of Pixel Data; "" where there is none


def read_header(*fragments: bytes | bytearray | memoryview, transfer_syntax_uid: str) -> Header:
    """Read the header of an encoded data set, without preamble and file meta information.

    Its cost is bounded, whatever the bytes: what is absurdly long is left out,
    and where the walk to the pixels is too long, their digest is. Raises
    BadInstance when it is unreadable or lacks an identifier, and MemoryError.
    """
    try:
        return _read(Fragments(fragments), UID(transfer_syntax_uid), digest=True)
    except (BadInstance, MemoryError):  # for want of memory no object is a bad one
        raise
    except Exception as error:  # a hostile data set raises anything, from anywhere in pydicom
        raise BadInstance(f"the data set cannot be read ({type(error).__name__})") from error


def read_file_header(path: Path, *, digest: bool = True) -> Header:
    """Read the header of a PS3.10 file; without *digest* its pixels are not read.

    Raises BadInstance, OSError for the file itself, and MemoryError.
    """
    with path.open("rb") as file, blaming(path):
        return _read(file, UID(read_transfer_syntax(file)), digest=digest)


def _read(source: Source, syntax: UID, *, digest: bool) -> Header:
    if syntax.is_deflated:
        source = Inflated(source)
    excerpt = read_excerpt(source, little_endian=syntax.is_little_endian, wanted=_WANTED)
    has_pixels, pixel_digest = _pixels(source, excerpt, digest=digest)
    try:
        header = _header(
            excerpt.dataset,
            str(syntax),
            has_pixels=has_pixels,
            without_rows=excerpt.pixels is not None and "Rows" not in excerpt.dataset,
        )
    except BadInstance as error:
        if excerpt.too_long:
            raise BadInstance(f"{error}: the header is too long") from error
        raise
    return replace(header, pixel_digest=pixel_digest)


def _pixels(source: Source, excerpt: Excerpt, *, digest: bool) -> tuple[bool, str]:
    """Return whether it is an image, as far as was read, and the pixels' digest or "".

    It is that of the value of Pixel Data, which the native encodings frame
    differently: so the same native pixels have one digest (PS3.5 7.1.2 and
    7.1.3). What follows an undefined length, a compressed image, is taken whole.
    """
    if excerpt.pixels is None:
        return not excerpt.whole, ""  # the decoder says what is wrong with it
    if "Rows" not in excerpt.dataset:
        return False, ""
    left = float("inf") if excerpt.pixels == UNDEFINED else excerpt.pixels
    found = blake3()
    try:
        chunk = source.read(int(min(left, _CHUNK)))
        has_pixels = bool(chunk)
        while digest and chunk:
            found.update(chunk)
            left -= len(chunk)
            chunk = source.read(int(min(left, _CHUNK)))
    except TooMuch:
        return True, ""
    return has_pixels, found.hexdigest() if digest and has_pixels else ""


def _header(
    dataset: Dataset, transfer_syntax_uid: str, *, has_pixels: bool, without_rows: bool
) -> Header:
    sop_class_uid = _uid(dataset, "SOPClassUID")
    return Header(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=_uid(dataset, "SOPInstanceUID"),
        study_instance_uid=_uid(dataset, "StudyInstanceUID"),
        # A missing series hides nothing: the study is what counts.
        series_instance_uid=text(dataset, "SeriesInstanceUID"),
        transfer_syntax_uid=transfer_syntax_uid,
        accession_number=text(dataset, "AccessionNumber"),
        patient_id=text(dataset, "PatientID"),
        patient_name=text(dataset, "PatientName"),
        study_description=text(dataset, "StudyDescription"),
        station=text(dataset, "StationName"),
        body_part=text(dataset, "BodyPartExamined"),
        subject=Subject(
            kind=kind_of(sop_class_uid),
            sop_class_name=name_of(sop_class_uid),
            frames=_frames(dataset) if has_pixels else 0,
            without_rows=without_rows,
            modality=text(dataset, "Modality"),
            image_type=origin.image_type(dataset),
            algorithm=origin.algorithm(dataset),
            conversion=text(dataset, "ConversionType").upper(),
            quality_control=text(dataset, "QualityControlImage").upper() == "YES",
            descriptions=origin.descriptions(dataset),
            evidence=evidence.read_evidence(dataset),
        ),
        exposure=origin.exposure(dataset, sop_class_uid),
        exposed_field=_exposed_field(dataset),
    )


def _exposed_field(dataset: Dataset) -> str:
    rows, columns = (whole(dataset, name, 0) for name in ("Rows", "Columns"))
    found = field.exposed_field(dataset, rows, columns)
    return "" if found is None else str(found)


def _uid(dataset: Dataset, keyword: str) -> str:
    value = text(dataset, keyword)
    if not _UID.fullmatch(value):
        raise BadInstance(f"{keyword} is missing" if not value else f"{keyword} is not a UID")
    return value


def _frames(dataset: Dataset) -> int:
    """Number of Frames (0028,0008); an absurd one counts as one frame."""
    written = text(dataset, "NumberOfFrames")
    return int(written) if written.isascii() and written.isdigit() and int(written) > 0 else 1
