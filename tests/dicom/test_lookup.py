"""The quick look-up gives what indexing the table gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.dicom import lookup
from triage.dicom.grey import Function, Window, to_fractions, to_grey


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(
    bits=st.sampled_from([8, 10, 12, 14]),
    centre=st.integers(-2000, 20000),
    width=st.integers(1, 20000),
    function=st.sampled_from(list(Function)),
    slope=st.sampled_from([1, 0.25, -1, 3]),
    inverted=st.booleans(),
    order=st.sampled_from("<>"),
)
def test_every_window_gives_its_table(bits, centre, width, function, slope, inverted, order):
    values = np.arange(1 << bits) * float(slope)
    fractions = to_fractions(values, Window(centre, width, function))
    exact = 255 * (1 - fractions if inverted else fractions)
    table = to_grey(exact)
    index = np.resize(np.arange(1 << bits), (2 * (1 << bits) // 100, 101)).astype(f"{order}u2")

    assert np.array_equal(lookup.apply(table, exact, index), table[index])


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_table_that_is_no_ramp_is_looked_up(bits):
    random = np.random.default_rng(bits)
    exact = random.uniform(0, 255, 1 << bits)
    index = random.integers(0, 1 << bits, (400, 500)).astype("u1" if bits == 8 else "u2")

    view = lookup.apply(to_grey(exact), exact, index)

    assert np.array_equal(view, to_grey(exact)[index])


def test_most_windows_of_12_bits_are_computed():
    # Those whose ends or halves round otherwise in single precision are looked up.
    def computed(width):
        exact = 255 * to_fractions(np.arange(4096.0), Window(2048, width))
        return lookup._ramp(to_grey(exact), exact) is not None

    assert np.mean([computed(width) for width in range(1000, 4000, 7)]) > 0.9


def test_what_needs_no_table_is_a_copy():
    index = np.arange(256, dtype=np.uint8).reshape(16, 16)
    exact = np.arange(256.0)

    view = lookup.apply(to_grey(exact), exact, index)

    assert np.array_equal(view, index)
    assert not np.shares_memory(view, index)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200_000), (200_000, 1)])
def test_any_shape_is_looked_up(shape):
    exact = np.clip((np.arange(4096) - 548) * (255 / 2999), 0, 255)
    index = np.resize(np.arange(4096, dtype=np.uint16), shape)

    assert np.array_equal(lookup.apply(to_grey(exact), exact, index), to_grey(exact)[index])
