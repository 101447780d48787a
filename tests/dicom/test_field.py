"""The exposed field: what of an image is looked at, by shutter or collimator."""

from time import process_time

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.support import stored
from triage.dicom import field
from triage.dicom.field import exposed_field
from triage.dicom.pixels import read_view

ROWS, COLUMNS = 100, 80


def header(**attributes):
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def rectangle(top, bottom, left, right, module="Shutter"):
    return {
        f"{module}Shape": "RECTANGULAR",
        f"{module}UpperHorizontalEdge": top,
        f"{module}LowerHorizontalEdge": bottom,
        f"{module}LeftVerticalEdge": left,
        f"{module}RightVerticalEdge": right,
    }


def found(**attributes):
    return exposed_field(header(**attributes), ROWS, COLUMNS)


def inside(of):
    """Return the whole image, True inside the field."""
    mask = np.zeros((of.rows, of.columns), bool)
    outside = of.outside()
    mask[of.box] = True if outside is None else ~outside
    return mask


@pytest.mark.parametrize("module", ["Shutter", "Collimator"])
def test_a_rectangle_is_its_rows_and_columns_edges_included(module):
    of = found(**rectangle(11, 90, 21, 60, module))

    assert str(of) == "rows 11-90, columns 21-60 of 100 x 80"
    assert of.box == (slice(10, 90), slice(20, 60))
    assert of.outside() is None
    assert of.shutter == (module == "Shutter")


@pytest.mark.parametrize("module", ["Shutter", "Collimator"])
def test_a_circle_is_what_its_radius_reaches(module):
    of = found(
        **{
            f"{module}Shape": "CIRCULAR",
            f"CenterOfCircular{module}": [50, 40],
            f"RadiusOfCircular{module}": 30,
        }
    )

    assert str(of) == "rows 20-80, columns 10-70 of 100 x 80, circular"
    assert inside(of).sum() == pytest.approx(np.pi * 30**2, rel=0.01)
    assert inside(of)[19, 39]
    assert not inside(of)[19, 41]


@pytest.mark.parametrize("module", ["Shutter", "Collimator"])
def test_a_polygon_is_what_its_sides_enclose(module):
    of = found(
        **{
            f"{module}Shape": "POLYGONAL",
            f"VerticesOfThePolygonal{module}": [10, 40, 50, 70, 90, 40, 50, 10],
        }
    )

    assert str(of) == "rows 10-90, columns 10-70 of 100 x 80, polygonal"
    rows, columns = np.mgrid[1:101, 1:81]
    assert np.array_equal(inside(of), abs(rows - 50) / 40 + abs(columns - 40) / 30 <= 1 + 1e-9)


def test_a_polygon_need_not_be_convex():
    of = found(
        ShutterShape="POLYGONAL",
        VerticesOfThePolygonalShutter=[10, 10, 10, 70, 90, 70, 50, 40, 90, 10],
    )

    assert inside(of)[20, 40]
    assert not inside(of)[80, 40]
    assert inside(of)[85, 12]


def test_a_rectangle_drawn_as_a_polygon_is_the_same_field():
    polygon = found(
        ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=[11, 21, 11, 60, 90, 60, 90, 21]
    )

    assert np.array_equal(inside(polygon), inside(found(**rectangle(11, 90, 21, 60))))


def test_several_shapes_are_what_they_have_in_common():
    of = found(
        **rectangle(1, 100, 31, 80)
        | {
            "ShutterShape": ["RECTANGULAR", "CIRCULAR"],
            "CenterOfCircularShutter": [50, 40],
            "RadiusOfCircularShutter": 30,
        }
        | rectangle(41, 100, 1, 80, "Collimator")
    )

    assert str(of) == "rows 41-80, columns 31-70 of 100 x 80, circular"
    assert not inside(of)[:40].any()
    assert not inside(of)[:, :30].any()


def test_edges_beyond_the_image_end_at_it():
    assert str(found(**rectangle(0, 101, 11, 3000))) == "rows 1-100, columns 11-80 of 100 x 80"


def test_a_collimator_that_covers_the_image_leaves_the_shutter_the_field():
    of = found(**rectangle(1, 100, 11, 80) | rectangle(1, 100, 1, 80, "Collimator"))

    assert str(of) == "rows 1-100, columns 11-80 of 100 x 80"


def test_only_a_shutter_that_hides_something_has_a_part_in_the_field():
    of = found(**rectangle(1, 100, 1, 80) | rectangle(1, 100, 11, 80, "Collimator"))

    assert not of.shutter


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"ShutterShape": ""},
        {"ShutterShape": "RECTANGULAR"},
        {"ShutterShape": "BITMAP"},
        {"ShutterShape": "HEXAGONAL"},
        rectangle(1, 100, 1, 80),
        rectangle(0, 101, 0, 81),
        rectangle(90, 11, 21, 60),
        rectangle(11, 90, 60, 21),
        rectangle(50, 50, 21, 60),
        rectangle(200, 300, 21, 60),
        rectangle(-90, -11, 21, 60),
        rectangle(50, 53, 1, 80),
        rectangle(11, 90, 21, 60) | {"ShutterLeftVerticalEdge": None},
        rectangle(11, 90, 21, 60) | rectangle(91, 100, 1, 80, "Collimator"),
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [50, 40]},
        {
            "ShutterShape": "CIRCULAR",
            "CenterOfCircularShutter": [50, 40],
            "RadiusOfCircularShutter": -30,
        },
        {
            "ShutterShape": "CIRCULAR",
            "CenterOfCircularShutter": 50,
            "RadiusOfCircularShutter": 30,
        },
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 90, 90]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 50, 40, 90, 79]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 90, 90, 1]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 90, 40, 1, 79] * 43},
    ],
    ids=str,
)
def test_an_absurd_field_is_the_whole_image(attributes):
    assert found(**attributes) is None


