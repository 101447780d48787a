"""What the header says, whatever stands in it."""

import zlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.support import studies
from triage.core.selection import ObjectKind, Rules, select
from triage.core.study import Exposure, Intent, Side
from triage.core.studytype import StudyType
from triage.dicom import digest, header
from triage.dicom.evidence import read_evidence
from triage.dicom.header import read_file_header, read_header
from triage.dicom.radiograph import StudyHeader, digital_radiograph, save
from triage.errors import BadInstance


def radiograph(**attributes):
    study = StudyHeader(
        study_instance_uid="1.2.3",
        study_type=StudyType.HAND,
        side=Side.LEFT,
        accession_number="A1",
        patient_name="Müller^Jörg",
    )
    dataset = digital_radiograph(np.full((8, 6), 7, np.uint8), study, sop_instance_uid="1.2.3.4")
    with disable_value_validation():
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
    return dataset


def encode(dataset, syntax=ExplicitVRLittleEndian):
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = (
        syntax.is_implicit_VR,
        syntax.is_little_endian,
    )
    with disable_value_validation():
        write_dataset(stream, dataset)
    data = stream.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = squeezer.compress(data) + squeezer.flush()
    return data


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    ],
)
def test_the_header_is_the_same_in_every_encoding(syntax):
    dataset = radiograph(StationName="DX\u00e4 1")

    header = read_header(encode(dataset, syntax), transfer_syntax_uid=syntax)

    assert header.study_instance_uid == "1.2.3"
    assert header.station == "DX\u00e4 1"
    assert header.sop_instance_uid == "1.2.3.4"
    assert (header.subject.kind, header.subject.frames) == (ObjectKind.RADIOGRAPH, 1)
    assert header.body_part == "HAND"
    assert header.subject.evidence == read_evidence(radiograph())
    assert header.patient_name == "Müller^Jörg"
    assert len(header.pixel_digest) == 64


def test_a_new_header_on_the_same_pixels_keeps_the_pixel_digest():
    first, second, other = radiograph(), radiograph(PatientID="corrected"), radiograph()
    other.PixelData = bytes(48)

    digests = [
        read_header(encode(d), transfer_syntax_uid=ExplicitVRLittleEndian).pixel_digest
        for d in (first, second, other)
    ]

    assert digests[0] == digests[1] != digests[2]


def test_the_same_native_pixels_have_one_digest_in_every_little_endian_encoding():
    dataset = radiograph()

    digests = {
        read_header(encode(dataset, syntax), transfer_syntax_uid=syntax).pixel_digest
        for syntax in (
            ImplicitVRLittleEndian,
            ExplicitVRLittleEndian,
            DeflatedExplicitVRLittleEndian,
        )
    }

    assert len(digests) == 1


def test_several_values_are_written_as_dicom_writes_them():
    dataset = radiograph(AccessionNumber=["A", "B"])

    header = read_header(encode(dataset), transfer_syntax_uid=ExplicitVRLittleEndian)

    assert header.accession_number == "A\\B"


def test_a_file_has_the_header_of_what_was_sent(tmp_path):
    save(radiograph(), tmp_path / "a.dcm")

    sent = read_header(encode(radiograph()), transfer_syntax_uid=ExplicitVRLittleEndian)
    assert read_file_header(tmp_path / "a.dcm") == sent


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"StudyInstanceUID": None}, "StudyInstanceUID is missing"),
        ({"StudyInstanceUID": ""}, "StudyInstanceUID is missing"),
        ({"SOPInstanceUID": None}, "SOPInstanceUID is missing"),
        ({"StudyInstanceUID": "1." + "2" * 90}, "StudyInstanceUID is not a UID"),
    ],
)
def test_an_object_without_its_identifiers_is_refused(attributes, message):
    with pytest.raises(BadInstance, match=message):
        read_header(encode(radiograph(**attributes)), transfer_syntax_uid=ExplicitVRLittleEndian)


def test_texts_lose_what_would_break_a_log_or_a_database():
    dataset = radiograph(PatientID="A\0B\nC", AccessionNumber="x" * 5000)

    header = read_header(encode(dataset), transfer_syntax_uid=ExplicitVRLittleEndian)

    assert header.patient_id == "ABC"
    assert len(header.accession_number) <= 1024


@pytest.mark.parametrize(("frames", "counted"), [(None, 1), ("3", 3), ("0", 1), ("-5", 1)])
def test_an_absurd_number_of_frames_counts_as_one(frames, counted):
    dataset = radiograph()
    if frames is not None:
        dataset.NumberOfFrames = frames

    header = read_header(encode(dataset), transfer_syntax_uid=ExplicitVRLittleEndian)

    assert header.subject.frames == counted


