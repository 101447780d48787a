"""What the figures of the department are made from, on both databases."""

from datetime import timedelta

import pytest

from tests.support.store import at
from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.store import figures, reading
from triage.store.figures import department_facts
from triage.store.progress import mark_overdue


def test_who_waits_is_counted_by_band_from_the_first_that_waits(store):
    for number, probability in ((1, 0.9), (2, 0.2), (3, 0.8), (4, 0.1)):
        store.file(f"1.{number}", seconds=number)
        store.score(probability, seconds=number)
    store.file("1.5", seconds=5)
    reading.claim(store.database, store.id("1.3"), "ada", at(20))
    reading.mark_read(store.database, store.id("1.4"), "ada", None, at(20))
    mark_overdue(store.database, at(3600.5 + 1), 3600)

    queues = department_facts(store.database, at(0)).queues

    assert {(each.band.name, each.studies, each.claimed, each.since) for each in queues} == {
        ("OVERDUE", 1, 0, at(1)),
        ("ABNORMAL", 1, 1, at(3)),
        ("NOT_SCORED", 1, 0, at(5)),
        ("NORMAL", 1, 0, at(2)),
    }


def test_what_came_is_told_as_it_is_now_from_a_moment_on(store):
    store.file("1.1", seconds=0)
    store.file("1.2", seconds=10, study_type=StudyType.WRIST, station="DX-1")
    store.file("1.2", "1.2.2", seconds=11, study_type=StudyType.WRIST)
    store.score(0.75, seconds=12)
    store.file_report("1.3", seconds=13)
    store.complete(60)

    report, wrist = department_facts(store.database, at(10)).arrivals

    assert (wrist.received_at, wrist.study_type, wrist.label) == (at(10), "wrist", "abnormal")
    assert (wrist.probability, wrist.model, wrist.views, wrist.code) == (0.75, "m 1", 2, None)
    assert (wrist.status, report.status) == ("scored", "unscorable")
    assert (report.code, report.label, report.probability) == ("not_an_image", None, None)


def test_what_was_read_is_told_with_the_wait_that_ended(store):
    for number in (1, 2):
        store.file(f"1.{number}", seconds=0)
    store.score(0.9, seconds=1)
    reading.mark_read(store.database, store.id("1.1"), "ada", "normal", at(50))
    reading.mark_read(store.database, store.id("1.2"), "ada", "normal", at(60))
    store.file("1.2", "1.2.2", seconds=100)  # an image after the reading
    assert [each.read_at for each in department_facts(store.database, at(0)).readings] == [at(50)]
    reading.mark_read(store.database, store.id("1.2"), "bob", None, at(130))

    (second,) = department_facts(store.database, at(51)).readings

    assert (second.waiting_since, second.read_at) == (at(100), at(130))
    assert (second.label, second.finding, second.study_type) == ("abnormal", None, "hand")


def station(store, study="1.1"):
    (row,) = store.sql(f"SELECT station FROM study WHERE study_instance_uid = '{study}'")  # noqa: S608
    return row.station


def test_the_station_is_the_one_that_an_image_names(store):
    store.file("1.1", station="DX-1")
    store.file_report("1.1", seconds=1)  # what wrote it made no image
    store.file("1.1", "1.1.2", seconds=2)  # and silence contradicts nothing

    assert station(store) == "DX-1"


def test_where_no_image_names_its_station_the_sender_stands_for_it(store):
    store.file_report("1.1")
    assert station(store) == "MODALITY"

    store.file("1.1", "1.1.2", seconds=1, station="DX-2", side=Side.LEFT)

    assert station(store) == "DX-2"


@pytest.mark.parametrize("bound", [2, 3])
def test_of_too_many_studies_the_newest_are_counted_and_it_is_said_from_when_on(
    store, bound, monkeypatch
):
    monkeypatch.setattr(figures, "BOUND", bound)
    for number in range(3):
        store.file(f"1.{number}", seconds=number)

    facts = department_facts(store.database, at(0))

    assert len(facts.arrivals) == bound
    assert facts.since == at(3 - bound)
    assert facts.since - at(0) < timedelta(seconds=2)
