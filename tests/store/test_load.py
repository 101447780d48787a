"""How much waits."""

from tests.support.store import at
from triage.core.study import Patience
from triage.store import progress, reading
from triage.store.load import load


def test_of_an_empty_archive_nothing_waits(database):
    found = load(database, at(0))

    assert dict(found.studies) == {"HIGH": 0, "MEDIUM": 0, "LOW": 0}
    assert (found.overdue, found.longest_wait, found.receiving) == (0, 0.0, 0)
    assert (found.views, found.longest_view_wait) == (0, 0.0)


def test_what_waits_is_counted_as_the_worklist_has_it(store):
    for number, probability in enumerate((0.9, 0.8, 0.1)):
        store.file(f"1.{number}", seconds=number)
        store.score(probability, seconds=number)
    store.file("1.3", seconds=3)
    store.file("1.3", "1.3.2", seconds=4)
    store.file_report("1.4", "1.4.1", seconds=5)

    found = load(store.database, at(10))

    assert dict(found.studies) == {"HIGH": 2, "MEDIUM": 2, "LOW": 1}
    assert found.longest_wait == 10
    assert found.receiving == 5
    assert (found.views, found.longest_view_wait) == (2, 7)


def test_what_is_complete_receives_no_more_and_what_was_read_waits_no_more(store):
    for number in range(2):
        store.file(f"1.{number}", seconds=number)
        store.score(0.1, seconds=number)
    progress.complete_studies(store.database, at(100), Patience(quiet=10, limit=600))
    reading.mark_read(store.database, store.id("1.0"), "ada", None, at(100))

    found = load(store.database, at(100))

    assert dict(found.studies) == {"HIGH": 0, "MEDIUM": 0, "LOW": 1}
    assert (found.receiving, found.longest_wait) == (0, 99)


def test_an_overdue_study_is_high_and_its_wait_is_the_longest(store):
    store.file("1.1", seconds=0)
    store.score(0.1)
    store.file("1.2", seconds=50)
    progress.mark_overdue(store.database, at(100), max_wait=80)

    found = load(store.database, at(100))

    assert dict(found.studies) == {"HIGH": 1, "MEDIUM": 1, "LOW": 0}
    assert (found.overdue, found.longest_wait) == (1, 100)
