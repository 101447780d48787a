"""Serving equals training: the same image gives the same input, however it comes."""

import subprocess

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.support import stored
from tests.support.encoders import LOSSLESS, encoded
from triage.core.study import Side
from triage.dicom import codecs, radiograph
from triage.dicom.grey import Function
from triage.dicom.pixels import read_view
from triage.model.card import Preprocessing
from triage.model.preprocess import prepare, read_picture
from triage.research import phantoms

LOSSY = {JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000, HTJ2K}
DEPTHS = (8, 10, 12, 16)
HEADER = radiograph.StudyHeader(study_instance_uid=radiograph.uid("twins"), study_type=None)


@pytest.fixture(scope="module")
def phantom():
    """A hand as the detector has it, (H, W) uint16 of 12 bits."""
    view = phantoms.hand.hand_pa(phantoms.hand.BOXERS)
    return phantoms.expose(view, Side.LEFT, seed=(1,)).pixels


def as_8_bits(deep):
    low, high = np.percentile(deep, (1, 99))
    return np.rint(np.clip((deep - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def real_pictures(folder, count=3):
    """Return some of the FracAtlas radiographs, (H, W) uint8."""
    paths = sorted(folder.glob("FracAtlas-MURA/valid/**/*.jpg"))
    return [read_picture(path) for path in paths[:: len(paths) // count][:count]]


@pytest.fixture(params=["phantom", pytest.param("fracatlas", marks=pytest.mark.fracatlas)])
def pictures(request):
    """Pictures as MURA has them."""
    if request.param == "phantom":
        return [as_8_bits(request.getfixturevalue("phantom"))]
    return real_pictures(request.getfixturevalue("fracatlas"))


def prepared(path, **preprocessing):
    read = read_picture if path.suffix == ".png" else read_view
    return prepare(read(path), Preprocessing(**preprocessing))


def same(one, other):
    return np.array_equal(one.view(np.uint32), other.view(np.uint32))  # bit for bit


# The picture and the object


def test_every_syntax_that_is_offered_and_loses_nothing_has_an_encoder_here():
    assert set(codecs.negotiable()) - LOSSY == set(LOSSLESS)


@pytest.mark.dcmtk
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_a_mura_png_and_its_object_are_one_input(syntax, pictures, tmp_path):
    for picture in pictures:
        Image.fromarray(picture).save(tmp_path / "image1.png")
        native, copy = tmp_path / "native.dcm", tmp_path / "copy.dcm"
        radiograph.save(radiograph.digital_radiograph(picture, HEADER), native)
        encoded(native, syntax, copy)

        for preprocessing in ({}, {"size": 320, "resize": "pad"}):
            expected = prepared(tmp_path / "image1.png", **preprocessing)
            assert same(prepared(copy, **preprocessing), expected)


@pytest.mark.parametrize(
    ("bits", "header"),
    [
        (8, {}),
        (8, {"PixelPaddingValue": 300}),
        *((bits, {"WindowCenter": 128, "WindowWidth": 256}) for bits in (8, 12, 16)),
    ],
    ids=str,
)
def test_what_says_nothing_of_8_bits_changes_nothing(bits, header, pictures, tmp_path):
    picture = pictures[0]
    Image.fromarray(picture).save(tmp_path / "image1.png")
    ds = stored.image(picture.astype("u1" if bits == 8 else "u2"), bits)
    for keyword, value in header.items():
        setattr(ds, keyword, value)
    if "PixelPaddingValue" in header:
        ds["PixelPaddingValue"].VR = "US"
    path = stored.write(ds, tmp_path / "view.dcm")

    assert same(prepared(path), prepared(tmp_path / "image1.png"))


@pytest.mark.dcmtk
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_12_bits_are_one_input_in_every_syntax(syntax, phantom, tmp_path):
    native, copy = tmp_path / "native.dcm", tmp_path / "copy.dcm"
    radiograph.save(radiograph.digital_radiograph(phantom, HEADER), native)

    encoded(native, syntax, copy)

    assert same(prepared(copy), prepared(native))


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_a_colour_png_and_its_object_are_one_input(syntax, planar, phantom, tmp_path):
    picture = as_8_bits(phantom)
    colours = np.stack([picture, picture[::-1], picture[:, ::-1]], axis=-1)
    Image.fromarray(colours).save(tmp_path / "image1.png")
    ds = stored.image(colours, syntax=syntax, PlanarConfiguration=planar)
    if planar and syntax != RLELossless:
        ds.PixelData = np.ascontiguousarray(colours.transpose(2, 0, 1)).tobytes()
    path = stored.write(ds, tmp_path / "view.dcm")

    assert same(prepared(path), prepared(tmp_path / "image1.png"))


# The positive and the negative


@pytest.fixture
def twins(tmp_path):
    """Return a function that writes stored values as MONOCHROME2, their negative as MONOCHROME1."""

    def write(positive, bits, two, one):
        most = (1 << bits) - 1
        kind = "u1" if bits == 8 else "u2"
        paths = []
        for name, array, header in (
            ("MONOCHROME2", positive, two),
            ("MONOCHROME1", most - positive, one),
        ):
            ds = stored.image(array.astype(kind), bits, PhotometricInterpretation=name, **header)
            for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
                if keyword in ds:
                    ds[keyword].VR = "US"
            paths.append(stored.write(ds, tmp_path / f"{name}.dcm"))
        return paths

    return write


def negatives(bits):
    """Yield (name, header of the positive, header of its negative)."""
    most = (1 << bits) - 1
    yield "nothing said", {}, {}
    for function in Function:
        centre, width = round(most * 0.4), round(most * 0.5)
        mirrored = most - centre + (function is Function.LINEAR)
        yield (
            f"window {function}",
            {"WindowCenter": centre, "WindowWidth": width, "VOILUTFunction": function},
            {"WindowCenter": mirrored, "WindowWidth": width, "VOILUTFunction": function},
        )
    curve = np.rint((np.arange(most + 1) / most) ** 0.7 * 1023).astype(int)
    yield (
        "VOI LUT",
        {"VOILUTSequence": stored.lut(0, curve, 10)},
        {"VOILUTSequence": stored.lut(0, 1023 - curve[::-1], 10)},
    )
    padding = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": most // 20}
    mirrored = {"PixelPaddingValue": most, "PixelPaddingRangeLimit": most - most // 20}
    yield "padding", padding, mirrored
    shutter = {
        "ShutterShape": ["RECTANGULAR", "CIRCULAR"],
        "ShutterUpperHorizontalEdge": 30,
        "ShutterLowerHorizontalEdge": 400,
        "ShutterLeftVerticalEdge": 10,
        "ShutterRightVerticalEdge": 290,
        "CenterOfCircularShutter": [200, 150],
        "RadiusOfCircularShutter": 140,
    }
    yield "shutter", shutter, shutter
    yield "shutter and padding", shutter | padding, shutter | mirrored
    shape = {"PresentationLUTShape": "INVERSE"}
    yield "presentation LUT shape", {"PresentationLUTShape": "IDENTITY"}, shape


@pytest.mark.parametrize("bits", DEPTHS)
def test_the_negative_as_monochrome1_is_one_input(bits, phantom, twins):
    positive = phantom.astype(np.int64) * ((1 << bits) - 1) // 4095
    positive[:40] = 0  # what the collimator left dark

    for name, two, one in negatives(bits):
        views = [prepared(path) for path in twins(positive, bits, two, one)]

        assert same(*views), name


# The viewer's export


@pytest.mark.dcmtk
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
@pytest.mark.parametrize(("program", "option"), [("dcm2pnm", None), ("dcmj2pnm", "+e1")])
def test_a_windowed_object_is_within_a_grey_level_of_a_viewers_png(
    program, option, function, photometric, phantom, tmp_path
):
    path = stored.write(
        stored.image(
            phantom,
            12,
            PhotometricInterpretation=photometric,
            WindowCenter=1900,
            WindowWidth=2600,
            VOILUTFunction=function,
        ),
        tmp_path / "view.dcm",
    )
    if option:
        subprocess.run(["dcmcjpeg", option, path, path], check=True)
    png = tmp_path / "export.png"
    window = "+Wfs" if function == "SIGMOID" else "+Wfl"

    subprocess.run([program, "+on", "+Wi", "1", window, path, png], check=True, capture_output=True)

    assert np.abs(read_view(path).astype(int) - read_picture(png)).max() <= 1
    step = 1 / 255 / 0.225  # a grey level, as the network sees it
    assert np.abs(prepared(path) - prepared(png)).max() <= 1.01 * step
