"""Studies complete, reopen and are read, on both databases."""

import pytest

from tests.support.store import at
from triage.core.study import StudyStatus
from triage.core.studytype import StudyType
from triage.errors import StudyClaimed
from triage.store import reading
from triage.store.progress import mark_overdue


def test_silence_completes_a_study(store):
    store.file(seconds=0)

    assert store.complete(9.9) == []
    assert store.complete(10) == [("1.1", StudyStatus.COMPLETE)]
    assert store.row().completed_at == at(10)
    assert store.complete(11) == []


def test_an_image_that_keeps_coming_completes_the_study_at_the_limit(store):
    for number in range(0, 601, 5):
        store.file("1.1", f"1.1.{number}", seconds=number)
        done = store.complete(number)

    assert done == [("1.1", StudyStatus.COMPLETE)]


def test_a_scored_study_completes_as_scored(store):
    store.file()
    store.score(0.9)

    assert store.row().provisional
    assert store.complete(10) == [("1.1", StudyStatus.SCORED)]
    assert not store.row().provisional


def test_a_study_of_reports_completes_as_unscorable_with_the_reason(store):
    store.file_report()

    assert store.complete(10) == [("1.1", StudyStatus.UNSCORABLE)]
    assert store.row().reason.startswith("not_an_image: ")


def in_state(store, state):
    """Bring the study 1.1 into a state."""
    if state == "unscorable":
        store.file_report()
    else:
        store.file()
    if state == "failed":
        store.fail(store.hold(), final=True)
    elif state in ("scored", "read"):
        store.score(0.9)
    store.complete(10)
    if state == "read":
        reading.mark_read(store.database, store.id(), "reader", "abnormal", at(20))
    else:
        assert store.row().status == state


STATES = ["complete", "scored", "unscorable", "failed", "read"]


@pytest.mark.parametrize("state", STATES)
def test_an_image_reopens_a_study_in_any_state(store, state):
    in_state(store, state)

    filed = store.file("1.1", "1.1.2", seconds=30)

    assert filed.reopened
    assert store.row().status is StudyStatus.RECEIVING
    assert store.row().completed_at is None
    assert "reopened" in store.kinds()
    assert store.worklist() == ["1.1"]
    store.score(0.9, seconds=31)
    assert store.complete(40) == [("1.1", StudyStatus.SCORED)]


@pytest.mark.parametrize("state", STATES)
def test_a_report_reopens_nothing(store, state):
    in_state(store, state)
    before = store.row()

    filed = store.file_report(sop="1.1.77", seconds=30)

    assert not filed.reopened
    assert (store.row().status, store.row().completed_at) == (before.status, before.completed_at)
    assert store.worklist() == ([] if state == "read" else ["1.1"])


def test_the_limit_of_a_reopened_study_counts_from_the_image_that_reopened_it(store):
    store.file()
    store.complete(10)

    store.file("1.1", "1.1.2", seconds=1000)

    assert store.complete(1005) == []
    assert store.complete(1010) != []


def test_an_image_after_reading_brings_the_study_back_and_keeps_the_finding_in_the_history(store):
    in_state(store, "read")

    store.file("1.1", "1.1.2", seconds=30)

    detail = store.detail()
    assert detail.reading_state == "unread"
    assert detail.finding is None
    assert detail.row.reason.startswith("image_after_reading: ")
    (line,) = [line for line in detail.history if line.kind == "image_after_reading"]
    assert "abnormal" in line.detail
    assert detail.row.received_at == at(0)


def test_the_reason_after_reading_goes_with_the_next_reading(store):
    in_state(store, "read")
    store.file("1.1", "1.1.2", seconds=30)

    reading.mark_read(store.database, store.id(), "reader", None, at(40))

    assert store.row().reason is None


def test_a_claim_stays_when_an_image_comes(store):
    store.file()
    store.complete(10)
    reading.claim(store.database, store.id(), "anna", at(11))

    store.file("1.1", "1.1.2", seconds=30)

    assert store.row().claimed_by == "anna"


def test_a_claimed_study_stays_in_its_place(store):
    for number, probability in enumerate((0.9, 0.8, 0.7)):
        store.file(f"1.{number}")
        store.score(probability)
    before = store.worklist()

    reading.claim(store.database, store.id("1.1"), "anna", at(1))

    assert store.worklist() == before


def test_claiming_what_another_holds_names_the_holder(store):
    store.file()
    reading.claim(store.database, store.id(), "anna", at(1))

    for refused in (reading.claim, reading.release):
        with pytest.raises(StudyClaimed, match="claimed by anna"):
            refused(store.database, store.id(), "ben", at(2))
    with pytest.raises(StudyClaimed, match="claimed by anna"):
        reading.mark_read(store.database, store.id(), "ben", None, at(2))
    reading.claim(store.database, store.id(), "anna", at(3))
    assert store.kinds().count("claimed") == 1


def test_a_released_study_can_be_claimed_by_another(store):
    store.file()
    reading.claim(store.database, store.id(), "anna", at(1))

    reading.release(store.database, store.id(), "anna", at(2))
    reading.claim(store.database, store.id(), "ben", at(3))

    assert store.row().claimed_by == "ben"
    assert store.kinds() == ["received", "claimed", "released", "claimed"]


