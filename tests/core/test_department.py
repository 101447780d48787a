"""The figures of the department, from what came and what was read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from triage.core.department import department
from triage.core.figures import Arrival, By, Facts, Queue, Reading
from triage.core.periods import periods
from triage.core.study import Finding, Label, StudyStatus
from triage.core.worklist import Band

NOW = datetime(2025, 3, 6, 15, tzinfo=UTC)  # a Thursday
WHEN = periods(NOW, UTC)
HOUR = timedelta(hours=1)
ABNORMAL, NORMAL = Label.ABNORMAL, Label.NORMAL
CAME = Arrival(
    received_at=NOW - HOUR,
    study_type="hand",
    station="DX-1",
    status=StudyStatus.SCORED,
    code=None,
    label=NORMAL,
    probability=0.2,
    model="m 1",
    views=3,
)
READ = Reading(
    waiting_since=NOW - 2 * HOUR,
    read_at=NOW - HOUR,
    study_type="hand",
    label=NORMAL,
    finding=None,
    model="m 1",
)


def figures(arrivals=(), readings=(), queues=()):
    facts = Facts(
        queues=tuple(queues),
        arrivals=tuple(arrivals),
        readings=tuple(readings),
        since=WHEN.begin,
    )
    return department(facts, WHEN, "UTC")


def turn_around(found, by, of):
    return next(row for row in found.turn_around if (row.by, row.of) == (by, of))


def test_an_empty_department_has_no_figures_that_look_like_some():
    found = figures()

    assert (found.studies_waiting, found.longest_wait_seconds, found.model) == (0, None, None)
    assert [each.studies for each in found.waiting] == [0, 0, 0, 0]
    assert turn_around(found, By.MODEL, "abnormal").week.median_seconds is None
    assert [(row.study_type, row.studies, row.kappa) for row in found.agreement] == [
        (None, 0, None)
    ]
    assert found.scores_by_type == found.scores_by_station == found.failures == ()


def test_who_waits_is_counted_by_priority_with_the_longest_wait():
    queues = [
        Queue(band=Band.NORMAL, studies=7, claimed=1, since=NOW - 3 * HOUR),
        Queue(band=Band.ABNORMAL, studies=2, claimed=0, since=NOW - HOUR),
    ]

    found = figures(queues=queues)

    assert [(e.kind, e.priority, e.studies, e.longest_seconds) for e in found.waiting] == [
        ("overdue", "HIGH", 0, None),
        ("abnormal", "HIGH", 2, 3600.0),
        ("not_scored", "MEDIUM", 0, None),
        ("normal", "LOW", 7, 10800.0),
    ]
    assert (found.studies_waiting, found.longest_wait_seconds) == (9, 10800.0)


def test_a_clock_that_was_set_makes_no_wait_negative():
    ahead = Queue(band=Band.NORMAL, studies=1, claimed=0, since=NOW + HOUR)
    read = replace(READ, waiting_since=NOW)

    found = figures(queues=[ahead], readings=[read])

    assert found.longest_wait_seconds == 0.0
    assert turn_around(found, By.MODEL, "normal").today.longest_seconds == 0.0


def test_turn_around_is_told_by_what_the_model_and_by_what_the_reader_says():
    monday = replace(
        READ,
        label=ABNORMAL,
        finding=Finding.ABNORMAL,
        waiting_since=NOW - 76 * HOUR,
        read_at=NOW - 72 * HOUR,
    )
    long_ago = replace(monday, read_at=NOW - 30 * 24 * HOUR, waiting_since=NOW - 31 * 24 * HOUR)
    wrong = replace(READ, finding=Finding.ABNORMAL)
    blind = replace(READ, label=None)

    found = figures(readings=[READ, wrong, blind, monday, long_ago])

    def counts(by, of):
        row = turn_around(found, by, of)
        return row.today.studies, row.week.studies, row.week.longest_seconds

    assert counts(By.MODEL, "abnormal") == (0, 1, 4 * 3600.0)
    assert counts(By.MODEL, "normal") == (2, 2, 3600.0)
    assert counts(By.MODEL, "not_scored") == (1, 1, 3600.0)
    assert counts(By.READER, "abnormal") == (1, 2, 4 * 3600.0)
    assert counts(By.READER, "normal") == (0, 0, None)
    assert counts(By.READER, "not_entered") == (2, 2, 3600.0)


def test_nine_of_ten_are_read_within_the_time_that_is_named():
    readings = [replace(READ, waiting_since=READ.read_at - n * HOUR / 60) for n in range(101)]

    wait = turn_around(figures(readings=readings), By.MODEL, "normal").today

    assert (wait.median_seconds, wait.ninety_seconds, wait.longest_seconds) == (3000, 5400, 6000)


def test_agreement_counts_what_both_said_of_the_model_that_scores_now():
    def read(label, finding, study_type="hand", model="m 1"):
        return replace(READ, label=label, finding=finding, study_type=study_type, model=model)

    readings = [
        *[read(ABNORMAL, Finding.ABNORMAL)] * 20,
        *[read(ABNORMAL, Finding.NORMAL)] * 5,
        *[read(NORMAL, Finding.ABNORMAL)] * 10,
        *[read(NORMAL, Finding.NORMAL)] * 15,
        read(NORMAL, Finding.NORMAL, "wrist"),
        read(NORMAL, None),
        read(None, Finding.NORMAL),
        read(ABNORMAL, Finding.ABNORMAL, model="m 0"),
    ]

    hand, wrist, overall = figures([CAME], readings).agreement

    counts = (hand.both_abnormal, hand.model_alone, hand.reader_alone, hand.both_normal)
    assert (hand.study_type, counts) == ("hand", (20, 5, 10, 15))
    # The table of Wikipedia's "Cohen's kappa", first example.
    assert hand.kappa.value == pytest.approx(0.4)
    assert (wrist.studies, wrist.kappa) == (1, None)
    assert (overall.study_type, overall.studies) == (None, 51)


def test_scores_are_those_of_the_newest_model_and_final():
    arrivals = [
        replace(CAME, model="m 0", received_at=NOW - 48 * HOUR),
        replace(CAME, received_at=NOW - 2 * HOUR),
        replace(CAME, study_type="elbow", station="DX-2", status=StudyStatus.RECEIVING),
        replace(CAME, study_type="elbow", station=None),
        replace(CAME, study_type=None),
    ]

    found = figures(arrivals)

    assert found.model == "m 1"
    assert [(each.name, each.studies) for each in found.scores_by_type] == [
        ("elbow", 1),
        ("hand", 1),
        (None, 1),
    ]
    assert [(each.name, each.studies) for each in found.scores_by_station] == [
        ("DX-1", 2),
        (None, 1),
    ]


def test_each_day_has_what_came_and_what_was_read_on_it():
    yesterday = replace(CAME, received_at=NOW - 24 * HOUR, label=None, probability=None)
    long_ago = replace(CAME, received_at=NOW - 60 * 24 * HOUR)

    found = figures([CAME, CAME, yesterday, long_ago], [READ])

    *_, before, today = found.days
    assert (today.received, today.scored, today.views, today.read) == (2, 2, 6, 1)
    assert (before.received, before.scored, before.views, before.read) == (1, 0, 3, 0)
    assert sum(day.received for day in found.days) == 3
    assert found.received == 4


def test_what_was_not_scored_is_counted_by_reason_and_what_was_scored_is_not():
    failed = replace(CAME, status=StudyStatus.FAILED, label=None, probability=None)
    arrivals = [
        replace(failed, code="undecodable"),
        replace(failed, code="undecodable", received_at=NOW - 48 * HOUR),
        replace(failed, code="undecodable", received_at=NOW - 30 * 24 * HOUR),
        replace(CAME, code="partly_scored"),
        replace(CAME, code="low_trust"),
        replace(failed, status=StudyStatus.RECEIVING),
        CAME,
    ]

    found = figures(arrivals)

    assert [(each.code, each.today, each.week, each.all) for each in found.failures] == [
        ("undecodable", 1, 2, 3),
        ("partly_scored", 1, 1, 1),
    ]
