"""The built-in samples are what they claim to be, and a broken installation is found out."""

import json
import os
import subprocess
import sys
import time

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.support.sites import site_without
from triage.dicom import codec_samples, codecs

# Decoders that are not ours: DCMTK's, libjpeg-turbo, CharLS, OpenJPEG and OpenJPH of imagecodecs.
DCMTK = {
    RLELossless: "dcmdrle",
    JPEGBaseline8Bit: "dcmdjpeg",
    JPEGExtended12Bit: "dcmdjpeg",
    JPEGLossless: "dcmdjpeg",
    JPEGLosslessSV1: "dcmdjpeg",
    JPEGLSLossless: "dcmdjpls",
    JPEGLSNearLossless: "dcmdjpls",
}
IMAGECODECS = {
    JPEGBaseline8Bit: imagecodecs.jpeg8_decode,
    JPEGExtended12Bit: imagecodecs.jpeg8_decode,
    JPEGLossless: imagecodecs.jpeg_decode,
    JPEGLosslessSV1: imagecodecs.jpeg_decode,
    JPEGLSLossless: imagecodecs.jpegls_decode,
    JPEGLSNearLossless: imagecodecs.jpegls_decode,
    JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    JPEG2000: imagecodecs.jpeg2k_decode,
    HTJ2KLossless: imagecodecs.htj2k_decode,
    HTJ2KLosslessRPCL: imagecodecs.htj2k_decode,
    HTJ2K: imagecodecs.htj2k_decode,
}
COMPRESSED = sorted({*DCMTK, *IMAGECODECS})


def distance(uid, decoded):
    """Return how far decoded samples lie from the image at most."""
    expected = codec_samples.image(8 if uid == JPEGBaseline8Bit else 12)
    return np.abs(decoded.reshape(expected.shape).astype(int) - expected).max()


def doctors_word(path, folder):
    """Return what `triage doctor` says of the codecs where *path* is the search path."""
    result = subprocess.run(
        [sys.executable, "-S", "-m", "triage", "doctor", "--json"],
        cwd=folder,
        # Without a model, which is another check's.
        env={**os.environ, "PYTHONPATH": path, "TRIAGE_MODEL__PATH": str(folder / "none")},
        capture_output=True,
        text=True,
    )
    (finding,) = [f for f in json.loads(result.stdout) if f["check"] == "codecs"]
    return finding


def test_there_is_a_sample_of_every_syntax_that_is_offered():
    assert {*COMPRESSED, *codec_samples.NATIVE} == set(codecs.negotiable())


def test_every_sample_decodes_here_and_quickly():
    began = time.perf_counter()

    assert codec_samples.failures() == {}

    assert time.perf_counter() - began < 1


def test_the_image_uses_the_range_of_its_bits():
    assert codec_samples.image().max() > 4000
    assert codec_samples.image(8).max() > 250


@pytest.mark.parametrize("uid", IMAGECODECS)
def test_another_decoder_finds_the_image_in_the_sample(uid):
    decoded = IMAGECODECS[uid](codec_samples.sample(uid))

    assert distance(uid, decoded) <= codec_samples.TOLERANCE.get(uid, 0)


@pytest.mark.dcmtk
@pytest.mark.parametrize("uid", DCMTK)
def test_dcmtk_finds_the_image_in_the_sample(uid, tmp_path):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    ds.Rows, ds.Columns = codec_samples.ROWS, codec_samples.COLUMNS
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 8 if uid == JPEGBaseline8Bit else 12
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = (8 if bits == 8 else 16), bits, bits - 1
    ds.PixelRepresentation = 0
    ds.PixelData = encapsulate([codec_samples.sample(uid)])
    ds["PixelData"].VR = "OB"
    ds.save_as(tmp_path / "sample.dcm", enforce_file_format=True)

    subprocess.run([DCMTK[uid], "sample.dcm", "native.dcm"], cwd=tmp_path, check=True)

    decoded = dcmread(tmp_path / "native.dcm").pixel_array
    assert distance(uid, decoded) <= codec_samples.TOLERANCE.get(uid, 0)


@pytest.mark.parametrize("uid", COMPRESSED)
def test_a_damaged_sample_is_found_out(uid):
    frame = bytearray(codec_samples.sample(uid))
    frame[len(frame) * 2 // 3] ^= 0x15

    assert codec_samples.check(uid, bytes(frame)) is not None


@pytest.mark.parametrize("uid", COMPRESSED)
def test_a_sample_that_was_cut_off_is_found_out(uid):
    frame = codec_samples.sample(uid)

    assert codec_samples.check(uid, frame[: len(frame) // 2]) is not None


@pytest.mark.parametrize(
    "package",
    [
        "python-gdcm",
        pytest.param("pyjpegls", marks=pytest.mark.soak),
        pytest.param("pylibjpeg-openjpeg", marks=pytest.mark.soak),
    ],
)
def test_the_doctor_names_what_to_install_for_a_codec_that_is_missing(package, tmp_path):
    (tmp_path / "site").mkdir()

    finding = doctors_word(site_without(package, tmp_path / "site"), tmp_path)

    assert finding["status"] == "warning"
    assert f"install {package}" in finding["message"]
    assert "senders must send another syntax" in finding["action"]


def test_the_doctor_names_a_codec_that_decodes_wrongly(tmp_path):
    # A CharLS that returns black: a module in the place of the real one.
    site, broken = tmp_path / "site", tmp_path / "broken"
    (broken / "jpeg_ls").mkdir(parents=True)
    (broken / "jpeg_ls" / "__init__.py").write_text(
        "__version__ = '1.5.1'\n"
        "def decode_pixel_data(source):\n"
        "    return bytearray(24 * 32 * 2), {'components': 1, 'bits_per_sample': 12}\n"
    )
    site.mkdir()

    finding = doctors_word(f"{broken}{os.pathsep}{site_without('pyjpegls', site)}", tmp_path)

    assert finding["status"] == "failed"
    for uid in (JPEGLSLossless, JPEGLSNearLossless):
        sentence = f"{UID(uid).name} decodes to other values: install pyjpegls again"
        assert sentence in finding["message"]