def test_a_study_that_was_read_by_mistake_goes_back_to_its_place(store):
    store.file("1.1")
    store.file("1.2", seconds=1)
    store.score(0.9, seconds=2)
    before = store.row("1.1"), store.worklist()
    reading.mark_read(store.database, store.id("1.1"), "anna", "normal", at(3))
    assert store.worklist() == ["1.2"]

    move = reading.mark_unread(store.database, store.id("1.1"), "ben", at(4), "root")

    assert (move.before, move.cause, move.label) == (None, "unread", "abnormal")
    assert (store.row("1.1"), store.worklist()) == before
    detail = store.detail("1.1")
    assert (detail.reading_state, detail.finding) == ("unread", None)
    assert detail.history[-1].kind == "unread"
    assert detail.history[-1].detail == "was read by anna, normal"
    [entry] = store.trail("unread")
    assert (entry.actor, entry.detail) == ("root for ben", "was read by anna, normal")
    reading.claim(store.database, store.id("1.1"), "ben", at(5))


def test_a_study_that_had_come_back_for_a_late_image_comes_back_with_that_reason(store):
    store.file("1.1")
    reading.mark_read(store.database, store.id(), "anna", "normal", at(1))
    store.file("1.1", "1.1.2", seconds=2, pixels="b")
    assert store.row().reason.startswith("image_after_reading")

    for second in (3, 5):
        reading.mark_read(store.database, store.id(), "anna", "normal", at(second))
        reading.mark_read(store.database, store.id(), "anna", "abnormal", at(second))
        reading.mark_unread(store.database, store.id(), "anna", at(second + 1))
        assert store.row().reason.startswith("image_after_reading")


def test_whose_reading_is_meant_is_whose_reading_is_taken_back(store):
    store.file()
    reading.mark_read(store.database, store.id(), "anna", "abnormal", at(1))

    with pytest.raises(StudyClaimed, match="was read by anna"):
        reading.mark_unread(store.database, store.id(), "ben", at(2), of="ben")
    assert store.worklist() == []
    assert reading.mark_unread(store.database, store.id(), "ben", at(2), of="anna")


def test_a_study_that_is_not_read_cannot_be_put_back(store):
    store.file()
    reading.claim(store.database, store.id(), "anna", at(1))

    assert reading.mark_unread(store.database, store.id(), "ben", at(2)) is None

    assert store.row().claimed_by == "anna"
    assert store.kinds() == ["received", "claimed"]


def test_what_another_has_read_is_not_read_over(store):
    store.file()
    reading.mark_read(store.database, store.id(), "anna", "abnormal", at(1))

    with pytest.raises(StudyClaimed, match=r"was read by anna at .*; triage unread puts it back"):
        reading.mark_read(store.database, store.id(), "ben", "normal", at(2))
    assert store.detail().finding == "abnormal"
    reading.mark_read(store.database, store.id(), "anna", "normal", at(3))
    assert store.detail().finding == "normal"


def test_reading_without_a_claim_takes_the_study_off_the_list(store):
    store.file()

    reading.mark_read(store.database, store.id(), "anna", "normal", at(1))

    assert store.worklist() == []
    assert store.detail().finding == "normal"
    with pytest.raises(StudyClaimed, match="was read by anna"):
        reading.claim(store.database, store.id(), "ben", at(2))


def overdue(store, now, max_wait):
    """Bring overdue up to date; return the studies that moved."""
    moves = mark_overdue(store.database, now, max_wait)
    return [move.study_instance_uid for move in moves]


def test_a_study_that_waits_longer_than_the_cap_goes_to_the_top_and_back(store):
    store.file("1.1", seconds=0)
    store.file("1.2", seconds=60)
    store.score(0.9, seconds=61)
    store.file("1.3", seconds=5)
    store.score(0.95, seconds=62)
    assert store.worklist() == ["1.3", "1.1", "1.2"]

    assert overdue(store, at(100), 100) == []
    assert overdue(store, at(100.5), 100) == ["1.1"]

    assert store.worklist() == ["1.1", "1.3", "1.2"]
    assert store.row("1.1").overdue
    assert store.row("1.1").priority == "HIGH"
    assert overdue(store, at(100.5), 100) == []
    assert overdue(store, at(101), 200) == ["1.1"]
    assert store.worklist() == ["1.3", "1.1", "1.2"]
    assert overdue(store, at(500), 100) != []
    assert sorted(overdue(store, at(500), 0)) == ["1.1", "1.2", "1.3"]
    assert not store.row("1.1").overdue


def test_a_read_study_is_never_overdue(store):
    store.file()
    reading.mark_read(store.database, store.id(), "anna", None, at(1))

    assert overdue(store, at(1e6), 100) == []


def test_the_wait_after_a_reading_counts_from_the_image_that_ended_it(store):
    in_state(store, "read")
    store.file("1.1", "1.1.2", seconds=1000)

    assert overdue(store, at(1050), 100) == []
    assert overdue(store, at(1101), 100) == ["1.1"]


def test_studies_that_complete_together_each_have_the_part_of_their_first_view(store):
    studies = [f"1.{number}" for number in range(1, 6)]
    for number, study in enumerate(studies):
        parts = [StudyType.HAND, StudyType.WRIST]
        for image, part in enumerate(parts if number % 2 else reversed(parts)):
            store.file(study, f"{study}.{image}", study_type=part)

    store.complete(100)

    assert [store.row(study).study_type for study in studies] == [
        *("wrist", "hand", "wrist", "hand", "wrist")
    ]
