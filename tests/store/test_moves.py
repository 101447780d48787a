"""What moves a study on the worklist is told to who asked for the change, on both databases."""

from tests.support.store import at
from triage.core.worklist import Band, Cause
from triage.store import reading
from triage.store.progress import mark_overdue
from triage.store.scoring import Blame, free_views_of_dead


def told(move):
    return move.cause, move.before and move.before.band, move.after.band


def moves_of(store):
    """Return the moves of the results that were saved last."""
    return [told(study.move) for study in store.saved.studies if study.move]


def test_a_first_image_moves_nothing_and_its_score_does(store):
    assert store.file().moves == ()

    store.score(0.9)

    assert moves_of(store) == [(Cause.SCORED, Band.NOT_SCORED, Band.ABNORMAL)]
    (derived,) = store.saved.studies
    assert (derived.move.study_instance_uid, derived.move.probability) == ("1.1", 0.9)


def test_a_move_between_two_outcomes_stands_in_the_history(store):
    store.file()
    store.file("1.1", "1.1.2", seconds=1)
    first, second = store.hold(seconds=2)
    store.save([first], 0.9, seconds=3)
    store.save([second], 0.7, seconds=4)  # abnormal still
    moved = [line for line in store.detail().history if line.kind == "moved"]
    assert [line.detail for line in moved] == ["abnormal 0.9000, 1 of 2 views so far"]

    store.complete(100)

    assert store.kinds() == ["received", "moved", "scored"]
    store.rescore(101)
    store.fail(store.hold(seconds=102), seconds=102, final=True)
    assert "moved" not in store.kinds()[3:], "what it has come to says so"


def test_a_wait_that_grows_too_long_has_one_line_in_the_history(store):
    store.file()
    store.score(0.2)
    before = len(store.kinds())

    mark_overdue(store.database, at(1e6), 100)
    mark_overdue(store.database, at(1e6), 0)

    assert store.kinds()[before:] == ["overdue", "no_longer_overdue"]


def test_a_score_that_changes_nothing_of_the_order_is_no_move(store):
    store.file()
    store.score(0.2)
    store.file("1.1", "1.1.2", seconds=1)

    store.score(0.3, seconds=1)

    assert moves_of(store) == []


def test_another_probability_of_an_abnormal_study_is_a_move(store):
    store.file()
    store.score(0.9)
    store.file("1.1", "1.1.2", seconds=1)

    store.score(0.7, seconds=1)

    assert moves_of(store) == [(Cause.SCORED, Band.ABNORMAL, Band.ABNORMAL)]


def test_a_view_that_is_tried_again_and_fails_moves_its_study_back(store):
    store.file()
    store.score(0.9)
    store.rescore(1)

    store.fail(store.hold(seconds=2), seconds=2, final=True)

    assert moves_of(store) == [(Cause.NOT_SCORED, Band.ABNORMAL, Band.NOT_SCORED)]


def test_a_wait_that_grows_too_long_and_a_longer_limit_are_moves(store):
    store.file()
    store.score(0.2)

    (to_the_top,) = mark_overdue(store.database, at(101), 100)
    (back,) = mark_overdue(store.database, at(102), 1000)

    assert told(to_the_top) == (Cause.OVERDUE, Band.NORMAL, Band.OVERDUE)
    assert told(back) == (Cause.NO_LONGER_OVERDUE, Band.OVERDUE, Band.NORMAL)


def test_a_study_that_was_read_comes_from_off_the_list(store):
    store.file()
    store.score(0.9)
    reading.mark_read(store.database, store.id(), "anna", None, at(20))

    (move,) = store.file("1.1", "1.1.2", seconds=30).moves

    assert told(move) == (Cause.IMAGE_AFTER_READING, None, Band.ABNORMAL)


def test_a_study_off_the_list_does_not_move(store):
    store.file()
    work = store.hold()
    reading.mark_read(store.database, store.id(), "anna", None, at(1))

    store.save(work, 0.9, seconds=2)

    assert moves_of(store) == []


def test_a_scorer_that_dies_of_a_view_for_good_moves_its_study(store):
    store.file()
    store.score(0.9)
    store.rescore(1)

    moves = []
    for second in (2, 3, 4):
        store.hold("dead", seconds=second)
        freed = free_views_of_dead(store.database, lambda _: True, at(second), Blame.ALL)
        moves += freed.moves

    assert [told(move) for move in moves] == [
        (Cause.SCORER_CRASHED, Band.ABNORMAL, Band.NOT_SCORED)
    ]
