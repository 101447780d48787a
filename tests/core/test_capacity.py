"""What the figures of a machine come to."""

import pytest

from triage.core.capacity import Slower, capacity


def test_the_slowest_stage_by_itself_is_the_limit():
    found = capacity(10.0, {"receiving": 60.0, "decoding": 12.34, "scoring": 90.0}, sent="10 MB")

    assert found.studies_per_hour == pytest.approx(12000)
    assert found.limit == "decoding"
    assert found.sentence == (
        "about 12,000 studies of 3 views (10 MB) an hour; the limit is decoding "
        "(views a second, each stage alone: decoding 12, receiving 60, scoring 90)"
    )


def test_what_takes_longer_to_decode_leaves_room_for_fewer():
    # A view takes 100 ms, 50 of them to decode; this one takes 250 to decode.
    found = capacity(
        10.0, {"decoding": 20.0}, sent="10 MB", slowest=Slower(name="JPEG 2000", per_second=4.0)
    )

    assert found.slowest_per_hour == pytest.approx(1200 / 0.3)
    assert found.sentence.endswith("; of JPEG 2000, the slowest to decode, about 4,000")


def test_where_nothing_takes_longer_nothing_is_said_of_it():
    native = Slower(name="native", per_second=20.0)

    for stages in ({"decoding": 20.0}, {"scoring": 5.0}):  # or decoding could not be measured
        found = capacity(10.0, stages, sent="10 MB", slowest=native)
        assert found.slowest_per_hour is None
        assert "slowest to decode" not in found.sentence


@pytest.mark.parametrize(
    ("together", "said"),
    [
        (0.01, "about 12 "),
        (1.0, "about 1,200 "),
        (8.76, "about 11,000 "),
        (1000.0, "about 1,200,000 "),
    ],
)
def test_no_more_digits_are_said_than_were_measured(together, said):
    assert said in capacity(together, {"scoring": 1.0}, sent="10 MB").sentence


def test_without_a_stage_there_is_nothing_to_say():
    with pytest.raises(ValueError, match="empty"):
        capacity(1.0, {}, sent="10 MB")
