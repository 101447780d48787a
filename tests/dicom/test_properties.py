"""The grey pipeline against the formulae of the standard, over all that a header may say."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.support import stored
from triage.dicom.grey import Function
from triage.dicom.pixels import read_view
from triage.errors import ViewUnreadable

H, W = 36, 40
THOROUGH = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
NATIVE = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
COMPRESSED = [RLELossless, JPEGLSLossless, JPEG2000Lossless]


@dataclass
class Case:
    """What one object says, in plain numbers."""

    values: np.ndarray  # (H, W) int64, the stored values
    bits: int
    allocated: int
    high_bit: int
    signed: bool
    inverted: bool
    slope: float
    intercept: float
    modality_lut: np.ndarray | None  # over all stored values, of 16 bits
    function: Function
    window: tuple[float, float] | None
    voi_lut: np.ndarray | None  # over all modality values, of 8 to 16 bits
    padding: tuple[int, int] | None
    shapes: list[tuple]
    syntax: str

    @property
    def lowest(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        return self.lowest + (1 << self.bits) - 1


@st.composite
def cases(draw) -> Case:
    allocated = draw(st.sampled_from([8, 16]))
    bits = draw(st.integers(6, 8) if allocated == 8 else st.sampled_from([8, 10, 12, 14, 15, 16]))
    signed = draw(st.booleans())
    high_bit = draw(st.integers(bits - 1, allocated - 1))
    # pydicom's encoders take 8 bits in words for bytes.
    compressible = high_bit == bits - 1 and (bits > 8 or allocated == 8)
    syntax = draw(st.sampled_from(NATIVE + (COMPRESSED if compressible else [])))
    lowest = -(1 << (bits - 1)) if signed else 0
    highest = lowest + (1 << bits) - 1
    values = _values(draw, lowest, highest)
    slope, intercept = draw(
        st.sampled_from([(1, 0), (1, 0), (1, -1024), (0.5, 3), (2, 0), (-1, 9)])
    )
    tables = draw(st.sampled_from(["", "", "", "modality", "voi"])) if not signed else ""
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    if tables:
        slope, intercept = 1, 0
    depth = draw(st.integers(8, 16))
    table = np.sort(random.integers(0, 1 << depth, 1 << bits))
    span = (highest - lowest) * abs(slope)
    centre = round(slope * (lowest + highest) / 2 + intercept + draw(st.integers(-6, 6)) / 8 * span)
    width = max(2, round(draw(st.sampled_from([0.01, 0.1, 0.3, 0.7, 1, 1.7])) * span))
    windowed = draw(st.booleans())
    return Case(
        values=values,
        bits=bits,
        allocated=allocated,
        high_bit=high_bit,
        signed=signed,
        inverted=draw(st.booleans()),
        slope=slope,
        intercept=intercept,
        modality_lut=table if tables == "modality" else None,
        function=draw(st.sampled_from(list(Function))),
        window=(centre, width) if windowed else None,
        voi_lut=table if tables == "voi" else None,
        padding=_padding(draw, values) if draw(st.booleans()) else None,
        shapes=draw(st.lists(_shapes(), max_size=2, unique_by=lambda shape: shape[0])),
        syntax=syntax,
    )


def _values(draw, lowest, highest) -> np.ndarray:
    """Draw an image: a blob over part of the range, a border of one value, some outliers."""
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    low, high = sorted(draw(st.tuples(*[st.integers(lowest, highest)] * 2)))
    blob = np.add.outer(np.sin(np.arange(H) / 7), np.cos(np.arange(W) / 5)) / 4 + 0.5
    values = np.rint(low + blob * (high - low)).astype(np.int64)
    values[: draw(st.integers(0, 6))] = draw(st.sampled_from([lowest, highest, low]))
    values[:, W - draw(st.integers(0, 6)) :] = draw(st.sampled_from([lowest, highest]))
    spots = draw(st.integers(0, 8))
    values[random.integers(0, H, spots), random.integers(0, W, spots)] = highest
    return values


def _padding(draw, values) -> tuple[int, int]:
    first = int(draw(st.sampled_from([values[0, 0], values[-1, -1], values[H // 2, W // 2]])))
    return first, first


def _shapes():
    edge = st.integers(-5, 45)
    return st.one_of(
        st.tuples(st.just("RECTANGULAR"), edge, edge, edge, edge),
        st.tuples(st.just("CIRCULAR"), edge, edge, st.integers(-1, 40)),
        st.tuples(st.just("POLYGONAL"), edge, edge, st.integers(1, 25)),  # a diamond
    )


def as_object(case: Case):
    """Return the object that says what the case says."""
    kind = "i" if case.signed else "u"
    word = case.values << (case.high_bit + 1 - case.bits)
    array = word.astype(f"u{case.allocated // 8}").view(f"{kind}{case.allocated // 8}")
    if case.syntax in NATIVE:  # overlays and rubbish in the bits that are not the value
        mask = ((1 << case.bits) - 1) << (case.high_bit + 1 - case.bits)
        rubbish = np.random.default_rng(1).integers(0, 1 << case.allocated, word.shape)
        array = ((word & mask) | (rubbish & ~mask)).astype(f"u{case.allocated // 8}")
        array = array.view(f"{kind}{case.allocated // 8}")
    ds = stored.image(array, case.bits, syntax=case.syntax, HighBit=case.high_bit)
    if case.inverted:
        ds.PhotometricInterpretation = "MONOCHROME1"
    order = ">" if case.syntax == ExplicitVRBigEndian else "<"
    if case.modality_lut is not None:
        ds.ModalityLUTSequence = stored.lut(0, case.modality_lut, _depth(case.modality_lut), order)
    elif (case.slope, case.intercept) != (1, 0):
        ds.RescaleSlope, ds.RescaleIntercept = case.slope, case.intercept
    if case.voi_lut is not None:
        ds.VOILUTSequence = stored.lut(0, case.voi_lut, _depth(case.voi_lut), order)
    if case.window:
        ds.WindowCenter, ds.WindowWidth = case.window
        ds.VOILUTFunction = case.function
    if case.padding:
        ds.PixelPaddingValue, ds.PixelPaddingRangeLimit = case.padding
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
            ds[keyword].VR = "SS" if case.signed else "US"
    _add_shutter(ds, case.shapes)
    return ds


def _depth(table) -> int:
    return max(8, int(table.max()).bit_length())


def _add_shutter(ds, shapes) -> None:
    if shapes:
        ds.ShutterShape = [shape[0] for shape in shapes]
    for name, *numbers in shapes:
        if name == "RECTANGULAR":
            ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge = numbers[:2]
            ds.ShutterLeftVerticalEdge, ds.ShutterRightVerticalEdge = numbers[2:]
        elif name == "CIRCULAR":
            ds.CenterOfCircularShutter, ds.RadiusOfCircularShutter = numbers[:2], numbers[2]
        else:
            row, column, reach = numbers
            ds.VerticesOfThePolygonalShutter = [
                *(row - reach, column, row, column + reach, row + reach, column),
                *(row, column - reach),
            ]


# The reference: one pixel after the other, in float64, without a table.


def reference(case: Case) -> np.ndarray:
    field = _field(case.shapes)
    box = np.ix_(*(np.arange(at.min(), at.max() + 1) for at in _box(case.shapes, field)))
    padded = np.zeros((H, W), bool)
    if case.padding:
        padded = (case.values >= case.padding[0]) & (case.values <= case.padding[1])
    blank = _reaches_border(padded)[box] | ~field[box]
    values, padded = case.values[box], padded[box]
    x = values * case.slope + float(case.intercept)
    if case.modality_lut is not None:
        x = case.modality_lut[values].astype(float)
    y = _voi(x, case)
    seen = y[~blank] if y is not None and not blank.all() else np.zeros(1)
    least = 1 if case.bits <= 8 or _already(case) else 16
    if y is None or (
        (seen.max() - seen.min()) * 255 < least and np.ptp(values[~blank] if not blank.all() else 0)
    ):
        y = _found_window(x, case, blank, padded, whole=field.all())
    levels = np.rint(np.round(255 * (1 - y if case.inverted else y), 6)).astype(int)
    return np.where(blank, 0, levels)


def _already(case: Case) -> bool:
    return case.voi_lut is None and case.window == (128, 256) and case.function == Function.LINEAR


def _voi(x, case: Case):
    if case.voi_lut is not None:
        table = case.voi_lut
        return table[np.clip(np.rint(x).astype(int), 0, len(table) - 1)] / (
            (1 << _depth(table)) - 1
        )
    if case.window is None:
        return None
    c, w = case.window
    if case.function is Function.SIGMOID:
        return 1 / (1 + np.exp(np.clip(-4 * (x - c) / w, -700, 700)))
    if case.function is Function.LINEAR_EXACT:
        return np.clip((x - c) / w + 0.5, 0, 1)
    return np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0, 1)


def _found_window(x, case: Case, blank, padded, *, whole: bool):
    plain = (case.slope, case.intercept) == (1, 0) and case.modality_lut is None
    if case.bits <= 8 and not case.signed and plain and whole:
        return x / ((1 << case.bits) - 1)
    counted = np.sort(x[~blank & ~padded])
    for less in (~blank, np.ones_like(blank)):
        counted = counted if counted.size else np.sort(x[less & ~padded])
        counted = counted if counted.size else np.sort(x[less])
    out = int(counted.size * 0.01)
    low, high = counted[out], counted[-1 - out]
    if low == high:
        low, high = counted[0], counted[-1]
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.clip((x - low) / (high - low), 0, 1)


def _reaches_border(padded):
    if padded.all():
        return np.zeros_like(padded)
    found = np.zeros_like(padded)
    for row, column in np.argwhere(padded):
        found[row, column] = (
            padded[row, :column].all()
            or padded[row, column:].all()
            or padded[:row, column].all()
            or padded[row:, column].all()
        )
    return found


def _inside(shape):
    rows, columns = np.mgrid[1 : H + 1, 1 : W + 1]
    name, *n = shape
    if name == "RECTANGULAR":
        inside = (n[0] <= rows) & (rows <= n[1]) & (n[2] <= columns) & (columns <= n[3])
        return inside & (n[0] < n[1]) & (n[2] < n[3])
    if name == "CIRCULAR":
        return ((rows - n[0]) ** 2 + (columns - n[1]) ** 2 <= n[2] ** 2) & (n[2] > 0)
    return abs(rows - n[0]) + abs(columns - n[1]) <= n[2]


def _sound(shapes):
    return [shape for shape in shapes if _inside(shape).mean() >= 0.05]


def _field(shapes):
    inside = np.logical_and.reduce([np.ones((H, W), bool), *map(_inside, _sound(shapes))])
    return inside if inside.mean() >= 0.05 else np.ones((H, W), bool)


def _box(shapes, field):
    """Return rows and columns of the box: what the bounds of the shapes have in common."""
    whole = np.ones((H, W), bool)
    if field.all():
        return np.nonzero(whole)
    for shape in _sound(shapes):
        name, *n = shape
        reach = {"CIRCULAR": n[-1], "POLYGONAL": n[-1]}.get(name)
        extent = n if reach is None else (n[0] - reach, n[0] + reach, n[1] - reach, n[1] + reach)
        rows, columns = np.mgrid[1 : H + 1, 1 : W + 1]
        whole &= (extent[0] <= rows) & (rows <= extent[1])
        whole &= (extent[2] <= columns) & (columns <= extent[3])
    return np.nonzero(whole)


# The properties


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("properties") / "view.dcm"


@THOROUGH
@given(case=cases())
def test_a_view_is_what_the_formulae_of_the_standard_say(path, case):
    view = read_view(stored.write(as_object(case), path))

    assert view.dtype == np.uint8
    np.testing.assert_array_equal(view, reference(case))


@settings(THOROUGH, max_examples=300)
@given(case=cases())
def test_the_negative_as_monochrome1_is_the_same_view(path, case):
    ends = case.lowest + case.highest
    twin = Case(**{**vars(case), "values": ends - case.values, "inverted": not case.inverted})
    if case.modality_lut is not None:
        twin.modality_lut = (
            case.modality_lut.max() + case.modality_lut.min() - case.modality_lut[::-1]
        )
        middle = case.modality_lut.max() + case.modality_lut.min()
    else:
        middle = case.slope * ends + 2 * case.intercept
    if case.voi_lut is not None:
        twin.voi_lut = (1 << _depth(case.voi_lut)) - 1 - case.voi_lut[::-1]
        assume(_depth(twin.voi_lut) == _depth(case.voi_lut))
    if case.window:
        mirrored = middle - case.window[0] + (case.function is Function.LINEAR)
        twin.window = mirrored, case.window[1]
        assume(_already(case) == _already(twin))
    if case.padding:
        twin.padding = ends - case.padding[1], ends - case.padding[0]
    # Only the picture turns negative: the bits of either lie in the same places.
    view = read_view(stored.write(as_object(case), path))

    np.testing.assert_array_equal(read_view(stored.write(as_object(twin), path)), view)


@settings(THOROUGH, max_examples=150)
@given(case=cases())
def test_more_stored_is_never_darker_but_where_it_is_inverted(path, case):
    case.padding, case.shapes = None, []

    view = read_view(stored.write(as_object(case), path))

    ascending = view.ravel()[np.argsort(case.values.ravel(), kind="stable")].astype(int)
    turns = case.inverted != (case.slope < 0)
    assert (np.diff(ascending) * (-1 if turns else 1) >= 0).all()


@settings(THOROUGH, max_examples=300)
@given(data=st.data())
def test_any_image_pixel_module_gives_a_view_or_a_reason(path, data):
    number = st.sampled_from([0, 1, 2, 7, 8, 11, 12, 15, 16, 31, 32, 36, 40, 64, 65535])
    array = np.arange(H * W, dtype="u2").reshape(H, W) * 40
    ds = stored.image(array, 16, syntax=data.draw(st.sampled_from(NATIVE + COMPRESSED)))
    names = ["BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "Rows", "Columns"]
    names += ["SamplesPerPixel", "PlanarConfiguration"]
    for keyword in data.draw(st.lists(st.sampled_from(names), max_size=3)):
        setattr(ds, keyword, data.draw(number))
    ds.PhotometricInterpretation = data.draw(
        st.sampled_from(["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "PALETTE COLOR", "X"])
    )

    stored.write(ds, path)

    with suppress(ViewUnreadable):
        view = read_view(path)
        assert (view.dtype, view.shape) == (np.uint8, (ds.Rows, ds.Columns))
