"""What the header of an object says, read without touching its pixels."""

import hashlib
import re
import zlib
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from triage.core.selection import Subject
from triage.core.study import Exposure
from triage.dicom import evidence, field, origin
from triage.dicom.imagepixel import whole
from triage.dicom.sopclasses import kind_of, name_of
from triage.dicom.text import text
from triage.errors import BadInstance

_PIXELS = (Tag(0x7FE0, 0x0008), Tag(0x7FE0, 0x0009), Tag(0x7FE0, 0x0010))
_MAX_INFLATED = 256 * 2**20  # bytes of a deflated data set that are looked at here
_KEYWORDS = [
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"),
    *("SeriesInstanceUID", "AccessionNumber", "PatientID", "PatientName", "StudyDescription"),
    *("Modality", "BodyPartExamined", "NumberOfFrames", "Rows", "Columns"),
    *origin.KEYWORDS,
    *evidence.KEYWORDS,
    *field.KEYWORDS,
]
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
    body_part: str
    subject: Subject
    exposure: Exposure
    exposed_field: str  # what a view of it is cropped to; "" where it is the whole image
    pixel_digest: str = ""  # SHA-256 of the value of Pixel Data; "" where there is none


def read_header(data: bytes, *, transfer_syntax_uid: str) -> Header:
    """Read the header of an encoded data set, without preamble and file meta information.

    Raises BadInstance when it is unreadable or lacks an identifier.
    """
    syntax = UID(transfer_syntax_uid)
    try:
        plain = _inflate(data) if syntax.is_deflated else data
        stream = BytesIO(plain)
        dataset = read_dataset(
            stream,
            is_implicit_VR=syntax.is_implicit_VR,
            is_little_endian=syntax.is_little_endian,
            stop_when=lambda tag, _vr, _length: tag in _PIXELS,
            specific_tags=[Tag(keyword) for keyword in _KEYWORDS],
        )
        pixels = _value(memoryview(plain)[stream.tell() :], syntax)
        header = _header(dataset, transfer_syntax_uid, has_pixels=bool(pixels))
    except BadInstance:
        raise
    except Exception as error:  # a hostile data set raises anything, from anywhere in pydicom
        raise BadInstance(f"the data set cannot be read ({type(error).__name__})") from error
    return _with_digest(header, pixels)


def _with_digest(header: Header, pixels: memoryview) -> Header:
    if not header.subject.frames:
        return header
    return replace(header, pixel_digest=hashlib.sha256(pixels).hexdigest())


def _value(element: memoryview, syntax: UID) -> memoryview:
    """Cut the value out of the Pixel Data element, which the native encodings frame differently.

    So the same native pixels have one digest; PS3.5 7.1.2 and 7.1.3. What
    follows an undefined length, a compressed image, is taken whole.
    """
    start = 8 if syntax.is_implicit_VR else 12
    order: Literal["little", "big"] = "little" if syntax.is_little_endian else "big"
    length = int.from_bytes(element[start - 4 : start], order)
    return element[start:] if length == 0xFFFFFFFF else element[start : start + length]


def read_file_header(path: Path) -> Header:
    """Read the header of a PS3.10 file; the ``pixel_digest`` of a deflated one stays empty.

    Raises BadInstance, and OSError for the file itself.
    """
    with path.open("rb") as file:
        try:
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_KEYWORDS)
            syntax = UID(dataset.file_meta.TransferSyntaxUID)
            header = _header(dataset, str(syntax), has_pixels="Rows" in dataset)
            if syntax.is_deflated:
                return header
            return _with_digest(header, _value(memoryview(file.read()), syntax))
        except BadInstance as error:
            raise BadInstance(f"{path}: {error}") from error
        except Exception as error:
            raise BadInstance(f"{path} is not a DICOM file that can be read") from error


def _inflate(data: bytes) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _MAX_INFLATED)


def _header(dataset: Dataset, transfer_syntax_uid: str, *, has_pixels: bool) -> Header:
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
        body_part=text(dataset, "BodyPartExamined"),
        subject=Subject(
            kind=kind_of(sop_class_uid),
            sop_class_name=name_of(sop_class_uid),
            frames=_frames(dataset) if has_pixels and "Rows" in dataset else 0,
            modality=text(dataset, "Modality"),
            image_type=origin.image_type(dataset),
            algorithm=origin.algorithm(dataset),
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
