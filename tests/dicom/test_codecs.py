"""Each transfer syntax that is offered decodes what a real encoder wrote."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    generate_uid,
)

from triage.core.reasons import Code
from triage.dicom import codecs
from triage.dicom.pixels import read_view
from triage.errors import ViewUnreadable

OFFERED = {
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
}
DEPTHS = [(bits, signed) for bits in (8, 10, 12, 16) for signed in (False, True)]


def object_of(array: np.ndarray, bits: int, **attributes: object) -> Dataset:
    """Return a Secondary Capture of stored values, (H, W) or (H, W, 3), explicit VR."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.Modality, ds.PatientID = "OT", "1"
    ds.Rows, ds.Columns = array.shape[:2]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = array.dtype.itemsize * 8, bits, bits - 1
    ds.PixelRepresentation = int(array.dtype.kind == "i")
    ds.PixelData = array.tobytes()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def saved(path: Path, ds: Dataset) -> Path:
    ds.save_as(path, enforce_file_format=True)
    return path


def gradient(bits: int, signed: bool) -> np.ndarray:
    """Return values that use the whole depth, both ends included."""
    lowest = -(1 << (bits - 1)) if signed else 0
    noise = np.random.default_rng(bits).normal(0, 1 << (bits - 5), (48, 64))
    values = np.linspace(0, (1 << bits) - 1, 48 * 64).reshape(48, 64) + noise
    stored = values.clip(0, (1 << bits) - 1).round().astype(np.int64) + lowest
    stored[0, 0], stored[0, 1] = lowest, lowest + (1 << bits) - 1
    return stored.astype(("i" if signed else "u") + ("1" if bits == 8 else "2"))


def encode(tool: str, source: Path, *arguments: str) -> Path:
    target = source.with_name(f"{tool}{''.join(arguments)}{source.name}")
    subprocess.run([tool, *arguments, source, target], check=True, capture_output=True)
    return target


def test_everything_is_offered_where_all_packages_are_installed():
    assert set(codecs.negotiable()) == OFFERED
    assert codecs.missing() == {}


def test_native_and_lossless_syntaxes_are_preferred():
    order = codecs.negotiable()

    assert order[0] == ExplicitVRLittleEndian
    assert order.index(JPEG2000Lossless) < order.index(JPEGBaseline8Bit)


def site_without(package: str, directory: Path) -> str:
    """Return a search path on which everything is installed but the named package."""
    installed = Path(pydicom.__file__).parents[1]
    lost = {Path(str(file)).parts[0] for file in metadata.files(package) or ()} - {
        "..",
        "__pycache__",
    }
    for entry in installed.iterdir():
        if entry.name not in lost:
            (directory / entry.name).symlink_to(entry)
    return os.pathsep.join([str(directory), str(Path(codecs.__file__).parents[2])])


