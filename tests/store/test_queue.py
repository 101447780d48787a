"""The queue of views: holds, results, retries, blame, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.store import at
from triage.core.activation import CoarseMap
from triage.core.study import StudyStatus
from triage.core.worklist import Cause
from triage.store import scoring, unscored
from triage.store.activations import scored_views
from triage.store.derive import TOGETHER
from triage.store.scoring import HOLD, MAX_ATTEMPTS, MAX_INTERRUPTIONS, Blame, renew_holds


def fill(store, views):
    for number in range(views):
        store.file("1.1", f"1.1.{number}")


def test_the_earliest_views_are_taken_first_up_to_the_limit(store):
    fill(store, 5)

    first, second = store.hold("s1", limit=3), store.hold("s2", limit=3)

    assert [work.sop_instance_uid for work in first] == ["1.1.0", "1.1.1", "1.1.2"]
    assert [work.sop_instance_uid for work in second] == ["1.1.3", "1.1.4"]


def test_scorers_that_race_never_get_the_same_view(store):
    fill(store, 60)

    def drain(scorer):
        taken = []
        while work := store.hold(scorer, limit=4):
            taken += [item.view_id for item in work]
        return taken

    with ThreadPoolExecutor(4) as threads:
        shares = list(threads.map(drain, ["s1", "s2", "s3", "s4"]))

    taken = [view for share in shares for view in share]
    assert len(taken) == len(set(taken)) == 60


def test_a_hold_that_ran_out_is_free_for_another(store):
    fill(store, 1)
    store.hold("s1")
    over = HOLD.total_seconds()

    assert store.hold("s2", seconds=over) == []
    assert len(store.hold("s2", seconds=over + 0.1)) == 1


def test_the_result_of_a_scorer_that_lost_its_hold_is_dropped(store):
    fill(store, 1)
    late = store.hold("s1")
    held = store.hold("s2", seconds=31)

    assert store.save(late, 0.1, "s1", seconds=32) == []
    assert store.row().probability is None
    assert store.save(held, 0.9, "s2", seconds=33) == [("1.1", StudyStatus.RECEIVING)]
    assert store.row().probability == 0.9
    assert store.save(late, 0.1, "s1", seconds=34) == []
    assert store.fail(late, "s1", seconds=34) == []
    assert store.row().probability == 0.9


def test_the_result_of_bytes_that_were_replaced_meanwhile_does_not_count(store):
    store.file(pixels="a")
    work = store.hold()
    store.file(pixels="b", seconds=1)

    store.save(work, 0.9, seconds=2)

    assert store.row().probability is None
    assert store.row().views_scored == 0


def test_results_of_several_studies_are_stored_together(store):
    store.file("1.1")
    store.file("1.2")

    touched = store.score(0.7)

    assert touched == [("1.1", StudyStatus.RECEIVING), ("1.2", StudyStatus.RECEIVING)]
    assert {store.row("1.1").probability, store.row("1.2").probability} == {0.7}


def test_a_view_that_fails_is_tried_again_soon_and_alone(store):
    fill(store, 3)
    work = store.hold()
    store.fail(work[:1])
    store.save(work[1:2], 0.5)
    store.file("1.1", "1.1.9")

    now = store.hold("s2", seconds=0.1)
    soon = store.hold("s3", seconds=0.5)

    assert [item.sop_instance_uid for item in now] == ["1.1.9"]
    assert [item.sop_instance_uid for item in soon] == ["1.1.0"]


def test_views_without_trouble_are_not_held_together_with_a_troubled_one(store):
    fill(store, 3)
    store.fail(store.hold(limit=2)[1:])
    store.free_dead("s1", blame=Blame.NONE)

    batches = []
    while work := store.hold("s2", seconds=1):
        batches.append([item.sop_instance_uid for item in work])

    assert sorted(batches) == [["1.1.0"], ["1.1.1"], ["1.1.2"]]


def test_a_view_is_set_aside_after_three_failures(store):
    fill(store, 2)
    store.save(store.hold(limit=1), 0.9)

    for attempt in range(MAX_ATTEMPTS):
        assert "failed" not in store.states()
        (work,) = store.hold(seconds=20 * attempt)
        store.fail([work], seconds=20 * attempt)

    assert store.states() == ["scored", "failed"]
    assert store.hold(seconds=1000) == []
    assert store.row().probability == 0.9
    assert store.row().reason.startswith("partly_scored: 1 of 2 views")
    assert "it is broken" in store.row().reason


def test_a_final_failure_is_not_tried_again(store):
    fill(store, 1)

    store.fail(store.hold(), final=True)

    assert store.states() == ["failed"]
    store.complete(10)
    assert store.row().status is StudyStatus.FAILED
    assert store.row().reason == "undecodable: it is broken"


def test_a_scorer_that_died_alone_is_blamed_on_its_views_until_they_are_set_aside(store):
    fill(store, 1)

    for attempt in range(MAX_ATTEMPTS):
        assert len(store.hold("dead", seconds=attempt)) == 1
        assert store.free_dead("dead", blame=Blame.ALL) == 1

    assert store.states() == ["failed"]
    assert store.detail().instances[0].reason.startswith("scorer_crashed: ")


def test_a_killed_scorer_is_blamed_on_the_view_that_it_held_alone(store):
    fill(store, 3)

    store.hold("dead")
    store.free_dead("dead", blame=Blame.ALONE)
    assert {row.attempts for row in store.sql("SELECT attempts FROM view")} == {0}

    store.hold("dead")
    store.free_dead("dead", blame=Blame.ALONE)
    assert [row.attempts for row in store.sql("SELECT attempts FROM view ORDER BY id")] == [1, 0, 0]


def test_a_troubled_view_comes_after_all_others(store):
    fill(store, 1)
    store.hold("dead")
    store.free_dead("dead", blame=Blame.ALL)
    store.file("1.2")

    assert [work.study_instance_uid for work in store.hold()] == ["1.2"]
    assert [work.study_instance_uid for work in store.hold()] == ["1.1"]


def test_a_study_says_that_a_view_of_it_took_the_scorer_down(store):
    fill(store, 1)
    store.hold("dead")
    store.free_dead("dead", blame=Blame.ALL)

    assert store.row().reason.startswith("scorer_crashed: ")
    store.score(0.7)
    assert store.row().reason is None


def test_a_scorer_that_lives_keeps_what_it_holds_however_long_it_takes(store):
    fill(store, 1)
    work = store.hold("slow")
    over = HOLD.total_seconds()
    renew_holds(store.database, "slow", lambda: at(over - 1))

    assert store.hold("other", seconds=over + 1) == []
    assert store.save(work, 0.7, scorer="slow", seconds=2 * over)


def test_a_hold_from_the_future_is_free(store):
    fill(store, 1)
    store.hold("dead", seconds=3600)

    assert len(store.hold("s2", seconds=0)) == 1


def test_the_end_of_the_daemon_is_counted_apart_and_forgiven_longer(store):
    fill(store, 1)

    for number in range(MAX_INTERRUPTIONS):
        assert store.states() == ["pending"], number
        assert len(store.hold("dead", seconds=number)) == 1
        store.free_dead("dead", blame=Blame.NONE)

    assert store.states() == ["failed"]


def test_what_the_living_hold_is_not_freed(store):
    fill(store, 2)
    store.hold("dead", limit=1)
    store.hold("alive", limit=1)

    assert store.free_dead("dead", blame=Blame.ALL) == 1

    assert [work.sop_instance_uid for work in store.hold("s2")] == ["1.1.0"]
    assert store.hold("s2") == []


def test_a_view_that_was_freed_is_scored_like_any_other(store):
    fill(store, 1)
    store.hold("dead")
    store.free_dead("dead", blame=Blame.ALL)

    store.score(0.9)

    assert store.row().probability == 0.9
    assert store.states() == ["scored"]


def test_a_missing_model_is_explained_in_every_study_and_forgotten_when_scored(store):
    store.file("1.1")
    store.file("1.2")
    store.file_report("1.3", "1.3.1")

    why = "no_model: there is none"
    assert unscored.explain_new(store.database, why, at(0)) == 2
    assert unscored.explain_new(store.database, why, at(0)) == 0

    assert store.row("1.1").reason == store.row("1.2").reason == why
    assert store.row("1.3").reason != why
    store.score(0.9)
    assert store.row("1.1").reason is None


def test_another_reason_why_nothing_is_scored_reaches_every_view_that_waits(store, monkeypatch):
    monkeypatch.setattr(unscored, "PAGE", 2)
    fill(store, 5)
    while unscored.explain_new(store.database, "no_model: there is none", at(0)):
        pass

    after = 0
    while after is not None:
        after = unscored.explain_pending(store.database, "no_model: it is damaged", at(1), after)

    assert {row.reason for row in store.sql("SELECT reason FROM view")} == {
        "no_model: it is damaged"
    }
    assert store.row().reason == "no_model: it is damaged"


def test_a_hold_lasts_from_when_the_database_s_turn_came(store):
    fill(store, 1)
    moments = iter([at(0), at(8)])  # the rows were waited for

    scoring.hold_views(store.database, "s1", 1, lambda: next(moments))

    assert store.hold("s2", seconds=HOLD.total_seconds() + 7) == []


def test_a_rescore_keeps_the_former_score_until_the_new_one_is_there(store):
    store.file("1.1", "1.1.1")
    store.file("1.1", "1.1.2")
    store.score(0.9)
    store.complete(10)

    store.rescore(20, by="anna")

    assert (store.row().probability, store.row().label) == (0.9, "abnormal")
    assert store.row().views_scored == 0
    assert store.row().status is StudyStatus.COMPLETE
    assert "rescore" in store.kinds()
    first, second = store.hold(seconds=21)
    store.save([first], 0.1, seconds=22)
    assert store.row().probability == pytest.approx(0.5)
    store.save([second], 0.1, seconds=22)
    assert (store.row().probability, store.row().label) == (0.1, "normal")
    assert store.row().status is StudyStatus.SCORED


def test_a_rescore_tries_again_what_was_set_aside(store):
    fill(store, 1)
    store.fail(store.hold(), final=True)
    store.complete(10)

    store.rescore(20, by="anna")

    assert len(store.hold(seconds=21)) == 1


def test_a_rescore_takes_the_view_from_the_scorer_that_holds_it(store):
    fill(store, 1)
    stale = store.hold("s1")

    store.rescore(1, by="anna")

    assert store.save(stale, 0.9, "s1", seconds=2) == []
    assert store.states() == ["pending"]


def test_scorers_and_receivers_of_the_same_studies_do_not_block_each_other_for_ever(store):
    for study in range(6):
        store.file(f"1.{study}", f"1.{study}.0")

    def receive(number):
        for study in range(6):
            store.file(f"1.{study}", f"1.{study}.{number + 1}")

    def score(scorer):
        for _ in range(12):
            work = store.hold(scorer, limit=5)
            store.save(work[::-1], 0.6, scorer)

    with ThreadPoolExecutor(6) as threads:
        jobs = [threads.submit(receive, number) for number in range(3)]
        jobs += [threads.submit(score, f"s{number}") for number in range(3)]
        for job in jobs:
            job.result(timeout=60)
    while store.score(0.6, seconds=60):
        pass

    assert {(store.row(f"1.{study}").views_scored) for study in range(6)} == {4}


def map_of(number):
    """Return a map of one cell that is told from others."""
    return CoarseMap(height=1, width=1, cells=bytes([number, 0]), side=224, resize="pad")


def test_results_that_are_saved_together_are_those_that_would_be_saved_alone(store):
    studies = [f"1.{number}" for number in range(1, 2 * TOGETHER + 2)]
    for number, study in enumerate(studies):
        for image in (1, 2):
            store.file(study, f"{study}.{image}", seconds=number)
    store.file("2.1")
    store.save([work for work in store.hold(limit=99) if work.study_instance_uid == "2.1"], 0.9)
    store.rescore(30, study="2.1")
    work = store.hold("s2", seconds=60, limit=99)  # those of s1 are over by then
    probability = {study: round(0.05 + number / 20, 2) for number, study in enumerate(studies)}
    results = [
        scoring.Result(work=each, reason="undecodable: it is broken", final=True)
        if each.study_instance_uid == "2.1"
        else scoring.Result(
            work=each,
            probability=probability[each.study_instance_uid],
            threshold=0.5,
            model="m 1",
            map=map_of(each.view_id),
        )
        for each in work
    ]

    saved = scoring.save_results(store.database, "s2", results, at(61))

    assert [study.study_instance_uid for study in saved.studies] == [*studies, "2.1"]
    assert len(saved.results) == len(results) == 2 * len(studies) + 1
    for study in studies:
        row = store.row(study)
        assert (row.views_scored, row.probability) == (2, pytest.approx(probability[study]))
        assert row.label == ("abnormal" if probability[study] > 0.5 else "normal")
        assert [view.map for view in scored_views(store.database, store.id(study))] == [
            map_of(each.view_id) for each in work if each.study_instance_uid == study
        ]
    assert store.row("2.1").probability is None
    causes = {study.study_instance_uid: study.move.cause for study in saved.studies}
    assert causes == dict.fromkeys(studies, Cause.SCORED) | {"2.1": Cause.NOT_SCORED}


def test_a_view_that_was_taken_twice_has_its_first_result(store):
    store.file()
    (work,) = store.hold()
    first, second = (
        scoring.Result(work=work, probability=probability, threshold=0.5, model="m 1")
        for probability in (0.9, 0.2)
    )

    saved = scoring.save_results(store.database, "s1", [first, second], at(1))

    assert saved.results == (first,)
    assert store.row().probability == 0.9


def test_only_holds_are_what_a_power_cut_may_undo(store, monkeypatch):
    durable = []
    writing = store.database.writing

    def noted(**how):
        durable.append(how.get("durable", True))
        return writing(**how)

    monkeypatch.setattr(store.database, "writing", noted)

    def of(work):
        durable.clear()
        done = work()
        return durable.copy(), done

    assert of(store.file)[0] == [True]
    how, work = of(store.hold)
    assert (how, len(work)) == ([False], 1)
    assert of(lambda: renew_holds(store.database, "s1", lambda: at(1)))[0] == [False]
    assert of(lambda: store.save(work, 0.9))[0] == [True]
    assert of(lambda: store.complete(100))[0] == [True]
    assert of(lambda: store.rescore(101))[0] == [True]
