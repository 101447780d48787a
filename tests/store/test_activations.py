"""The maps of the views: kept with the probability, replaced with it."""

import pytest

from tests.support.store import at
from triage.core.activation import CoarseMap
from triage.errors import DatabaseUnavailable
from triage.store import scoring
from triage.store.activations import scored_views


def coarse(byte, side=224, resize="squeeze"):
    return CoarseMap(height=2, width=3, cells=bytes([byte]) * 12, side=side, resize=resize)


def save(store, work, *maps, seconds=0, scorer="s1"):
    results = [
        scoring.Result(work=item, probability=0.7, threshold=0.5, model="m 1", map=one)
        for item, one in zip(work, maps, strict=True)
    ]
    return scoring.save_results(store.database, scorer, results, at(seconds))


def maps(store, study="1.1"):
    return [view.map for view in scored_views(store.database, store.id(study))]


def test_each_view_keeps_the_map_of_its_own_score(store):
    store.file(sop="1.1.1", frames=2)
    store.file(sop="1.1.2")
    store.file(study="1.2")

    save(store, store.hold(), coarse(1), coarse(2, 320, "pad"), coarse(3), coarse(4))

    first, second, third = scored_views(store.database, store.id())
    assert [view.map for view in (first, second, third)] == [
        coarse(1),
        coarse(2, 320, "pad"),
        coarse(3),
    ]
    assert (second.sop_instance_uid, second.frame, second.digest) == ("1.1.1", 2, "1.1.1/a")
    assert not any(view.waiting for view in (first, second, third))
    assert maps(store, "1.2") == [coarse(4)]


def test_a_new_score_replaces_the_map_and_until_then_the_former_stays(store):
    store.file()
    save(store, store.hold(), coarse(1))
    store.rescore(10)

    (before,) = scored_views(store.database, store.id())
    save(store, store.hold(seconds=11), coarse(2, 128), seconds=12)

    assert (before.map, before.waiting) == (coarse(1), True)
    assert maps(store) == [coarse(2, 128)]
    assert store.sql("SELECT count(*) FROM activation") == [(1,)]


def test_a_score_that_comes_without_a_map_leaves_none_of_the_former(store):
    store.file()
    save(store, store.hold(), coarse(1))
    store.rescore(10)

    save(store, store.hold(seconds=11), None, seconds=12)

    assert maps(store) == [None]


def test_a_scorer_that_lost_the_view_leaves_the_map_alone(store):
    store.file()
    work = store.hold("s1")
    again = store.hold("s2", seconds=60)
    save(store, again, coarse(2), scorer="s2", seconds=61)

    save(store, work, coarse(1), scorer="s1", seconds=62)

    assert maps(store) == [coarse(2)]


def test_probability_and_map_are_stored_together_or_not_at_all(store):
    store.file()
    work = store.hold()
    with store.database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE activation RENAME TO elsewhere")

    with pytest.raises(DatabaseUnavailable):
        save(store, work, coarse(1))

    assert store.row().probability is None
    assert store.states() == ["pending"]


def test_a_view_whose_new_score_failed_shows_no_map(store):
    store.file()
    save(store, store.hold(), coarse(1))
    store.rescore(10)

    store.fail(store.hold(seconds=11), seconds=12, final=True)

    assert maps(store) == []


def test_views_that_do_not_count_show_no_map(store):
    store.file(pixels="a")
    save(store, store.hold(), coarse(1))
    store.file(pixels="b", seconds=5)  # other bytes: they have the former score until their own

    (view,) = scored_views(store.database, store.id())

    assert (view.digest, view.map, view.waiting) == ("1.1.1/b", None, True)
