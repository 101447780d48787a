"""The grey image of a view: equal to the picture it came from, and to what DCMTK shows."""

import subprocess
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.support import stored
from triage.core.reasons import Code
from triage.dicom import grey, imagepixel, luts
from triage.dicom.grey import Function, Rendering, Rescale, Table, Window
from triage.dicom.pixels import read_view
from triage.errors import ViewUnreadable


@pytest.fixture
def write_object(tmp_path):
    """Write stored values, (H, W) or (H, W, 3), as a DICOM file; attributes set or, if None, drop."""

    def write(array, bits=None, *, syntax=None, name="view.dcm", **attributes):
        ds = stored.image(array, bits, syntax=syntax, **attributes)
        return stored.write(ds, tmp_path / name)

    return write


@pytest.fixture
def picture():
    """A small 8-bit picture with every grey level, (32, 40) uint8."""
    values = np.random.default_rng(1).integers(0, 256, (32, 40), dtype=np.uint8)
    values[0, 0], values[0, 1] = 0, 255
    return values


@pytest.fixture
def radiograph():
    """A small 12-bit image, (40, 50) uint16."""
    values = np.random.default_rng(2).normal(1800, 500, (40, 50)).clip(0, 4095)
    return values.round().astype(np.uint16)


def refusal(path, frame=1):
    with pytest.raises(ViewUnreadable) as caught:
        read_view(path, frame)
    sentence = str(caught.value)
    assert sentence[0].isupper()
    assert "\n" not in sentence
    return caught.value.code


# The same image as a picture and as a DICOM object


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 128, "WindowWidth": 256}])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_an_8_bit_picture_passes_unchanged(syntax, window, picture, write_object):
    assert np.array_equal(read_view(write_object(picture, syntax=syntax, **window)), picture)


@pytest.mark.parametrize("stored", [8, 12, 16])
def test_an_8_bit_picture_in_a_wider_container_passes_unchanged(stored, picture, write_object):
    path = write_object(picture.astype("u2"), stored, WindowCenter=128, WindowWidth=256)

    assert np.array_equal(read_view(path), picture)


def test_an_identity_rescale_is_no_modality_lut(picture, write_object):
    path = write_object(picture, RescaleSlope=1, RescaleIntercept=0, RescaleType="US")

    assert np.array_equal(read_view(path), picture)


@pytest.mark.parametrize(
    "header",
    [
        {"RescaleSlope": 2, "RescaleIntercept": 0},
        {"RescaleSlope": 1, "RescaleIntercept": -1024},
        {"ModalityLUTSequence": stored.lut(0, np.arange(256), 8)},
    ],
    ids=["slope", "intercept", "LUT"],
)
def test_8_bits_with_a_modality_lut_are_not_windowed_yet(header, write_object):
    dull = np.random.default_rng(4).integers(60, 120, (32, 40), dtype=np.uint8)

    view = read_view(write_object(dull, **header))

    assert (view.min(), view.max()) == (0, 255)


def test_signed_8_bits_are_not_windowed_yet(write_object):
    dull = np.random.default_rng(4).integers(-20, 40, (32, 40), dtype=np.int8)

    view = read_view(write_object(dull))

    assert (view.min(), view.max()) == (0, 255)


@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
def test_monochrome1_is_inverted_once(shape, picture, write_object):
    extra = {"PresentationLUTShape": shape} if shape else {}
    path = write_object(255 - picture, PhotometricInterpretation="MONOCHROME1", **extra)

    assert np.array_equal(read_view(path), picture)


def test_an_inverse_presentation_lut_shape_inverts_monochrome2(picture, write_object):
    path = write_object(255 - picture, PresentationLUTShape="INVERSE")

    assert np.array_equal(read_view(path), picture)


@pytest.mark.parametrize(
    "window", [None, (1800.0, 1500.0), (1024.5, 512.0), (2000.0, 1.0), (0.0, 0.0)]
)
def test_monochrome_twins_of_12_bits_are_equal(window, radiograph, write_object):
    # Under LINEAR the negative of a window about c is one about 4096 - c.
    two = {"WindowCenter": window[0], "WindowWidth": window[1]} if window else {}
    one = {"WindowCenter": 4096 - window[0], "WindowWidth": window[1]} if window else {}

    positive = write_object(radiograph, 12, name="two.dcm", **two)
    negative = write_object(
        4095 - radiograph, 12, name="one.dcm", PhotometricInterpretation="MONOCHROME1", **one
    )

    assert np.array_equal(read_view(negative), read_view(positive))


