"""From a header to what may say which part and side an image shows.

The order is that of `read_evidence`: from what is nearest to the image to what
is nearest to the study, since one study may hold several parts. Sources: PS3.3
10.5 (anatomic region), C.8.11.5 (DX positioning, views), C.7.3.1 and C.8.7.10
(series, CR), C.7.2.1 and 10.6 (study and request attributes).
"""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from triage.core.anatomy import Coded, Evidence
from triage.dicom.text import MAX_ITEMS, items, text

_MAX_REQUESTS = 8  # procedure steps that an image answers to

# Each keyword with the sequence of modifiers in its items.
_ANATOMY = {
    "AnatomicRegionSequence": "AnatomicRegionModifierSequence",
    "PrimaryAnatomicStructureSequence": "PrimaryAnatomicStructureModifierSequence",
    "ViewCodeSequence": "ViewModifierCodeSequence",
}
_LATERALITY = ("ImageLaterality", "FrameLaterality", "Laterality")
_REQUEST = "RequestAttributesSequence"
_REQUESTED = (
    "ScheduledProtocolCodeSequence",
    "ScheduledProcedureStepDescription",
    "RequestedProcedureCodeSequence",
    "RequestedProcedureDescription",
)
_GROUPS, _FRAME_ANATOMY = "SharedFunctionalGroupsSequence", "FrameAnatomySequence"
_BEFORE_REQUEST = (
    *_LATERALITY,
    "BodyPartExamined",
    *_ANATOMY,
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "SeriesDescription",
    "PerformedProtocolCodeSequence",
    "PerformedProcedureStepDescription",
    "ProcedureCodeSequence",
)
_AFTER_REQUEST = (
    "RequestedProcedureCodeSequence",
    "RequestedProcedureDescription",
    "StudyDescription",
)
KEYWORDS = (*_BEFORE_REQUEST, *_AFTER_REQUEST, _REQUEST, _GROUPS)


def read_evidence(dataset: Dataset) -> tuple[Evidence, ...]:
    """Read every attribute that may name a part or a side; what is damaged is left out."""
    return tuple(_all(dataset))


def _all(dataset: Dataset) -> Iterator[Evidence]:
    for group in items(dataset, _GROUPS)[:1]:  # multi-frame images have them there
        for anatomy in items(group, _FRAME_ANATOMY)[:1]:
            yield from _read(anatomy, ("FrameLaterality", "AnatomicRegionSequence"))
    yield from _read(dataset, _BEFORE_REQUEST)
    for request in items(dataset, _REQUEST)[:_MAX_REQUESTS]:
        yield from _read(request, _REQUESTED, within=f"{_REQUEST}.")
    yield from _read(dataset, _AFTER_REQUEST)


def _read(dataset: Dataset, keywords: tuple[str, ...], within: str = "") -> Iterator[Evidence]:
    for keyword in keywords:
        if keyword.endswith("Sequence"):
            if codes := tuple(_codes(dataset, keyword))[:MAX_ITEMS]:
                yield Evidence(attribute=within + keyword, codes=codes)
        elif written := text(dataset, keyword):
            yield Evidence(attribute=within + keyword, text=written)


def _codes(dataset: Dataset, keyword: str) -> Iterator[Coded]:
    """Read the items of a code sequence, each followed by its modifiers (PS3.3 8.8)."""
    for item in items(dataset, keyword):
        coded = Coded(
            scheme=text(item, "CodingSchemeDesignator"),
            value=text(item, "CodeValue")
            or text(item, "LongCodeValue")
            or text(item, "URNCodeValue"),
            meaning=text(item, "CodeMeaning"),
        )
        if coded.value or coded.meaning:
            yield coded
        if (modifiers := _ANATOMY.get(keyword)) is not None:
            yield from _codes(item, modifiers)