def test_an_object_without_pixels_has_no_frames():
    header = read_header(
        encode(radiograph(PixelData=None)), transfer_syntax_uid=ExplicitVRLittleEndian
    )

    assert (header.subject.frames, header.pixel_digest) == (0, "")


def test_an_image_without_rows_is_listed_with_that_reason():
    whole, bare = (
        read_header(encode(radiograph(**lacking)), transfer_syntax_uid=ExplicitVRLittleEndian)
        for lacking in ({"Rows": None}, {"Rows": None, "PixelData": None})
    )

    assert (whole.subject.frames, whole.pixel_digest) == (0, "")
    reason = select(whole.subject, Rules()).reason
    assert reason.startswith("not_an_image: ")
    assert reason.endswith(" has no Rows (0028,0010)")
    assert select(bare.subject, Rules()).reason.endswith(" has no pixels")


def test_any_bytes_end_in_a_refusal_or_a_header():
    data = encode(radiograph())
    rng = np.random.default_rng(7)
    for _ in range(400):
        broken = bytearray(data[: rng.integers(0, len(data))])
        for position in rng.integers(0, max(len(broken), 1), 5):
            if broken:
                broken[position] = rng.integers(0, 256)
        # Anything but our own refusal fails the test.
        with suppress(BadInstance):
            read_header(bytes(broken), transfer_syntax_uid=ExplicitVRLittleEndian)


def test_the_header_tells_exposures_apart():
    source = Dataset()
    source.ReferencedSOPInstanceUID = "1.2.9"
    dataset = radiograph(
        IrradiationEventUID="1.2.7",
        AcquisitionDate="20260301",
        AcquisitionTime="120000.5",
        ViewPosition="pa",
        PresentationIntentType="FOR PROCESSING",
        SourceImageSequence=[source],
    )

    header = read_header(encode(dataset), transfer_syntax_uid=ExplicitVRLittleEndian)

    assert header.exposure == Exposure(
        intent=Intent.PROCESSING,
        event="1.2.7",
        acquired="20260301120000.5",
        view_position="PA",
        source="1.2.9",
    )


def test_an_image_composed_of_several_has_no_source():
    sources = [Dataset(), Dataset()]
    for number, source in enumerate(sources):
        source.ReferencedSOPInstanceUID = f"1.2.{number}"

    header = read_header(
        encode(radiograph(SourceImageSequence=sources)), transfer_syntax_uid=ExplicitVRLittleEndian
    )

    assert header.exposure.source == ""


def test_a_raw_images_sop_class_says_that_it_is_raw():
    dataset = radiograph(SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1.1", PresentationIntentType=None)

    header = read_header(encode(dataset), transfer_syntax_uid=ExplicitVRLittleEndian)

    assert header.exposure.intent is Intent.PROCESSING


def test_an_image_that_names_its_algorithm_says_so():
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "Fracture finder"
    dataset = radiograph(AlgorithmNameCodeSequence=[code], SeriesDescription="Hand")

    header = read_header(encode(dataset), transfer_syntax_uid=ExplicitVRLittleEndian)

    assert header.subject.algorithm == "Fracture finder"
    assert header.subject.descriptions == ("Hand", "Triage", "Wrapped picture")


def test_a_files_header_can_be_read_without_its_pixels(tmp_path):
    save(radiograph(), tmp_path / "a.dcm")

    header = read_file_header(tmp_path / "a.dcm", digest=False)

    assert (header.subject.frames, header.pixel_digest) == (1, "")
    assert replace(read_file_header(tmp_path / "a.dcm"), pixel_digest="") == header


def test_for_want_of_memory_no_object_is_called_bad(monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(header, "_read", exhausted)

    with pytest.raises(MemoryError):
        read_header(encode(radiograph()), transfer_syntax_uid=ExplicitVRLittleEndian)


def test_what_pydicom_calls_an_error_of_the_file_is_one_of_the_object(tmp_path, monkeypatch):
    studies.write(tmp_path, studies.make("ODD", studies.picture(1)))
    (file,) = tmp_path.glob("*.dcm")

    def fail(*_args, **_options):
        raise OSError("No tag to read")  # as it does, without a number of the system's

    monkeypatch.setattr("triage.dicom.header.read_excerpt", fail)
    with pytest.raises(BadInstance):
        read_file_header(file)
    monkeypatch.setattr("triage.dicom.digest.read_transfer_syntax", fail)
    with pytest.raises(BadInstance):
        digest.of_file(file)