def test_grey_colours_are_the_picture(picture, write_object):
    colours = np.repeat(picture[..., None], 3, axis=2)

    assert np.array_equal(read_view(write_object(colours)), picture)


def test_colours_become_grey_as_pillow_does_it(write_object):
    colours = np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8)

    view = read_view(write_object(colours))

    assert np.array_equal(view, np.asarray(Image.fromarray(colours).convert("L")))


def test_a_palette_becomes_grey(picture, write_object):
    levels = np.arange(255, -1, -1, dtype="<u2") * 257
    palette = {}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{colour}PaletteColorLookupTableData"] = levels.tobytes()

    path = write_object(255 - picture, PhotometricInterpretation="PALETTE COLOR", **palette)

    # 16-bit colours are luma of their upper 8 bits.
    assert np.array_equal(read_view(path), picture)


def palette_of(levels, bits, order="<", *, packed=False):
    """Return the attributes of a grey palette, its entries in words or, packed, two to a word."""
    data = levels.astype("u1" if packed else f"{order}u2")
    if packed and order == ">":
        data = data.reshape(-1, 2)[:, ::-1]
    palette = {}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [levels.size % 65536, 0, bits]
        palette[f"{colour}PaletteColorLookupTableData"] = data.tobytes()
    return palette


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", "<>")
def test_a_palette_of_either_byte_order_becomes_grey(order, bits, packed, picture, write_object):
    levels = np.arange(255, -1, -1) * (257 if bits == 16 and not packed else 1)
    path = write_object(
        255 - picture,
        syntax=ExplicitVRBigEndian if order == ">" else None,
        PhotometricInterpretation="PALETTE COLOR",
        **palette_of(levels, 8 if packed else bits, order, packed=packed),
    )

    assert np.array_equal(read_view(path), picture)


def test_values_beyond_a_palette_take_its_ends(write_object):
    stored_values = np.array([[0, 9, 10, 11], [12, 13, 14, 200]], np.uint16)
    palette = palette_of(np.array([40, 41, 42, 43]), 8)
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 10, 8]

    path = write_object(stored_values, PhotometricInterpretation="PALETTE COLOR", **palette)

    assert read_view(path).tolist() == [[40, 40, 40, 41], [42, 43, 43, 43]]


# Discrete 0 1; linear 128 entries up to 129; twice what the first two segments say.
SEGMENTS = [0, 2, 0, 1, 1, 128, 129, 2, 2, 0, 0]


@pytest.mark.parametrize("order", "<>")
def test_a_segmented_palette_becomes_grey(order, write_object):
    words = np.array(SEGMENTS, f"{order}u2").tobytes()
    palette = {}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [260, 0, 16]
        palette[f"Segmented{colour}PaletteColorLookupTableData"] = words
    path = write_object(
        np.arange(260, dtype="u2").reshape(10, 26),
        syntax=ExplicitVRBigEndian if order == ">" else None,
        PhotometricInterpretation="PALETTE COLOR",
        **palette,
    )

    levels = luts.expand(SEGMENTS, 260)

    assert levels.tolist() == [*range(130), *range(130)]
    assert np.array_equal(read_view(path).ravel(), np.rint(levels / 257).astype(np.uint8))


def test_a_segmented_palette_of_8_bits_points_by_bytes():
    assert luts.expand([0, 2, 5, 9, 2, 1, 0, 0, 0, 0], 4, one_byte=True).tolist() == [5, 9, 5, 9]


@pytest.mark.parametrize(
    "segments",
    [[1, 5, 9], [3, 1, 1], [2, 1, 0, 0], [0, 1, 7, 2, 9, 0, 0], [0, 0, 0], [0, 1, 7, 2, 1, 6, 0]],
)
def test_segments_that_make_no_sense_are_undecodable(segments):
    with pytest.raises(ViewUnreadable) as caught:
        luts.expand(segments, 1000)
    assert caught.value.code == Code.UNDECODABLE


