"""Raw images, copies and new judgements, in the database."""

from dataclasses import replace

import pytest

from tests.support.store import at
from triage.core.study import Exposure, Intent
from triage.core.studytype import StudyType
from triage.store import queries, reading

RAW = Exposure(intent=Intent.PROCESSING)


def by_uid(store):
    return {entry.sop_instance_uid: entry for entry in store.detail().instances}


@pytest.mark.parametrize("scored_before", [False, True])
def test_a_raw_image_leaves_the_queue_and_the_score_when_its_presentation_comes(
    store, scored_before
):
    store.file(sop="1.1.1", exposure=RAW)
    if scored_before:
        store.score(0.9)

    store.file(sop="1.1.2", seconds=1)

    assert [work.sop_instance_uid for work in store.hold(seconds=2)] == ["1.1.2"]
    store.score(0.2, seconds=60)
    row = store.row()
    assert (row.views, row.views_scored, row.probability, row.reason) == (1, 1, 0.2, None)
    left_out = by_uid(store)["1.1.1"]
    assert (left_out.state, left_out.probability) == ("unscorable", None)
    assert left_out.reason.startswith("presentation_twin: ")
    assert queries.pending_views(store.database, at(60)) == (0, 0.0)


def test_a_scorer_that_holds_a_raw_image_meanwhile_writes_nothing(store):
    store.file(sop="1.1.1", exposure=RAW)
    held = store.hold()
    store.file(sop="1.1.2", seconds=1)

    store.save(held, 0.9, seconds=2)

    assert store.row().probability is None
    assert store.row().views_scored == 0


def test_a_raw_image_counts_again_when_its_presentation_moves_to_another_study(store):
    store.file(sop="1.1.1", exposure=RAW)
    store.score(0.9)
    store.file(sop="1.1.2", seconds=1)
    store.score(0.2, seconds=2)

    store.file("1.2", "1.1.2", content="moved", seconds=3)

    row = store.row()
    assert (row.views, row.probability) == (1, 0.9)
    assert row.reason.startswith("low_trust: ")
    assert by_uid(store)["1.1.1"].state == "scored"


def test_an_unscored_raw_image_is_queued_again_when_its_presentation_moves(store):
    store.file(sop="1.1.1", exposure=RAW)
    store.file(sop="1.1.2", seconds=1)

    store.file("1.2", "1.1.2", content="moved", seconds=2)

    assert {work.sop_instance_uid for work in store.hold(seconds=3)} == {"1.1.1", "1.1.2"}


@pytest.mark.parametrize("first", ["1.1.1", "1.1.2"])
def test_copies_are_scored_each_and_count_once(store, first):
    second = {"1.1.1": "1.1.2", "1.1.2": "1.1.1"}[first]
    store.file(sop=first, pixel_digest="same")
    store.file(sop=second, pixel_digest="same", seconds=1)
    store.file(sop="1.1.3", seconds=2)
    chances = {"1.1.1": 0.8, "1.1.2": 0.6, "1.1.3": 0.2}
    for work in store.hold(seconds=3):
        store.save([work], chances[work.sop_instance_uid], seconds=3)

    row = store.row()
    assert (row.views, row.views_scored) == (3, 3)
    assert row.probability == pytest.approx((0.8 + 0.2) / 2)
    assert by_uid(store)["1.1.1"].reason is None
    assert by_uid(store)["1.1.2"].reason.startswith("duplicate_exposure: ")
    assert "1.1.1" in by_uid(store)["1.1.2"].reason


def test_a_raw_image_stands_in_until_its_presentation_is_scored(store):
    store.file(sop="1.1.1", exposure=RAW)
    store.score(0.9)

    store.file(sop="1.1.2", seconds=1)

    assert (store.row().probability, store.row().views, store.row().views_scored) == (0.9, 1, 0)
    store.score(0.2, seconds=2)
    assert (store.row().probability, store.row().views_scored) == (0.2, 1)


@pytest.mark.parametrize("scored_before", [False, True])
def test_a_presentation_that_cannot_be_read_gives_its_place_back(store, scored_before):
    store.file(sop="1.1.1", exposure=RAW)
    if scored_before:
        store.score(0.9)
    store.file(sop="1.1.2", seconds=1)

    store.fail(store.hold(seconds=2), seconds=2, final=True)

    store.score(0.9, seconds=3)
    row = store.row()
    assert (row.probability, row.views, row.views_scored) == (0.9, 2, 1)
    assert row.reason.startswith("partly_scored: 1 of 2 views")
    assert by_uid(store)["1.1.1"].state == "scored"

    store.rescore(10)
    for work in store.hold(seconds=11):
        store.save([work], 0.2, seconds=11)
    assert (store.row().probability, store.row().views) == (0.2, 1)
    assert by_uid(store)["1.1.1"].state == "unscorable"


def test_a_new_judgement_brings_what_the_header_says_of_the_exposure(store):
    store.file(sop="1.1.1")
    store.file(sop="1.1.2", seconds=1)
    raw, shown = store.sql("SELECT id FROM instance ORDER BY id")

    today = {
        raw.id: store.received(sop="1.1.1", exposure=RAW),
        shown.id: store.received(sop="1.1.2"),
    }
    store.rescore(10, today)

    assert by_uid(store)["1.1.1"].reason.startswith("presentation_twin: ")


def test_what_the_study_shows_is_judged_again_with_a_new_score(store):
    store.file(frames=0, study_type=None, reason="unknown_part: no table has it")
    store.complete(20)
    (row,) = store.sql("SELECT id FROM instance")

    store.rescore(30, {row.id: store.received(part_from="BodyPartExamined 'MAO'")})
    store.score(0.7, seconds=31)

    row = store.row()
    assert (row.status, row.study_type, row.probability) == ("scored", StudyType.HAND, 0.7)
    (entry,) = store.detail().instances
    assert entry.part_from == "BodyPartExamined 'MAO'"


def test_what_is_no_longer_for_the_network_leaves_the_queue_and_the_score(store):
    store.file()
    store.score(0.9)
    store.complete(20)
    (row,) = store.sql("SELECT id FROM instance")
    reason = "outside_upper_extremity: the site says so"

    store.rescore(30, {row.id: store.received(frames=0, study_type=None, reason=reason)})

    assert store.hold(seconds=31) == []
    row = store.row()
    assert (row.status, row.probability, row.reason) == ("unscorable", None, reason)


def test_an_instance_that_came_again_meanwhile_keeps_its_own_judgement(store):
    store.file(pixels="a")
    (old,) = store.sql("SELECT id FROM instance")
    store.file(pixels="b", seconds=1)
    outside = replace(store.received(), frames=0, reason="outside_upper_extremity: no")

    store.rescore(2, {old.id: outside})

    assert store.states() == ["replaced", "pending"]


def test_a_copy_that_comes_after_the_reading_shows_itself(store):
    store.file(sop="1.1.1", pixel_digest="same")
    store.complete(20)
    reading.mark_read(store.database, store.id(), "anna", None, at(30))

    store.file(sop="1.1.2", pixel_digest="same", seconds=40)

    assert store.worklist() == ["1.1"]
