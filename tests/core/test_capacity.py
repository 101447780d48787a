"""What the figures of a machine come to."""

import pytest

from triage.core.capacity import capacity


def test_the_slowest_stage_by_itself_is_the_limit():
    found = capacity(10.0, {"receiving": 60.0, "decoding": 12.34, "scoring": 90.0})

    assert found.studies_per_hour == pytest.approx(12000)
    assert found.limit == "decoding"
    assert found.sentence == (
        "about 12,000 studies of 3 views an hour; the limit is decoding "
        "(views a second, each stage alone: decoding 12, receiving 60, scoring 90)"
    )


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
    assert said in capacity(together, {"scoring": 1.0}).sentence


def test_without_a_stage_there_is_nothing_to_say():
    with pytest.raises(ValueError, match="empty"):
        capacity(1.0, {})