@pytest.mark.parametrize("text", ["nan", "1e400", "x", "99999999999999999999", "\\\\"])
def test_an_edge_that_is_no_number_is_the_whole_image(text, tmp_path):
    path = stored.write(
        stored.image(np.zeros((ROWS, COLUMNS), "u1"), **rectangle(11, 90, 21, 60)),
        tmp_path / "view.dcm",
    )
    raw = path.read_bytes()
    written, damaged = b"IS\x02\x0021", text.ljust(len(text) + len(text) % 2).encode()
    assert written in raw
    path.write_bytes(raw.replace(written, b"IS" + bytes([len(damaged), 0]) + damaged))

    ds = dcmread(path)

    assert exposed_field(ds, ROWS, COLUMNS) is None
    assert read_view(path).shape == (ROWS, COLUMNS)


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (-1, 5), (1, 1), (65535, 65535)])
def test_any_size_of_image_is_taken(rows, columns):
    of = exposed_field(header(**rectangle(1, 30000, 1, 30000)), rows, columns)

    assert (of is not None) == (rows == 65535)


def test_all_attributes_that_are_read_are_named():
    ds = header(**rectangle(11, 90, 21, 60))

    assert {element.keyword for element in ds} <= set(field.KEYWORDS)
    assert len(field.KEYWORDS) == 16


def test_a_polygon_of_many_vertices_costs_little():
    zigzag = [at for side in range(128) for at in (1 + 2999 * (side % 2), 1 + 20 * side)]
    ds = header(
        ShutterShape="POLYGONAL",
        VerticesOfThePolygonalShutter=zigzag,
        CollimatorShape="POLYGONAL",
        VerticesOfThePolygonalCollimator=zigzag,
    )
    costs = []
    for _ in range(5):
        start = process_time()
        of = exposed_field(ds, 3000, 2600)
        costs.append(process_time() - start)

    assert str(of) == "rows 1-3000, columns 1-2541 of 3000 x 2600, polygonal"
    assert min(costs) < 0.02


# The view


@pytest.fixture
def write(tmp_path):
    def write(array, bits=None, **attributes):
        return stored.write(stored.image(array, bits, **attributes), tmp_path / "view.dcm")

    return write


@pytest.fixture
def radiograph():
    """A 12-bit image of structure with a bright border, (100, 80) uint16."""
    values = np.random.default_rng(5).normal(1800, 300, (ROWS, COLUMNS)).clip(1, 3000)
    bordered = np.full((ROWS, COLUMNS), 4095, np.uint16)
    bordered[10:90, 20:60] = values[10:90, 20:60].astype(np.uint16)
    return bordered


def test_a_view_is_cropped_to_its_field_and_its_window_found_there(radiograph, write):
    whole = read_view(write(np.ascontiguousarray(radiograph[10:90, 20:60]), 12))

    assert np.array_equal(read_view(write(radiograph, 12, **rectangle(11, 90, 21, 60))), whole)


def test_what_is_outside_a_circle_is_black_and_not_counted(radiograph, write):
    circle = {
        "ShutterShape": "CIRCULAR",
        "CenterOfCircularShutter": [50, 40],
        "RadiusOfCircularShutter": 19,
    }
    rows, columns = np.mgrid[31:70, 21:60]
    inside = (rows - 50) ** 2 + (columns - 40) ** 2 <= 19**2
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        view = read_view(write(radiograph, 12, PhotometricInterpretation=photometric, **circle))

        assert view.shape == inside.shape
        assert not view[~inside].any()
        # All the grey levels are for what the circle shows.
        assert 0.005 < (view[inside] == 255).mean() < 0.03
        assert 0.005 < (view[inside] == 0).mean() < 0.03


def test_8_bits_with_a_shutter_are_not_windowed_yet(write):
    picture = np.random.default_rng(6).integers(60, 120, (ROWS, COLUMNS), dtype=np.uint8)

    shuttered = read_view(write(picture, **rectangle(11, 90, 21, 60)))
    collimated = read_view(write(picture, **rectangle(11, 90, 21, 60, "Collimator")))

    assert (shuttered.min(), shuttered.max()) == (0, 255)
    assert np.array_equal(collimated, picture[10:90, 20:60])


def test_colours_are_cropped_as_well(write):
    colours = np.random.default_rng(7).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)

    view = read_view(write(colours, **rectangle(11, 90, 21, 60)))

    assert np.array_equal(view, read_view(write(colours))[10:90, 20:60])


@pytest.mark.parametrize("frame", [1, 2])
def test_every_frame_has_the_field(frame, radiograph, write):
    frames = np.concatenate([radiograph, radiograph[::-1]])

    view = read_view(
        write(frames, 12, Rows=ROWS, NumberOfFrames=2, **rectangle(11, 90, 21, 60)), frame
    )

    assert view.shape == (80, 40)
