"""What a header says of how its image came to be: which exposure, or which algorithm."""

from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForProcessing

from triage.core.study import Exposure, Intent
from triage.dicom.text import items, text

# An object that holds one of these describes the algorithm that made it
# (PS3.3 10.16, Algorithm Identification Macro).
_ALGORITHMS = ("AlgorithmName", "AlgorithmVersion", "AlgorithmSource")
_ALGORITHM_CODES = ("AlgorithmNameCodeSequence", "AlgorithmFamilyCodeSequence")
_DESCRIPTIONS = (
    *("SeriesDescription", "DerivationDescription", "ProtocolName", "ImageComments"),
    *("Manufacturer", "ManufacturerModelName"),
)

KEYWORDS = (
    *("ImageType", "PresentationIntentType", "IrradiationEventUID", "ViewPosition"),
    *("AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime", "SourceImageSequence"),
    *("ConversionType", "QualityControlImage", "ContributingEquipmentSequence"),
    *_ALGORITHMS,
    *_ALGORITHM_CODES,
    *_DESCRIPTIONS,
)


def image_type(dataset: Dataset) -> tuple[str, ...]:
    """Return the values of Image Type (0008,0008)."""
    written = text(dataset, "ImageType")
    return tuple(written.split("\\")) if written else ()


def algorithm(dataset: Dataset) -> str:
    """Name the algorithm that the image says it was made by, "" where it names none."""
    for keyword in _ALGORITHMS:
        if named := text(dataset, keyword):
            return named
    for keyword in _ALGORITHM_CODES:
        for item in items(dataset, keyword):
            return text(item, "CodeMeaning") or text(item, "CodeValue") or keyword
    return ""


def descriptions(dataset: Dataset) -> tuple[str, ...]:
    """Return the texts in which the maker of a result says that it is one."""
    makers = [dataset, *items(dataset, "ContributingEquipmentSequence")]
    written = (text(maker, keyword) for maker in makers for keyword in _DESCRIPTIONS)
    return tuple(filter(None, written))


def exposure(dataset: Dataset, sop_class_uid: str) -> Exposure:
    """Return what tells this exposure from others (PS3.3 C.8.11.1, C.8.7.2, C.12.1.1.1)."""
    return Exposure(
        intent=_intent(dataset, sop_class_uid),
        event=text(dataset, "IrradiationEventUID"),
        acquired=_acquired(dataset),
        view_position=text(dataset, "ViewPosition").upper(),
        source=_source(dataset),
    )


def _intent(dataset: Dataset, sop_class_uid: str) -> Intent:
    """The SOP class says it (PS3.4 B.5); CR has but one and may carry the attribute."""
    written = text(dataset, "PresentationIntentType").upper()
    if sop_class_uid == DigitalXRayImageStorageForProcessing or written == "FOR PROCESSING":
        return Intent.PROCESSING
    return Intent.PRESENTATION if written == "FOR PRESENTATION" else Intent.UNKNOWN


def _acquired(dataset: Dataset) -> str:
    """Date and time together; a date alone tells no exposure from another."""
    date, time = text(dataset, "AcquisitionDate"), text(dataset, "AcquisitionTime")
    return text(dataset, "AcquisitionDateTime") or (date + time if time else "")


def _source(dataset: Dataset) -> str:
    """Return the image that this was made from; one that was composed of several has none."""
    sources = {
        text(item, "ReferencedSOPInstanceUID") for item in items(dataset, "SourceImageSequence")
    }
    return sources.pop() if len(sources) == 1 else ""
