import contextlib

import numpy as np
import pytest
from PIL import Image

from triage.core.reasons import Code
from triage.errors import ViewUnreadable
from triage.model.card import Preprocessing
from triage.model.preprocess import prepare, read_picture, scale


@pytest.fixture
def grey():
    """A (120, 80) uint8 image with every intensity in it."""
    return (np.arange(120 * 80) % 256).astype(np.uint8).reshape(120, 80)


@pytest.fixture
def write(tmp_path):
    def write(picture, name="a.png", **options):
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return write


def test_the_papers_input_is_three_normalised_channels_of_224(grey):
    prepared = prepare(grey, Preprocessing())

    assert (prepared.shape, prepared.dtype) == ((3, 224, 224), np.float32)
    assert prepared.flags.c_contiguous


def test_black_and_white_are_normalised_with_the_cards_mean_and_deviation():
    preprocessing = Preprocessing(size=32, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
    picture = np.zeros((32, 32), np.uint8)
    picture[:, 16:] = 255

    prepared = prepare(picture, preprocessing)

    np.testing.assert_allclose(prepared[:, 0, 0], [-0.2, -0.8, -2.4], rtol=1e-6)
    np.testing.assert_allclose(prepared[:, 0, -1], [1.8, 3.2, 5.6], rtol=1e-6)


def test_squeeze_fills_the_square_with_the_whole_image():
    prepared = prepare(np.full((300, 100), 255, np.uint8), Preprocessing(size=32))

    assert np.ptp(prepared[0]) == 0


def test_pad_keeps_the_aspect_in_the_middle_of_black():
    white = np.full((300, 100), 255, np.uint8)

    prepared = prepare(white, Preprocessing(size=33, resize="pad"))

    lit = prepared[0] > 0
    assert lit.any(axis=0).nonzero()[0].tolist() == list(range(11, 22))
    assert lit[:, 11:22].all()


@pytest.mark.parametrize("resize", ["squeeze", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3000, 2500)])
def test_any_shape_gives_the_input_of_the_network(shape, resize):
    prepared = prepare(np.full(shape, 7, np.uint8), Preprocessing(size=32, resize=resize))

    assert prepared.shape == (3, 32, 32)
    assert np.isfinite(prepared).all()


def test_scaling_down_averages_instead_of_picking_pixels():
    stripes = np.zeros((640, 640), np.uint8)
    stripes[:, ::2] = 200

    prepared = prepare(stripes, Preprocessing(size=32, mean=(0, 0, 0), std=(1, 1, 1)))

    np.testing.assert_allclose(prepared * 255, 100, atol=2)


@pytest.mark.parametrize("shape", [(120, 80), (512, 512), (895, 400), (448, 3000)])
def test_below_four_times_the_side_the_resize_is_pillows_alone(shape):
    noise = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)

    scaled = scale(noise, 224, "squeeze")

    plain = Image.fromarray(noise).resize((224, 224), Image.Resampling.BILINEAR)
    assert np.array_equal(scaled, np.asarray(plain))


@pytest.mark.parametrize("shape", [(2500, 2000), (2503, 1999), (4280, 3520), (1000, 6000)])
def test_a_large_image_is_scaled_within_a_few_grey_levels_of_pillows_resize(shape):
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    smooth = np.sin(rows / 90) * np.cos(columns / 70) * 90 + 128
    noise = np.random.default_rng(4).normal(0, 8, shape)
    image = (smooth + noise).clip(0, 255).astype(np.uint8)

    scaled = scale(image, 224, "squeeze")

    plain = Image.fromarray(image).resize((224, 224), Image.Resampling.BILINEAR)
    difference = np.abs(scaled.astype(int) - np.asarray(plain))
    assert difference.mean() < 0.5
    assert difference.max() <= 4


def test_the_layout_of_the_array_in_memory_makes_no_difference(grey):
    turned = np.asfortranarray(grey)

    assert np.array_equal(prepare(turned, Preprocessing()), prepare(grey, Preprocessing()))


@pytest.mark.parametrize("wrong", [(4, 4, 3), (0, 4)])
def test_what_is_no_grey_image_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        prepare(np.zeros(wrong, np.uint8), Preprocessing())


def test_a_grey_png_is_read_as_it_is(grey, write):
    assert np.array_equal(read_picture(write(Image.fromarray(grey))), grey)


def test_a_grey_png_written_as_colour_or_palette_is_the_same_image(grey, write):
    palette = Image.fromarray(grey).convert("P")
    colour = Image.fromarray(grey).convert("RGB")

    assert np.array_equal(read_picture(write(colour)), grey)
    assert np.array_equal(read_picture(write(palette)), grey)


def test_16_bits_are_scaled_over_their_range(grey, write):
    deep = Image.fromarray(grey.astype(np.uint16) * 257)

    path = write(deep)

    with Image.open(path) as written:
        assert written.mode == "I;16"
    assert np.array_equal(read_picture(path), grey)


def test_what_is_transparent_is_black(write):
    picture = Image.new("LA", (2, 1), (200, 255))
    picture.putpixel((1, 0), (200, 0))

    assert read_picture(write(picture)).tolist() == [[200, 0]]


def test_a_one_bit_png_is_black_and_white(write):
    picture = Image.new("1", (2, 1))
    picture.putpixel((1, 0), 1)

    assert read_picture(write(picture)).tolist() == [[0, 255]]


def test_a_jpeg_is_read(write):
    smooth = np.tile(np.arange(80, dtype=np.uint8), (120, 1))

    read = read_picture(write(Image.fromarray(smooth), "a.jpg", quality=95))

    assert np.abs(read.astype(int) - smooth).max() <= 2


def _code(path):
    with pytest.raises(ViewUnreadable) as raised:
        read_picture(path)
    assert str(path) in str(raised.value)
    return raised.value.code


def test_a_missing_file_is_a_reason(tmp_path):
    assert _code(tmp_path / "gone.png") == Code.FILE_MISSING


@pytest.mark.parametrize("content", [b"", b"text", b"GIF89a" + bytes(100), b"\x89PNG"])
def test_another_kind_of_file_is_a_reason(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)

    assert _code(tmp_path / "a.png") == Code.NOT_AN_IMAGE


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_truncated_picture_is_a_reason_and_never_half_an_image(write, name, part):
    noise = np.random.default_rng(1).integers(0, 256, (200, 200)).astype(np.uint8)
    path = write(Image.fromarray(noise), name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])

    assert _code(path) == Code.UNDECODABLE


def test_a_folder_is_a_reason(tmp_path):
    assert _code(tmp_path) == Code.UNDECODABLE


@pytest.mark.parametrize("side", [10_001, 15_000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_a_reason(write, side):
    path = write(Image.new("1", (side, side)))

    assert _code(path) == Code.TOO_LARGE


def test_random_damage_is_always_a_reason_or_an_image(grey, write):
    path = write(Image.fromarray(grey))
    whole = path.read_bytes()
    random = np.random.default_rng(2)

    for _ in range(200):
        data = bytearray(whole)
        for place in random.integers(8, len(data), 4):
            data[place] = random.integers(0, 256)
        path.write_bytes(data)
        with contextlib.suppress(ViewUnreadable):
            assert read_picture(path).ndim == 2