def test_a_segmented_palette_does_not_grow_beyond_its_size():
    bomb = [0, 1, 7, 1, 65535, 9, *[2, 2, 0, 0] * 10_000]

    assert luts.expand(bomb, 65536).size == 65536


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SC_ybr_full_uncompressed.dcm", "SC_rgb.dcm"),
        ("SC_ybr_full_422_uncompressed.dcm", "SC_rgb.dcm"),
        ("SC_rgb_rle_16bit.dcm", "SC_rgb.dcm"),
        ("SC_rgb_32bit.dcm", "SC_rgb.dcm"),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb.dcm"),
    ],
)
def test_colour_spaces_agree(one, other):
    views = [read_view(Path(get_testdata_file(name, download=False))) for name in (one, other)]

    assert np.abs(views[0].astype(int) - views[1]).max() <= 2


# The chain


def float_chain(values, how):
    """The chain of PS3.3 C.11 pixel by pixel in floats, from the formulae of the standard."""
    x = values.astype(np.float64) * how.modality.slope + how.modality.intercept
    c, w = how.voi.centre, how.voi.width
    if how.voi.function is Function.SIGMOID:
        y = 1 / (1 + np.exp(-4 * (x - c) / w))
    elif how.voi.function is Function.LINEAR_EXACT:
        y = np.where(x <= c - w / 2, 0, np.where(x > c + w / 2, 1, (x - c) / w + 0.5))
    else:
        below, above = x <= c - 0.5 - (w - 1) / 2, x > c - 0.5 + (w - 1) / 2
        y = np.where(below, 0, np.where(above, 1, (x - (c - 0.5)) / max(w - 1, 1) + 0.5))
    return np.rint(np.round((1 - y if how.inverted else y) * 255, 6)).astype(np.uint8)


@pytest.mark.parametrize("function", list(Function))
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_the_table_equals_the_chain_in_floats(bits, signed, inverted, function):
    low = -(1 << (bits - 1)) if signed else 0
    stored = np.random.default_rng(bits).integers(low, low + (1 << bits), (30, 40))
    stored = stored.astype("i2" if signed else "u2")
    how = Rendering(
        modality=Rescale(1.5, -100),
        voi=Window(1.5 * low + (1 << bits) * 0.7, (1 << bits) * 0.6, function),
        inverted=inverted,
    )

    view = grey.render(stored, bits, bits - 1, signed, how)

    assert np.array_equal(view, float_chain(stored, how))


def test_more_than_16_bits_are_rendered_the_same_way(radiograph, write_object):
    window = {"WindowCenter": 2000, "WindowWidth": 1500}
    wide = write_object(radiograph.astype("u4"), 20, name="wide.dcm", **window)

    assert np.array_equal(read_view(wide), read_view(write_object(radiograph, 12, **window)))


def test_signed_values_with_a_rescale(radiograph, write_object):
    window = {"WindowCenter": 2000, "WindowWidth": 1500}
    signed = radiograph.astype("i2") - 2048
    path = write_object(
        signed, 12, name="signed.dcm", RescaleSlope=1, RescaleIntercept=2048, **window
    )

    assert np.array_equal(read_view(path), read_view(write_object(radiograph, 12, **window)))


def test_a_negative_slope_is_the_negative(radiograph, write_object):
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    path = write_object(radiograph, 12, RescaleSlope=-1, RescaleIntercept=4095, **window)

    expected = read_view(write_object(4095 - radiograph, 12, name="negative.dcm", **window))

    assert np.array_equal(read_view(path), expected)


def test_the_first_of_several_windows_counts(radiograph, write_object):
    several = write_object(
        radiograph, 12, name="several.dcm", WindowCenter=[2000, 50], WindowWidth=[1500, 100]
    )
    one = write_object(radiograph, 12, WindowCenter=2000, WindowWidth=1500)

    assert np.array_equal(read_view(several), read_view(one))


def test_bits_outside_bits_stored_are_masked(radiograph, write_object):
    window = {"WindowCenter": 2000, "WindowWidth": 1500}
    dirty = write_object(radiograph | 0xA000, 12, name="dirty.dcm", **window)

    assert np.array_equal(read_view(dirty), read_view(write_object(radiograph, 12, **window)))


def test_a_high_bit_above_bits_stored_shifts(radiograph, write_object):
    window = {"WindowCenter": 2000, "WindowWidth": 1500}
    shifted = write_object((radiograph << 4) | 5, 12, name="high.dcm", HighBit=15, **window)

    assert np.array_equal(read_view(shifted), read_view(write_object(radiograph, 12, **window)))


