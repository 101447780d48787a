"""What may say part and side, read from headers as they are."""

import random
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from triage.core.anatomy import BUILT_IN, Coded, Region, find_part
from triage.core.laterality import find_side
from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.dicom.evidence import KEYWORDS, read_evidence
from triage.dicom.text import MAX_ITEMS, MAX_TEXT


def item(value="", meaning="", scheme="99X", **more):
    dataset = Dataset()
    dataset.CodeValue, dataset.CodingSchemeDesignator, dataset.CodeMeaning = value, scheme, meaning
    for keyword, content in more.items():
        setattr(dataset, keyword, content)
    return dataset


def header(**attributes):
    dataset = Dataset()
    with disable_value_validation():
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
    return dataset


def attributes(dataset):
    return [evidence.attribute for evidence in read_evidence(dataset)]


def test_evidence_comes_from_the_image_to_the_study():
    request = header(
        ScheduledProtocolCodeSequence=[item("1")],
        ScheduledProcedureStepDescription="a",
        RequestedProcedureCodeSequence=[item("2")],
        RequestedProcedureDescription="b",
    )
    dataset = header(
        StudyDescription="x",
        RequestedProcedureDescription="x",
        RequestedProcedureCodeSequence=[item("3")],
        RequestAttributesSequence=[request],
        ProcedureCodeSequence=[item("4")],
        PerformedProcedureStepDescription="x",
        PerformedProtocolCodeSequence=[item("5")],
        SeriesDescription="x",
        AcquisitionDeviceProcessingDescription="x",
        ProtocolName="x",
        ViewCodeSequence=[item("6")],
        PrimaryAnatomicStructureSequence=[item("7")],
        AnatomicRegionSequence=[item("8")],
        BodyPartExamined="x",
        Laterality="L",
        ImageLaterality="L",
    )

    assert attributes(dataset) == [
        "ImageLaterality",
        "Laterality",
        "BodyPartExamined",
        "AnatomicRegionSequence",
        "PrimaryAnatomicStructureSequence",
        "ViewCodeSequence",
        "ProtocolName",
        "AcquisitionDeviceProcessingDescription",
        "SeriesDescription",
        "PerformedProtocolCodeSequence",
        "PerformedProcedureStepDescription",
        "ProcedureCodeSequence",
        "RequestAttributesSequence.ScheduledProtocolCodeSequence",
        "RequestAttributesSequence.ScheduledProcedureStepDescription",
        "RequestAttributesSequence.RequestedProcedureCodeSequence",
        "RequestAttributesSequence.RequestedProcedureDescription",
        "RequestedProcedureCodeSequence",
        "RequestedProcedureDescription",
        "StudyDescription",
    ]


def test_every_attribute_that_is_read_is_asked_of_the_file():
    assert {name.partition(".")[0] for name in KEYWORDS} == set(KEYWORDS)
    assert all(Tag(keyword) for keyword in KEYWORDS)


def test_modifiers_stand_behind_their_code():
    left = item("7771000", "Left", "SCT")
    region = item("85562004", "Hand", "SCT", AnatomicRegionModifierSequence=[left])
    view = item("399067008", "lateral", "SCT", ViewModifierCodeSequence=[left])

    region_said, view_said = read_evidence(
        header(AnatomicRegionSequence=[region], ViewCodeSequence=[view])
    )

    assert region_said.codes == (Coded("SCT", "85562004", "Hand"), Coded("SCT", "7771000", "Left"))
    assert view_said.codes[1] == Coded("SCT", "7771000", "Left")


def test_long_codes_and_the_anatomy_of_multi_frame_images_are_read():
    long = item(meaning="Hand")
    del long.CodeValue
    long.LongCodeValue = "123456789012345678"
    anatomy = header(FrameLaterality="R", AnatomicRegionSequence=[long])
    groups = header(FrameAnatomySequence=[anatomy])

    side, region = read_evidence(header(SharedFunctionalGroupsSequence=[groups]))

    assert (side.attribute, side.text) == ("FrameLaterality", "R")
    assert region.codes == (Coded("99X", "123456789012345678", "Hand"),)


