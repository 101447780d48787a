"""What a department sends beside radiographs, and radiographs that are damaged."""

from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
)

from tests.support import studies
from triage.dicom import radiograph


def report(study: str) -> Dataset:
    """Return a Basic Text SR of the study named *study*."""
    made = _object(study, BasicTextSRStorage, "SR")
    made.CompletionFlag = "COMPLETE"
    made.ValueType = "CONTAINER"
    return made


def presentation_state(study: str) -> Dataset:
    """Return a Grayscale Softcopy Presentation State."""
    made = _object(study, GrayscaleSoftcopyPresentationStateStorage, "PR")
    made.ContentLabel = "ROTATED"
    return made


def secondary_capture(study: str, pixels: Any) -> Dataset:
    """Return a Secondary Capture of a hand, which is an image and no radiograph."""
    made = studies.make(study, pixels, 90)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    made.Modality = "OT"
    return made


def truncated(study: str, pixels: Any, number: int) -> Dataset:
    """Return a radiograph with the second half of its pixel data cut away."""
    made = studies.make(study, pixels, number)
    half = made.Rows // 2 * made.Columns
    made.PixelData = made.PixelData[: half - half % 2]
    return made


def _object(study: str, sop_class_uid: str, modality: str) -> Dataset:
    made = Dataset()
    made.SOPClassUID = sop_class_uid
    made.SOPInstanceUID = radiograph.uid("instance", study, modality)
    made.StudyInstanceUID = studies.study_uid(study)
    made.SeriesInstanceUID = radiograph.uid("series", study, modality)
    made.Modality = modality
    made.PatientName = made.PatientID = made.AccessionNumber = ""
    made.StudyDate = made.StudyTime = ""
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made