def test_unused_bits_of_signed_values_are_sign_extended(write_object):
    stored = np.array([[0x0800, 0x0FFF], [0x0000, 0x07FF]], "u2")  # -2048, -1, 0, 2047
    path = write_object(
        stored.view("i2"), 12, PixelRepresentation=1, WindowCenter=0, WindowWidth=4096
    )

    assert read_view(path).tolist() == [[0, 127], [128, 255]]


def test_a_voi_lut_goes_before_the_window(radiograph, write_object):
    entries = (np.arange(4096) // 16)[::-1]
    path = write_object(
        radiograph,
        12,
        VOILUTSequence=stored.lut(0, entries, 8),
        WindowCenter=2000,
        WindowWidth=10,
    )

    assert np.array_equal(read_view(path), entries[radiograph])


def test_the_first_of_several_voi_luts_counts(radiograph, write_object):
    entries = np.arange(4096) // 16
    items = stored.lut(0, entries[::-1], 8) + stored.lut(0, entries, 8)

    view = read_view(write_object(radiograph, 12, VOILUTSequence=items))

    assert np.array_equal(view, entries[::-1][radiograph])


@pytest.mark.parametrize("vr", ["SS", "US"])
def test_a_voi_lut_may_begin_below_zero(vr, radiograph, write_object):
    entries = np.arange(4096) // 16
    luts = stored.lut(0, entries, 8)
    first = -1024 if vr == "SS" else 65536 - 1024
    luts[0].add_new("LUTDescriptor", vr, [4096, first, 8])
    path = write_object(radiograph, 12, RescaleIntercept=-1024, RescaleSlope=1, VOILUTSequence=luts)

    assert np.array_equal(read_view(path), entries[radiograph])


def test_a_voi_luts_first_value_has_no_sign_where_no_input_has(write_object):
    values = np.array([[-1, -20_000], [20_000, 30_000]], np.int16)
    luts = stored.lut(0, np.arange(16384) // 64, 8)
    luts[0].add_new("LUTDescriptor", "US", [16384, 49152, 8])

    view = read_view(
        write_object(
            values.view("u2"),
            16,
            PixelRepresentation=1,
            RescaleIntercept=32768,
            RescaleSlope=1,
            VOILUTSequence=luts,
        )
    )

    assert view.tolist() == [[0, 0], [(52768 - 49152) // 64, (62768 - 49152) // 64]]


@pytest.mark.parametrize(("signed", "first"), [(0, 40_000), (1, 65536 - 2048)])
def test_a_modality_luts_first_value_has_the_sign_of_the_pixels(signed, first):
    header = Dataset()
    header.ModalityLUTSequence = stored.lut(0, np.arange(4), 8)
    header.ModalityLUTSequence[0].add_new("LUTDescriptor", "US", [4, first, 8])

    table = luts.table(header, "ModalityLUTSequence", signed=bool(signed), little_endian=True)

    assert table.first == (-2048 if signed else 40_000)


def test_values_outside_a_look_up_table_take_its_ends():
    table = Table(100, np.array([5.0, 6.0, 7.0]), 8)

    assert grey.look_up(np.array([0.0, 100, 101, 102, 900]), table).tolist() == [5, 5, 6, 7, 7]


def test_a_modality_lut_feeds_the_window(radiograph, write_object):
    path = write_object(
        radiograph,
        12,
        ModalityLUTSequence=stored.lut(0, np.arange(4096)[::-1], 12),
        WindowCenter=2048,
        WindowWidth=4096,
    )
    negative = write_object(
        4095 - radiograph, 12, name="n.dcm", WindowCenter=2048, WindowWidth=4096
    )

    assert np.array_equal(read_view(path), read_view(negative))


@pytest.mark.parametrize(
    "window",
    [(2000, 0), (2000, 0.5), (2000, -100), ("1e400", 1500), (60000, 20), (32768, 65536)],
)
def test_an_absurd_window_is_replaced_by_percentiles(window, radiograph, write_object):
    radiograph[0, :5] = 4095  # a marker
    path = write_object(radiograph, 12, WindowCenter=window[0], WindowWidth=window[1])

    view = read_view(path)

    assert np.array_equal(view, read_view(write_object(radiograph, 12, name="none.dcm")))
    assert 0.01 <= (view == 0).mean() <= 0.03
    assert 0.01 <= (view == 255).mean() <= 0.03


@pytest.mark.parametrize("window", [(128, 0), (128, float("nan"))])
def test_an_absurd_window_on_8_bits_changes_nothing(window, picture, write_object):
    path = write_object(picture)
    raw = path.read_bytes()
    text = b"nan " if window[1] != window[1] else b"0 "
    elements = b"(\x00P\x10DS\x04\x00128 (\x00Q\x10DS" + bytes([len(text), 0]) + text
    at = raw.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(raw[:at] + elements + raw[at:])

    assert np.array_equal(read_view(path), picture)


def test_padding_is_left_out_of_the_percentiles(radiograph, write_object):
    radiograph = radiograph.clip(500, 3500)
    padded = np.pad(radiograph, ((0, 40), (0, 0)), constant_values=0)

    view = read_view(write_object(padded, 12, name="padded.dcm", PixelPaddingValue=0))

    assert np.array_equal(view[:40], read_view(write_object(radiograph, 12)))


def test_a_padding_range_is_left_out_of_the_percentiles(radiograph, write_object):
    radiograph = radiograph.clip(500, 3500)
    padded = np.pad(radiograph, ((0, 40), (0, 0)), constant_values=20)

    path = write_object(padded, 12, name="p.dcm", PixelPaddingValue=0, PixelPaddingRangeLimit=99)

    assert np.array_equal(read_view(path)[:40], read_view(write_object(radiograph, 12)))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("windowed", [False, True])
def test_padding_up_to_the_border_is_black(windowed, photometric, radiograph, write_object):
    padded = radiograph.clip(100, 4000)
    padded[:5] = padded[:, -7:] = 4095
    padded[20, 20] = 4095  # a value of the image that is padding's by chance
    window = {"WindowCenter": 2000, "WindowWidth": 1500} if windowed else {}
    path = write_object(
        padded, 12, PhotometricInterpretation=photometric, PixelPaddingValue=4095, **window
    )

    view = read_view(path)

    whole = read_view(write_object(padded, 12, PhotometricInterpretation=photometric, **window))
    assert not view[:5].any()
    assert not view[:, -7:].any()
    assert view[20, 20] == (0 if photometric == "MONOCHROME1" else 255)
    if windowed:
        assert np.array_equal(view[5:, :-7], whole[5:, :-7])


def test_a_padding_range_counts_from_either_end(radiograph, write_object):
    padded = radiograph.clip(100, 4000)
    padded[:5] = np.arange(50)
    ends = [{"PixelPaddingValue": a, "PixelPaddingRangeLimit": b} for a, b in ((0, 49), (49, 0))]

    views = [read_view(write_object(padded, 12, **end)) for end in ends]

    assert np.array_equal(*views)
    assert not views[0][:5].any()
    assert np.array_equal(
        views[0][5:], read_view(write_object(np.ascontiguousarray(padded[5:]), 12))
    )


def test_padding_does_not_black_out_all_of_an_image(radiograph, write_object):
    path = write_object(radiograph, 12, PixelPaddingValue=0, PixelPaddingRangeLimit=4095)

    assert np.array_equal(read_view(path), read_view(write_object(radiograph, 12)))


@pytest.mark.parametrize("value", [0, 1000, 4095])
def test_a_constant_image_is_an_image(value, write_object):
    view = read_view(write_object(np.full((4, 4), value, "u2"), 12))

    assert view.min() == view.max()


def test_the_wanted_frame_is_read(picture, write_object):
    frames = np.concatenate([picture, 255 - picture])
    path = write_object(frames, Rows=32, NumberOfFrames=2)

    assert np.array_equal(read_view(path, 1), picture)
    assert np.array_equal(read_view(path, 2), 255 - picture)


@pytest.mark.parametrize("frame", [0, -1, 3])
def test_a_frame_that_is_not_there_is_refused(frame, picture, write_object):
    path = write_object(np.concatenate([picture, picture]), Rows=32, NumberOfFrames=2)

    assert refusal(path, frame) == Code.UNDECODABLE


# Against DCMTK


def dcmtk_view(path, *options):
    target = path.with_suffix(".pgm")
    subprocess.run(["dcm2pnm", "+op", *options, path, target], check=True, capture_output=True)
    return np.asarray(Image.open(target).convert("L"))


@pytest.mark.dcmtk
@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", "RG3_UNCR.dcm", "MR_small.dcm", "CT_small.dcm"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", list(Function))
def test_windows_look_as_dcmtk_shows_them(name, photometric, function, tmp_path):
    ds = dcmread(get_testdata_file(name, download=False))
    if "WindowCenter" not in ds:
        ds.WindowCenter, ds.WindowWidth = (
            float(ds.pixel_array.mean()),
            float(np.ptp(ds.pixel_array)),
        )
    ds.PhotometricInterpretation = photometric
    ds.VOILUTFunction = function
    path = tmp_path / "view.dcm"
    ds.save_as(path)

    expected = dcmtk_view(path, "+Wi", "1", "+Wfs" if function is Function.SIGMOID else "+Wfl")

    assert np.abs(read_view(path).astype(int) - expected).max() <= 1


@pytest.mark.dcmtk
def test_a_voi_lut_looks_as_dcmtk_shows_it(tmp_path):
    source = Path(get_testdata_file("vlut_04.dcm", download=False))
    path = tmp_path / "view.dcm"
    path.write_bytes(source.read_bytes())

    expected = dcmtk_view(path, "+Wl", "1")

    assert np.abs(read_view(path).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", ["RG1", "RG3", "693", "MR2"])
def test_jpeg_2000_copies_look_like_the_original(name):
    for native, copy in (("UNCR", "J2KR"), ("UNCI", "J2KI")):
        views = [
            read_view(Path(get_testdata_file(f"{name}_{form}.dcm", download=False))).astype(int)
            for form in (native, copy)
        ]
        difference = np.abs(views[0] - views[1])
        assert difference.max() == 0 if copy == "J2KR" else difference.mean() < 1


# What is no image, or too much of one


def test_a_missing_file_is_named(tmp_path):
    assert refusal(tmp_path / "gone.dcm") == Code.FILE_MISSING


def test_a_directory_is_no_file(tmp_path):
    assert refusal(tmp_path) == Code.FILE_MISSING


@pytest.mark.parametrize("content", [b"", b"x", b"not a DICOM file" * 100, bytes(200)])
def test_a_file_of_something_else_is_not_an_image(content, tmp_path):
    path = tmp_path / "other.dcm"
    path.write_bytes(content)

    assert refusal(path) == Code.NOT_AN_IMAGE


@pytest.mark.parametrize("name", ["test-SR.dcm", "rtplan.dcm", "waveform_ecg.dcm"])
def test_an_object_without_pixel_data_is_not_an_image(name):
    assert refusal(Path(get_testdata_file(name, download=False))) == Code.NOT_AN_IMAGE


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 0},
        {"Columns": 0},
        {"Rows": None},
        {"Rows": 33},
        {"Rows": 31},
        {"Columns": 41},
        {"BitsAllocated": 12},
        {"BitsAllocated": 16},
        {"BitsStored": 9},
        {"HighBit": 3},
        {"NumberOfFrames": 2},
        {"NumberOfFrames": -1},
        {"SamplesPerPixel": 3},
        {"SamplesPerPixel": 2},
        {"PhotometricInterpretation": "HSV"},
        {"PhotometricInterpretation": ""},
        {"PhotometricInterpretation": "RGB"},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"PhotometricInterpretation": "YBR_PARTIAL_420"},
        {"PhotometricInterpretation": None},
    ],
    ids=str,
)
def test_a_header_that_contradicts_the_pixels_is_undecodable(attributes, picture, write_object):
    assert refusal(write_object(picture, **attributes)) == Code.UNDECODABLE