def test_nothing_is_read_without_bound():
    dataset = header(
        StudyDescription="a\x00b" * 9000,
        ProcedureCodeSequence=[item(str(n), "x" * 9000) for n in range(500)],
        RequestAttributesSequence=[header(RequestedProcedureDescription="a")] * 500,
    )

    evidence = read_evidence(dataset)

    assert len(evidence) < 16
    assert all(len(said.codes) <= MAX_ITEMS for said in evidence)
    assert all(len(code.meaning) <= MAX_TEXT for said in evidence for code in said.codes)
    assert len(evidence[-1].text) == MAX_TEXT
    assert "\x00" not in evidence[-1].text


def test_damaged_values_are_left_out():
    dataset = Dataset()
    for keyword in KEYWORDS:
        tag = Tag(keyword)
        dataset._dict[tag] = RawDataElement(
            tag, "SQ", 8, b"\xff\xfe\xdd\x01garb", 0, True, True, True
        )
    dataset._dict[Tag("StudyDescription")] = DataElement(Tag("StudyDescription"), "LO", "Hand")

    assert attributes(dataset)[-1] == "StudyDescription"


def test_a_text_where_a_sequence_belongs_says_nothing():
    dataset = Dataset()
    tag = Tag("AnatomicRegionSequence")
    dataset[tag] = DataElement(tag, "LO", "Hand")

    assert read_evidence(dataset) == ()


@pytest.mark.parametrize("seed", range(200))
def test_any_bytes_leave_the_reader_standing(seed):
    chance = random.Random(seed)  # noqa: S311  damage, not secrets
    dataset = Dataset()
    for keyword in KEYWORDS:
        tag = Tag(keyword)
        value = chance.randbytes(chance.randrange(64))
        vr = chance.choice(["SQ", "LO", "CS", "UN", "US", "DS", "PN", "OB"])
        raw = RawDataElement(tag, vr, len(value), value, 0, chance.random() < 0.5, True, True)
        dataset._dict[tag] = raw

    for said in read_evidence(dataset):
        assert len(said.text) <= MAX_TEXT


def nested(depth):
    innermost = item("1", "Hand")
    for _ in range(depth):
        innermost = item("1", "Hand", AnatomicRegionModifierSequence=Sequence([innermost]))
    return innermost


def test_deep_nesting_ends():
    evidence = read_evidence(header(AnatomicRegionSequence=[nested(300)]))

    assert len(evidence[0].codes) <= MAX_ITEMS


@pytest.mark.parametrize(
    ("name", "region", "side", "decided_by"),
    [
        ("RG1_UNCR.dcm", Region.OUTSIDE, Side.UNKNOWN, "BodyPartExamined 'CHEST'"),
        # Its BodyPartExamined is EXTREMITY.
        (
            "RG3_UNCR.dcm",
            Region.OUTSIDE,
            Side.RIGHT,
            "AcquisitionDeviceProcessingDescription '[LOWER LEG         ]'",
        ),
    ],
)
def test_real_radiographs_of_other_parts_are_outside(name, region, side, decided_by):
    path = Path(get_testdata_file(name, download=False))
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(KEYWORDS))

    evidence = read_evidence(dataset)

    part = find_part(evidence, BUILT_IN)
    assert (part.region, part.decided_by) == (region, decided_by)
    assert find_side(evidence)[0] is side


def test_a_header_in_another_character_set_is_read():
    dataset = header(SpecificCharacterSet="ISO_IR 100", SeriesDescription="Épaule gauche")

    evidence = read_evidence(dataset)

    assert find_part(evidence, BUILT_IN).study_type is StudyType.SHOULDER
    assert find_side(evidence)[0] is Side.LEFT
