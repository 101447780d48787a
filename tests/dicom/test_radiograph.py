"""Wrapped pictures are valid DX objects, and their values are the picture's."""

import subprocess
from datetime import datetime
from io import BytesIO

import numpy as np
import pydicom
import pytest

from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.dicom import radiograph

EIGHT = np.arange(35, dtype=np.uint8).reshape(5, 7)  # an odd count of bytes: it must be padded
TWELVE = np.arange(0, 4080, 17, dtype=np.uint16).reshape(16, 15)


@pytest.fixture
def header():
    return radiograph.StudyHeader(
        study_instance_uid=radiograph.uid("a", "study"),
        study_type=StudyType.WRIST,
        side=Side.LEFT,
        accession_number="A1",
        patient_id="P1",
        patient_name="PHANTOM^ÅSTER",
        description="Wrist",
        acquired=datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001  DICOM's DA and TM are local
    )


@pytest.fixture
def unknown():
    return radiograph.StudyHeader(study_instance_uid=radiograph.uid(), study_type=None)


def reread(dataset):
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return pydicom.dcmread(buffer)


@pytest.mark.parametrize("pixels", [EIGHT, TWELVE], ids=["8 bits", "12 bits"])
def test_the_pixels_come_back_as_they_were(header, pixels):
    read = reread(radiograph.digital_radiograph(pixels, header))

    assert np.array_equal(read.pixel_array, pixels)
    assert read.PhotometricInterpretation == "MONOCHROME2"
    assert read.BitsStored == (8 if pixels.dtype == np.uint8 else 12)


def test_eight_bits_count_as_already_windowed(header):
    read = reread(radiograph.digital_radiograph(EIGHT, header))

    assert (read.WindowCenter, read.WindowWidth) == (128, 256)
    assert (read.RescaleIntercept, read.RescaleSlope) == (0, 1)


def test_twelve_bits_get_a_window_over_the_exposed_values(header):
    read = reread(radiograph.digital_radiograph(TWELVE, header))
    low = read.WindowCenter - read.WindowWidth / 2
    high = read.WindowCenter + read.WindowWidth / 2

    assert 0 < low < 100
    assert 4000 < high < 4096


def test_the_header_names_part_side_view_and_patient(header):
    read = reread(radiograph.digital_radiograph(EIGHT, header, view_position="PA", number=2))

    assert read.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.1"
    assert read.BodyPartExamined == "WRIST"
    assert read.AnatomicRegionSequence[0].CodeMeaning == "Wrist joint"
    assert (read.ImageLaterality, read.ViewPosition, read.InstanceNumber) == ("L", "PA", 2)
    assert str(read.PatientName) == "PHANTOM^ÅSTER"
    assert (read.StudyDate, read.StudyTime) == ("20260102", "030405")


def test_a_part_that_is_not_known_is_left_away(unknown):
    read = reread(radiograph.digital_radiograph(EIGHT, unknown))

    assert "BodyPartExamined" not in read
    assert read.ImageLaterality == "U"


def test_a_jpeg_stays_known_as_lossy(header):
    read = reread(radiograph.digital_radiograph(EIGHT, header, jpeg_ratio=11.26))

    assert read.LossyImageCompression == "01"
    assert read.LossyImageCompressionRatio == pytest.approx(11.3)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 2), np.float32), np.zeros((2, 2, 3), np.uint8), np.full((2, 2), 4096, np.uint16)],
    ids=["floats", "colour", "13 bits"],
)
def test_other_arrays_are_refused(header, pixels):
    with pytest.raises(ValueError, match=r"pixels are|a picture of 16 bits"):
        radiograph.digital_radiograph(pixels, header)


def test_the_same_entropy_gives_the_same_uid():
    assert radiograph.uid("a", "b") == radiograph.uid("a", "b")
    assert radiograph.uid("a", "b") != radiograph.uid("ab")
    assert radiograph.uid() != radiograph.uid()
    assert pydicom.uid.UID(radiograph.uid("a")).is_valid


@pytest.mark.dicom3tools
@pytest.mark.parametrize("pixels", [EIGHT, TWELVE], ids=["8 bits", "12 bits"])
@pytest.mark.parametrize("view_position", ["", "PA", "LL", "LLO"])
def test_dciodvfy_finds_no_error(header, unknown, tmp_path, pixels, view_position):
    for study in (header, unknown):
        radiograph.save(
            radiograph.digital_radiograph(
                pixels, study, view_position=view_position, jpeg_ratio=9.0
            ),
            tmp_path / "image.dcm",
        )

        verdict = subprocess.run(
            ["dciodvfy", "-new", str(tmp_path / "image.dcm")], capture_output=True, text=True
        )

        assert "Error" not in verdict.stderr
        assert "DXImageForPresentation" in verdict.stderr