@pytest.mark.parametrize(
    "attributes",
    [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 2_000_000_000}],
    ids=str,
)
def test_a_huge_image_is_refused_before_it_is_decoded(attributes, picture, write_object):
    assert refusal(write_object(picture, **attributes)) == Code.TOO_LARGE


def test_a_deflated_bomb_is_not_inflated(picture, write_object, monkeypatch):
    monkeypatch.setattr("triage.dicom.pixels.MAX_EXPANDED", 1 << 20)
    path = write_object(picture)
    raw = path.read_bytes()
    start = raw.index(b"\x08\x00\x16\x00")
    uid, deflated = ExplicitVRLittleEndian.encode(), DeflatedExplicitVRLittleEndian.encode()
    length = len(uid) + 1
    head = raw[:start].replace(
        bytes([length, 0]) + uid + b"\0", bytes([len(deflated), 0]) + deflated
    )
    grown = int.from_bytes(head[140:144], "little") + len(deflated) - length
    head = head[:140] + grown.to_bytes(4, "little") + head[144:]
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = compressor.compress(raw[start:] + bytes(10 << 20)) + compressor.flush()
    path.write_bytes(head + body)

    assert refusal(path) == Code.TOO_LARGE


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_a_codestream_larger_than_its_header_is_not_decoded(syntax, picture, write_object):
    assert refusal(write_object(picture, syntax=syntax, Rows=16, Columns=16)) == Code.UNDECODABLE


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_truncated_pixel_data_is_undecodable(syntax, share, picture, write_object):
    path = write_object(picture, syntax=syntax)
    raw = path.read_bytes()
    start = raw.index(b"\xe0\x7f\x10\x00")

    path.write_bytes(raw[: start + int((len(raw) - start) * share)])

    assert refusal(path) in (Code.UNDECODABLE, Code.NOT_AN_IMAGE)


