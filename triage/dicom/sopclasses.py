"""The SOP classes that the receiver offers, and what each is to us.

CR and DX are scored. What else a department sends with them (captures,
reports, presentation states, notes, other modalities, results of algorithms) is
stored, so that a mixed study is not refused. Source: PS3.4 annex B.5, PS3.6 annex A.
"""

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from triage.core.selection import ObjectKind
from triage.dicom import codecs

VERIFICATION = "1.2.840.10008.1.1"

RADIOGRAPHS = (
    "1.2.840.10008.5.1.4.1.1.1",  # Computed Radiography Image
    "1.2.840.10008.5.1.4.1.1.1.1",  # Digital X-Ray Image, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # Digital X-Ray Image, for processing
)
OTHER_IMAGES = (
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.7.1",  # Multi-frame Single Bit Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.7.4",  # Multi-frame True Color Secondary Capture Image
    "1.2.840.10008.5.1.4.1.1.12.1",  # X-Ray Angiographic Image
    "1.2.840.10008.5.1.4.1.1.12.2",  # X-Ray Radiofluoroscopic Image
    "1.2.840.10008.5.1.4.1.1.1.2",  # Digital Mammography X-Ray Image, for presentation
    "1.2.840.10008.5.1.4.1.1.1.2.1",  # Digital Mammography X-Ray Image, for processing
    "1.2.840.10008.5.1.4.1.1.1.3",  # Digital Intra-Oral X-Ray Image, for presentation
    "1.2.840.10008.5.1.4.1.1.1.3.1",  # Digital Intra-Oral X-Ray Image, for processing
    "1.2.840.10008.5.1.4.1.1.13.1.3",  # Breast Tomosynthesis Image
    "1.2.840.10008.5.1.4.1.1.2",  # CT Image
    "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image
    "1.2.840.10008.5.1.4.1.1.4",  # MR Image
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
    "1.2.840.10008.5.1.4.1.1.20",  # Nuclear Medicine Image
    "1.2.840.10008.5.1.4.1.1.128",  # Positron Emission Tomography Image
    "1.2.840.10008.5.1.4.1.1.77.1.4",  # VL Photographic Image
    "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map: what an algorithm found
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation, likewise
)
NOT_IMAGES = (
    "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text SR
    "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.50",  # Mammography CAD SR
    "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection Document
    "1.2.840.10008.5.1.4.1.1.88.65",  # Chest CAD SR
    "1.2.840.10008.5.1.4.1.1.88.67",  # X-Ray Radiation Dose SR
    "1.2.840.10008.5.1.4.1.1.11.1",  # Grayscale Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.11.2",  # Color Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.11.3",  # Pseudo-Color Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.11.4",  # Blending Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
    "1.2.840.10008.5.1.4.1.1.66",  # Raw Data
)

_STORED = frozenset((*RADIOGRAPHS, *OTHER_IMAGES, *NOT_IMAGES))


def kind_of(sop_class_uid: str) -> ObjectKind:
    """Say what instances of this SOP class are to us."""
    if sop_class_uid in RADIOGRAPHS:
        return ObjectKind.RADIOGRAPH
    return ObjectKind.OTHER_IMAGE if sop_class_uid in OTHER_IMAGES else ObjectKind.NOT_AN_IMAGE


def is_stored(sop_class_uid: str) -> bool:
    """Say whether instances of this SOP class are taken."""
    return sop_class_uid in _STORED


def name_of(sop_class_uid: str) -> str:
    """Return the SOP class's name for people, the UID where it has none here."""
    return str(UID(sop_class_uid).name)


def offer() -> list[tuple[str, list[str]]]:
    """Return the SOP classes and transfer syntaxes to accept.

    What is meant and no more, because every pair slows each negotiation: images
    in the syntaxes that this installation decodes, the rest uncompressed.
    """
    images = list(codecs.negotiable())
    plain = [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    ]
    return [
        (VERIFICATION, [ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
        *((sop_class, images) for sop_class in (*RADIOGRAPHS, *OTHER_IMAGES)),
        *((sop_class, plain) for sop_class in NOT_IMAGES),
    ]
