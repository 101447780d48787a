"""Pictures wrapped as Digital X-Ray images, for trying the daemon and for testing it.

What comes out is a Digital X-Ray Image - For Presentation (PS3.3 A.26) of one
frame, uncompressed. An 8-bit picture is already windowed: its values are the
P-values, so the daemon sees the same numbers as in the picture's file. A
picture of more bits is 12-bit detector output with a window.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from triage.core.study import Side
from triage.core.studytype import StudyType

STORED_BITS = 12

# PS3.16 annex L, CID 4031: Body Part Examined goes with the code of Anatomic Region.
_REGIONS = {
    StudyType.ELBOW: codes.cid4031.ElbowJoint,
    StudyType.FINGER: codes.cid4031.Finger,
    StudyType.FOREARM: codes.cid4031.Forearm,
    StudyType.HAND: codes.cid4031.Hand,
    StudyType.HUMERUS: codes.cid4031.Humerus,
    StudyType.SHOULDER: codes.cid4031.Shoulder,
    StudyType.WRIST: codes.cid4031.WristJoint,
}
# View Position (0018,5101), PS3.3 C.8.11.5, with the code of CID 4010.
_VIEWS = {
    "AP": codes.cid4010.AnteroPosterior,
    "PA": codes.cid4010.PosteroAnterior,
    "LL": codes.cid4010.LeftLateral,
    "RL": codes.cid4010.RightLateral,
    "LLO": codes.cid4010.LeftOblique,
    "RLO": codes.cid4010.RightOblique,
}


@dataclass(frozen=True, kw_only=True)
class StudyHeader:
    """What the images of one made-up study share."""

    study_instance_uid: str
    study_type: StudyType | None  # None leaves Body Part Examined away
    side: Side = Side.UNKNOWN
    accession_number: str = ""  # at most 16 characters
    patient_id: str = ""
    patient_name: str = ""  # as DICOM writes it, FAMILY^GIVEN
    description: str = ""
    acquired: datetime | None = None


def uid(*entropy: str) -> str:
    """Return a UID that is new, or always the same for the same *entropy* (PS3.5 B.2)."""
    made = uuid5(NAMESPACE_OID, "\0".join(("triage", *entropy))) if entropy else uuid4()
    return f"2.25.{made.int}"


def digital_radiograph(
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    study: StudyHeader,
    *,
    series_instance_uid: str | None = None,
    sop_instance_uid: str | None = None,
    number: int = 1,
    view_position: str = "",
    spacing: float = 0.15,
    jpeg_ratio: float | None = None,
) -> Dataset:
    """Wrap *pixels* (H, W), uint8 as they are to be seen or uint16 of 12 bits, as a DX image.

    Bright is dense (MONOCHROME2). *spacing* is mm between pixels at the
    detector, *jpeg_ratio* by how much a JPEG had been compressed. The data set carries its file meta information, so it can be sent
    or saved. Raises ValueError for other arrays.
    """
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels are (H, W) of uint8 or uint16, not {pixels.shape} {pixels.dtype}")
    dataset = Dataset()
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = sop_instance_uid or uid()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _identify(
        dataset, study, series_instance_uid or uid(study.study_instance_uid, "series"), number
    )
    _place(dataset, study, view_position)
    _expose(dataset, spacing)
    _fill(dataset, pixels)
    if jpeg_ratio is not None:  # PS3.3 C.7.6.1.1.5: once lossy, always said
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
        dataset.LossyImageCompressionRatio = f"{jpeg_ratio:.1f}"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def save(dataset: Dataset, path: Path) -> None:
    """Write *dataset* as a DICOM file (PS3.10)."""
    dataset.save_as(path, enforce_file_format=True)


def _identify(dataset: Dataset, study: StudyHeader, series_instance_uid: str, number: int) -> None:
    """Patient, General Study, General Series, General Equipment (PS3.3 C.7.1 to C.7.5)."""
    dataset.PatientName = study.patient_name
    dataset.PatientID = study.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = ""
    dataset.StudyInstanceUID = study.study_instance_uid
    dataset.SeriesInstanceUID = series_instance_uid
    dataset.AccessionNumber = study.accession_number
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    if study.description:
        dataset.StudyDescription = study.description
    day, time = ("", "")
    if study.acquired is not None:
        day, time = study.acquired.strftime("%Y%m%d"), study.acquired.strftime("%H%M%S")
        dataset.AcquisitionDate, dataset.AcquisitionTime = day, time
    dataset.StudyDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.ContentTime = time
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.Manufacturer = "Triage"
    dataset.ManufacturerModelName = "Wrapped picture"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = number


def _place(dataset: Dataset, study: StudyHeader, view_position: str) -> None:
    """DX Anatomy Imaged and DX Positioning (PS3.3 C.8.11.2, C.8.11.5)."""
    # U: an unpaired part is the nearest that the attribute offers to "not known".
    dataset.ImageLaterality = study.side or "U"
    dataset.AnatomicRegionSequence = Sequence()
    if study.study_type is not None:
        dataset.BodyPartExamined = study.study_type.upper()
        dataset.AnatomicRegionSequence.append(_item(_REGIONS[study.study_type]))
    dataset.ViewPosition = view_position
    dataset.PositionerType = "NONE"
    if view_position in _VIEWS:
        dataset.ViewCodeSequence = Sequence([_item(_VIEWS[view_position])])
        dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence()
    # Required; a limb that hangs is taken, as nobody knows better of a picture.
    dataset.PatientOrientation = ["A" if view_position in ("LL", "RL") else "L", "F"]


def _item(code: Any) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code[:3]
    return item


def _expose(dataset: Dataset, spacing: float) -> None:
    """DX Detector, DX Image and Acquisition Context (PS3.3 C.8.11.3, C.8.11.4, C.7.6.14)."""
    dataset.DetectorType = "DIRECT"
    dataset.ImagerPixelSpacing = [f"{spacing:.4g}", f"{spacing:.4g}"]
    dataset.ImageType = ["DERIVED", "PRIMARY", ""]
    dataset.AcquisitionContextSequence = Sequence()
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "IDENTITY"


def _fill(dataset: Dataset, pixels: NDArray[Any]) -> None:
    """Image Pixel and VOI LUT (PS3.3 C.7.6.3, C.11.2)."""
    eight = pixels.dtype == np.uint8
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 8 if eight else 16
    dataset.BitsStored = 8 if eight else STORED_BITS
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = ("128", "256") if eight else _window(pixels)
    data = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
    dataset.add_new("PixelData", "OW", data + b"\0" * (len(data) % 2))


def _window(pixels: NDArray[Any]) -> tuple[str, str]:
    """Return centre and width that show all but the darkest and brightest few of the exposed pixels."""
    if int(pixels.max(initial=0)) >= 2**STORED_BITS:
        raise ValueError(f"a picture of 16 bits holds {STORED_BITS} of them, not {pixels.max()}")
    exposed = pixels[pixels > 0]
    low, high = np.percentile(exposed, (0.5, 99.8)) if exposed.size else (0.0, 0.0)
    width = max(2, round(float(high - low)) + 1)
    return f"{round(float(low)) + width // 2}", f"{width}"