@pytest.mark.parametrize(
    "syntax", [RLELossless, JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless]
)
@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_for_a_frame_are_undecodable(syntax, seed, picture, write_object):
    rubbish = np.random.default_rng(seed).bytes(500) + b"\xff\xd9"
    path = write_object(picture)
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([rubbish])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.save_as(path)

    assert refusal(path) == Code.UNDECODABLE


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_flipped_bytes_give_a_view_or_a_reason(syntax, seed, picture, write_object):
    path = write_object(picture, syntax=syntax, WindowCenter=128, WindowWidth=256)
    raw = bytearray(path.read_bytes())
    generator = np.random.default_rng(seed)
    for at in generator.integers(132, len(raw), 20):
        raw[at] = generator.integers(0, 256)
    path.write_bytes(raw)

    # Some flips are harmless, so a view is as good as a reason.
    with suppress(ViewUnreadable):
        view = read_view(path)
        assert view.dtype == np.uint8
        assert view.ndim == 2


def test_a_short_look_up_table_is_undecodable(radiograph, write_object):
    item = stored.lut(0, range(100), 8)
    item[0].LUTDescriptor = [4096, 0, 8]

    assert refusal(write_object(radiograph, 12, VOILUTSequence=item)) == Code.UNDECODABLE


def test_what_is_not_supported_is_named(picture, write_object):
    partial = write_object(
        np.repeat(picture[..., None], 3, axis=2), PhotometricInterpretation="YBR_PARTIAL_422"
    )
    with pytest.raises(ViewUnreadable, match="YBR_PARTIAL_422 is retired and not supported"):
        read_view(partial)

    floats = write_object(picture, PixelData=None, FloatPixelData=bytes(4 * picture.size))
    with pytest.raises(ViewUnreadable, match="floating-point"):
        read_view(floats)


