"""Counting in several processes: nothing is lost, nothing counted twice, nothing grows."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from triage.core.tally import FAMILIES, KEEPING, RECEIVED, SCORED, Kept, Tally


def test_what_was_counted_is_told_by_its_labels():
    tally = Tally()
    tally.count(RECEIVED, Kept.NEW)
    tally.count(RECEIVED, Kept.NEW)
    tally.count(RECEIVED, Kept.REFUSED)

    assert tally.numbers(RECEIVED, Kept.NEW) == [2]
    assert tally.numbers(RECEIVED, Kept.REFUSED) == [1]
    assert tally.numbers(RECEIVED, Kept.LATER) == [0]


def test_a_value_lies_in_the_first_bound_that_it_does_not_exceed():
    tally = Tally()
    for value in (KEEPING.bounds[0], KEEPING.bounds[0] * 1.01, 1000.0):
        tally.observe(KEEPING, value)

    first, second, *between, above, total = tally.numbers(KEEPING)

    assert (first, second, above) == (1, 1, 1)
    assert sum(between) == 0
    assert total == pytest.approx(1000.01005)


def test_what_was_taken_is_counted_by_who_adds_it_and_no_more_here():
    ours, parents = Tally(), Tally()
    parents.count(SCORED)
    ours.count(SCORED)
    ours.observe(KEEPING, 0.2)

    parents.add(json.loads(json.dumps(ours.take())))
    ours.count(SCORED)
    parents.add(json.loads(json.dumps(ours.take())))

    assert parents.numbers(SCORED) == [3]
    assert parents.numbers(KEEPING)[-1] == 0.2
    assert ours.document() == []


def test_threads_lose_no_count():
    tally, taken = Tally(), Tally()

    def work(_):
        for _ in range(2000):
            tally.count(SCORED)
        taken.add(tally.take())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))

    assert taken.numbers(SCORED)[0] + tally.numbers(SCORED)[0] == 16000


@pytest.mark.parametrize(
    "entry",
    [
        ["no_such", [], [1]],
        ["views_scored", ["a label"], [1]],
        ["instances_received", ["what a peer has sent"], [1]],
        ["instances_received", ["new"], [1, 2]],
        ["views_scored", [], ["many"]],
        ["views_scored", []],
        7,
    ],
)
def test_what_is_no_count_of_ours_is_refused(entry):
    with pytest.raises(ValueError, match="no count of ours"):
        Tally().add([entry])


def test_the_list_of_what_is_counted_is_closed_and_short():
    combinations = [
        (family.name, labels) for family in FAMILIES.values() for labels in family.combinations()
    ]

    assert len(set(combinations)) == len(combinations) < 100
