"""Each transfer syntax that is offered decodes what a real encoder wrote."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
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

from tests.support.sites import site_without
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
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    HTJ2K,
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


def compressed(ds: Dataset, syntax: str, frame: bytes) -> Dataset:
    """Put a frame in place of the native pixels."""
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    return ds


def with_depth(frame: bytes, bits: int, signed: bool) -> bytes:
    """Let a codestream of JPEG 2000 say its depth: Ssiz of the SIZ segment."""
    at = frame.index(b"\xff\x4f\xff\x51") + 42
    return frame[:at] + bytes([(bits - 1) | signed << 7]) + frame[at + 1 :]


def test_everything_is_offered_where_all_packages_are_installed():
    assert set(codecs.negotiable()) == OFFERED
    assert codecs.missing() == {}


def test_native_and_lossless_syntaxes_are_preferred():
    order = codecs.negotiable()

    assert order[0] == ExplicitVRLittleEndian
    assert order.index(HTJ2KLossless) < order.index(JPEG2000Lossless)
    assert order.index(JPEG2000Lossless) < order.index(JPEGBaseline8Bit) < order.index(HTJ2K)


@pytest.mark.parametrize(
    ("package", "lost"),
    [
        ("python-gdcm", {JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1}),
        ("pillow", {JPEGBaseline8Bit, JPEG2000Lossless, JPEG2000}),
        ("pyjpegls", {JPEGLSLossless, JPEGLSNearLossless}),
        (
            "pylibjpeg-openjpeg",
            {JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K},
        ),
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


@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_what_openjph_encodes_without_loss_is_the_same_view(syntax, bits, signed, tmp_path):
    stored = gradient(bits, signed)
    native = saved(tmp_path / "native.dcm", object_of(stored, bits))

    frame = imagecodecs.htj2k_encode(stored, reversible=True, tlm=syntax == HTJ2KLosslessRPCL)
    encoded = saved(tmp_path / "encoded.dcm", compressed(object_of(stored, bits), syntax, frame))

    assert np.array_equal(read_view(encoded), read_view(native))


@pytest.mark.parametrize(("bits", "signed"), [(10, False), (12, False), (12, True)])
def test_htj2k_has_the_precision_that_its_codestream_states(bits, signed, tmp_path):
    stored = gradient(bits, signed)
    native = saved(tmp_path / "native.dcm", object_of(stored, bits))

    # OpenJPH's Python interface knows 8 and 16 bits. What it has coded is the values around
    # zero (ISO/IEC 15444-1 G.1), so a stream of fewer bits differs in what it says of them.
    centred = stored.astype("i2") - (0 if signed else 1 << (bits - 1))
    frame = with_depth(imagecodecs.htj2k_encode(centred, reversible=True), bits, signed)
    encoded = saved(
        tmp_path / "encoded.dcm", compressed(object_of(stored, bits), HTJ2KLossless, frame)
    )

    assert np.array_equal(read_view(encoded), read_view(native))


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless])
@pytest.mark.parametrize("signed", [False, True])
def test_the_header_decides_on_the_sign_of_jpeg_2000(signed, syntax, tmp_path):
    # The codestream says the other sign; its bits are the values in two's complement.
    stored = gradient(16, signed)
    native = saved(tmp_path / "native.dcm", object_of(stored, 16))

    other = stored.view("u2" if signed else "i2")
    frame = (
        imagecodecs.htj2k_encode(other, reversible=True)
        if syntax == HTJ2KLossless
        else imagecodecs.jpeg2k_encode(other, codecformat="j2k", reversible=True, level=0)
    )
    encoded = saved(tmp_path / "encoded.dcm", compressed(object_of(stored, 16), syntax, frame))

    assert np.array_equal(read_view(encoded), read_view(native))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless])
def test_jpeg_2000_of_colours_is_the_same_view(syntax, bits, tmp_path):
    grey = gradient(bits, False)
    colours = np.stack([grey, grey[::-1], grey.T.reshape(grey.shape)], axis=-1)
    described = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
    }
    native = saved(tmp_path / "native.dcm", object_of(colours, bits, **described))

    encode_frame = {
        JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(
            colours, codecformat="j2k", reversible=True, level=0, mct=False
        ),
        HTJ2KLossless: lambda: imagecodecs.htj2k_encode(colours, reversible=True, rgb=False),
    }
    encoded = saved(
        tmp_path / "encoded.dcm",
        compressed(object_of(colours, bits, **described), syntax, encode_frame[syntax]()),
    )

    assert np.array_equal(read_view(encoded), read_view(native))


def test_lossy_htj2k_stays_near(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    native = saved(tmp_path / "native.dcm", object_of(smooth, 8))

    frame = imagecodecs.htj2k_encode(smooth, reversible=False, level=0.002)
    encoded = saved(tmp_path / "encoded.dcm", compressed(object_of(smooth, 8), HTJ2K, frame))

    assert np.abs(read_view(encoded).astype(int) - read_view(native)).max() <= 2


def test_an_htj2k_codestream_of_another_size_than_its_header_says_is_refused(tmp_path):
    stored = gradient(12, False)
    frame = imagecodecs.htj2k_encode(stored, reversible=True)
    ds = compressed(object_of(stored[:32], 12), HTJ2KLossless, frame)

    with pytest.raises(ViewUnreadable, match="48 rows and 64 columns") as caught:
        read_view(saved(tmp_path / "larger.dcm", ds))
    assert caught.value.code == Code.UNDECODABLE


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_an_htj2k_codestream_that_was_cut_off_is_refused(share, tmp_path):
    stored = gradient(12, False)
    frame = imagecodecs.htj2k_encode(stored, reversible=True)
    ds = compressed(object_of(stored, 12), HTJ2KLossless, frame[: int(len(frame) * share)])

    with pytest.raises(ViewUnreadable) as caught:
        read_view(saved(tmp_path / "short.dcm", ds))
    assert caught.value.code == Code.UNDECODABLE


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
def test_every_decoder_may_run_in_several_threads_at_once(tmp_path):
    # Two images each, so that what leaks from one decoding into another shows.
    noise = np.random.default_rng(0).integers(0, 4096, (2, 480, 640), dtype="u2")
    deep = [saved(tmp_path / f"{n}.dcm", object_of(stored, 12)) for n, stored in enumerate(noise)]
    shallow = [
        saved(tmp_path / f"{n}-8.dcm", object_of((stored >> 4).astype("u1"), 8))
        for n, stored in enumerate(noise)
    ]
    encoded = [
        encode(tool, native, *arguments)
        for native in deep
        for tool, *arguments in (
            ("dcmcrle",),
            ("dcmcjpeg", "+e1"),
            ("dcmcjpeg", "+ee"),
            ("dcmcjpls", "+el"),
        )
    ] + [encode("dcmcjpeg", native, "+eb") for native in shallow]
    for number, stored in enumerate(noise):
        frames = {
            JPEG2000Lossless: imagecodecs.jpeg2k_encode(
                stored, codecformat="j2k", reversible=True, level=0
            ),
            HTJ2KLossless: imagecodecs.htj2k_encode(stored, reversible=True),
        }
        encoded += [
            saved(tmp_path / f"{number}-{syntax}.dcm", compressed(object_of(stored, 12), syntax, f))
            for syntax, f in frames.items()
        ]
    alone = [read_view(path) for path in encoded]

    order = np.random.default_rng(1).permutation(np.repeat(np.arange(len(encoded)), 8))
    with ThreadPoolExecutor(4) as threads:
        together = threads.map(lambda index: read_view(encoded[index]), order)

        assert all(
            np.array_equal(view, alone[index]) for index, view in zip(order, together, strict=True)
        )


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


def damaged(raw, marker, offset, value):
    """Return the file with one byte of the first segment of this marker changed."""
    at = raw.index(b"\xff" + bytes([marker]), raw.index(b"\xff\xd8\xff\xe0")) + offset
    return raw[:at] + bytes([value]) + raw[at + 1 :]


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("marker", "offset", "value", "sentence"),
    [
        (0xC3, 4, 200, "200 bits, its header allocates 16"),  # precision
        (0xC3, 4, 0, "0 bits"),
        (0xC4, 5, 250, "damaged Huffman table"),  # number of codes of one bit
        (0xC4, 4, 3, "damaged JPEG headers"),  # the table that the scan names is not there
    ],
)
def test_a_codestream_over_which_gdcm_would_end_is_refused(
    marker, offset, value, sentence, tmp_path
):
    native = saved(tmp_path / "native.dcm", object_of(gradient(12, False), 12))
    encoded = encode("dcmcjpeg", native, "+e1")

    encoded.write_bytes(damaged(encoded.read_bytes(), marker, offset, value))

    with pytest.raises(ViewUnreadable, match=sentence):
        read_view(encoded)


@pytest.mark.dcmtk
def test_a_codestream_with_more_bits_than_the_header_is_decoded(tmp_path):
    native = saved(tmp_path / "native.dcm", object_of(gradient(8, False), 8))
    encoded = encode("dcmcjpeg", native, "+e1")
    ds = dcmread(encoded)
    ds.BitsStored, ds.HighBit = 7, 6
    ds.save_as(encoded)

    assert read_view(encoded).shape == gradient(8, False).shape