def test_a_damaged_length_reserves_no_memory(picture, write_object):
    path = write_object(picture, PatientComments="x" * 300)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\x10\x00\x00\x40LT") + 4
    raw[at : at + 8] = b"UN\0\0\xfe\xff\xff\xff"
    path.write_bytes(raw)

    tracemalloc.start()
    code = refusal(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert code == Code.NOT_AN_IMAGE
    assert most < 10 << 20


def test_views_are_read_in_several_threads_though_warnings_are_errors(picture, write_object):
    path = write_object(picture, SpecificCharacterSet="ISO_IR 100")
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 999"))
    with pytest.warns(UserWarning, match="Unknown encoding"):
        dcmread(path)

    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(read_view, [path] * 200))

    assert all(np.array_equal(view, picture) for view in views)
    with pytest.warns(UserWarning, match="of others"):
        warnings.warn("of others", stacklevel=1)


def test_an_unsupported_transfer_syntax_is_named(picture, write_object):
    path = write_object(picture)
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # MPEG-4
    ds.PixelData = encapsulate([ds.PixelData])
    ds["PixelData"].is_undefined_length = True
    ds.save_as(path)

    with pytest.raises(ViewUnreadable, match="MPEG-4"):
        read_view(path)


def test_the_limits_admit_the_largest_radiographs():
    assert imagepixel.MAX_FRAME_PIXELS >= 60_000_000