@pytest.mark.parametrize(
    ("package", "lost"),
    [
        ("python-gdcm", {JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1}),
        ("pillow", {JPEGBaseline8Bit}),
        ("pyjpegls", {JPEGLSLossless, JPEGLSNearLossless}),
        ("pylibjpeg-openjpeg", {JPEG2000Lossless, JPEG2000}),
        ("pylibjpeg-rle", {RLELossless}),
    ],
)
def test_a_syntax_whose_decoder_is_not_installed_is_not_offered(package, lost, tmp_path):
    script = (
        "from triage.dicom import codecs\n"
        "print(*codecs.negotiable(), sep=';')\n"
        "print(*codecs.missing().values(), sep=';')"
    )

    result = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={**os.environ, "PYTHONPATH": site_without(package, tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    offered, sentences = result.stdout.splitlines()
    assert set(offered.split(";")) == OFFERED - lost
    assert all(package in sentence for sentence in sentences.split(";"))


def test_the_module_brings_in_no_network_library():
    script = "import sys, triage.dicom.codecs; print('torch' in sys.modules)"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert result.stdout.strip() == b"False"


@pytest.mark.dcmtk
@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize(
    ("tool", "argument"),
    [
        ("dcmcrle", ""),
        ("dcmcjpeg", "+e1"),
        ("dcmcjpeg", "+el"),
        ("dcmcjpls", "+el"),
        ("dcmconv", "+tb"),
        ("dcmconv", "+ti"),
        ("dcmconv", "+td"),
    ],
)
def test_what_dcmtk_encodes_without_loss_is_the_same_view(tool, argument, bits, signed, tmp_path):
    native = saved(tmp_path / "native.dcm", object_of(gradient(bits, signed), bits))

    encoded = encode(tool, native, *argument.split())

    assert np.array_equal(read_view(encoded), read_view(native))


@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_what_pydicom_encodes_without_loss_is_the_same_view(syntax, bits, signed, tmp_path):
    ds = object_of(gradient(bits, signed), bits)
    native = saved(tmp_path / "native.dcm", ds)

    ds.compress(syntax)
    encoded = saved(tmp_path / "encoded.dcm", ds)

    assert np.array_equal(read_view(encoded), read_view(native))


@pytest.mark.parametrize("signed", [False, True])
def test_near_lossless_jpeg_ls_stays_near(signed, tmp_path):
    ds = object_of(gradient(12, signed) // 2, 12, WindowCenter=0, WindowWidth=4096)
    native = saved(tmp_path / "native.dcm", ds)

    ds.compress(JPEGLSNearLossless, jls_error=2)
    encoded = saved(tmp_path / "encoded.dcm", ds)

    assert np.abs(read_view(encoded).astype(int) - read_view(native)).max() <= 1


def test_lossy_jpeg_2000_stays_near(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    ds = object_of(smooth, 8)
    native = saved(tmp_path / "native.dcm", ds)

    ds.compress(JPEG2000, j2k_psnr=[60])
    encoded = saved(tmp_path / "encoded.dcm", ds)

    assert np.abs(read_view(encoded).astype(int) - read_view(native)).max() <= 2


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("bits", "signed", "argument"),
    [(8, False, "+eb"), (8, False, "+ee"), (12, False, "+ee"), (12, True, "+ee")],
)
def test_lossy_jpeg_is_what_dcmtk_decodes(bits, signed, argument, tmp_path):
    native = saved(tmp_path / "native.dcm", object_of(gradient(bits, signed), bits))
    encoded = encode("dcmcjpeg", native, argument)

    decoded = encode("dcmdjpeg", encoded)

    assert np.array_equal(read_view(encoded), read_view(decoded))


def test_12_bit_jpeg_keeps_standard_error_clean(capfd):
    path = Path(get_testdata_file("JPGExtended.dcm", download=False))

    read_view(path)

    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("signed", [False, True])
def test_samples_beyond_bits_stored_are_clipped_not_wrapped(signed, tmp_path):
    # A codestream of 16 bits under a header of 12: loss overshoots white.
    stored = np.zeros((32, 32), "i2" if signed else "u2")
    stored[:2, :2] = [[0, 2047], [2050, 2040]]
    ds = object_of(stored if signed else stored + 2048, 16)
    ds.compress(JPEGLSLossless)
    ds.BitsStored, ds.HighBit = 12, 11
    ds.WindowCenter, ds.WindowWidth = (0, 4096) if signed else (2048, 4096)

    view = read_view(saved(tmp_path / "overshoot.dcm", ds))

    assert view[1, 0] == view[0, 1] == 255


@pytest.mark.dcmtk
@pytest.mark.parametrize("argument", ["+ee", "+e1"])
def test_jpeg_with_a_damaged_table_is_refused_before_gdcm_sees_it(argument, tmp_path):
    native = saved(tmp_path / "native.dcm", object_of(gradient(12, False), 12))
    encoded = encode("dcmcjpeg", native, argument)
    raw = encoded.read_bytes()

    encoded.write_bytes(raw.replace(b"\xff\xc4", b"\xc1\xc4", 1))

    with pytest.raises(ViewUnreadable) as caught:
        read_view(encoded)
    assert caught.value.code == Code.UNDECODABLE
