"""Filing what arrives, on both databases."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.store import at
from triage.core.study import StudyStatus
from triage.store import intake, queries, reading
from triage.store.intake import Outcome


def test_the_first_image_makes_a_study_that_is_receiving(store):
    filed = store.file("1.1", accession_number="A1", patient_id="P1", seconds=5)

    row = store.row("1.1")
    assert (filed.outcome, filed.reopened) == (Outcome.NEW, False)
    assert row.status is StudyStatus.RECEIVING
    assert row.provisional
    assert (row.views, row.views_scored) == (1, 0)
    assert (row.accession_number, row.patient_id) == ("A1", "P1")
    assert row.received_at == at(5)
    assert store.kinds() == ["received"]


def test_every_frame_of_an_image_is_a_view(store):
    store.file("1.1", frames=3)

    assert store.row().views == 3
    assert [work.frame for work in store.hold()] == [1, 2, 3]


def test_the_same_bytes_again_change_nothing(store):
    store.file(seconds=0)
    before = store.detail()

    filed = store.file(seconds=5)

    assert (filed.outcome, filed.reopened) == (Outcome.DUPLICATE, False)
    assert store.detail() == before


def test_a_duplicate_reopens_no_complete_study(store):
    store.file()
    store.complete(10)

    filed = store.file(seconds=60)

    assert (filed.outcome, filed.reopened) == (Outcome.DUPLICATE, False)
    assert store.row().status is StudyStatus.COMPLETE


def test_other_bytes_replace_the_former_and_reopen_the_study(store):
    store.file(pixels="a")
    store.score(0.9)
    store.complete(10)

    filed = store.file(pixels="b", seconds=60)

    assert (filed.outcome, filed.reopened) == (Outcome.REPLACED, True)
    assert store.states() == ["replaced", "pending"]
    assert store.row().status is StudyStatus.RECEIVING
    assert store.kinds()[-1] == "instance_replaced"
    assert store.hold(seconds=60)[0].digest == "1.1.1/b"


def test_a_replaced_view_keeps_its_score_until_the_new_bytes_have_theirs(store):
    store.file(pixels="a")
    store.score(0.9)
    store.complete(10)

    store.file(pixels="b", seconds=60)

    assert store.row().probability == 0.9
    store.score(0.2, seconds=61)
    assert store.row().probability == 0.2
    assert (store.row().views, store.row().views_scored) == (1, 1)


def test_bytes_that_come_back_after_others_count_again(store):
    store.file(pixels="a")
    store.score(0.9)
    store.file(pixels="b", seconds=1)
    store.score(0.2, seconds=2)

    filed = store.file(pixels="a", seconds=3)

    assert filed.outcome is Outcome.REPLACED
    assert store.sql("SELECT digest, state FROM instance ORDER BY id") == [
        ("1.1.1/a", "scorable"),
        ("1.1.1/b", "replaced"),
    ]
    assert store.row().probability == 0.9
    assert store.row().views == 1


def test_bytes_that_come_back_unscored_are_scored(store):
    store.file(pixels="a")
    store.file(pixels="b", seconds=1)

    store.file(pixels="a", seconds=2)

    (work,) = store.hold(seconds=3)
    assert work.digest == "1.1.1/a"
    store.save([work], 0.7)
    assert store.row().probability == 0.7


def test_a_new_header_on_the_same_pixels_replaces_but_brings_no_read_study_back(store):
    store.file(pixels="a", content="a1")
    store.complete(10)
    reading.mark_read(store.database, store.id(), "reader", "normal", at(20))

    filed = store.file(pixels="a", content="a2", seconds=30)

    assert filed.outcome is Outcome.REPLACED
    assert store.detail().reading_state == "read"
    assert store.worklist() == []


def test_other_pixels_bring_a_read_study_back(store):
    store.file(pixels="a")
    store.complete(10)
    reading.mark_read(store.database, store.id(), "reader", "normal", at(20))

    store.file(pixels="b", seconds=30)

    assert store.detail().reading_state == "unread"
    assert store.row().reason.startswith("image_after_reading: ")


def test_the_same_instance_in_another_study_moves_there(store):
    store.file("1.1", "1.9")
    store.score(0.9)

    filed = store.file("1.2", "1.9", content="other study", seconds=1)

    assert filed.outcome is Outcome.REPLACED
    assert store.row("1.1").views == 0
    assert store.row("1.1").probability is None
    assert store.row("1.2").views == 1
    assert "instance_replaced" in store.kinds("1.1")
    assert "instance_replaced" in store.kinds("1.2")
    assert sorted(store.worklist()) == ["1.1", "1.2"], "no study is ever hidden"


def test_a_study_whose_images_moved_is_unscorable_and_says_why(store):
    store.file("1.1", "1.9")
    store.file("1.2", "1.9", content="other study", seconds=1)

    store.complete(100)

    assert store.row("1.1").status is StudyStatus.UNSCORABLE
    assert store.row("1.1").reason.startswith("instance_replaced: ")


def test_an_instance_that_moves_there_and_back_counts_where_it_came_last(store):
    store.file("1.1", "1.9", content="x")
    store.file("1.2", "1.9", content="y", seconds=1)

    store.file("1.1", "1.9", content="x", seconds=2)

    assert store.row("1.1").views == 1
    assert store.row("1.2").views == 0


@pytest.mark.parametrize("round_", range(3))
def test_concurrent_first_images_make_one_study(store, round_):
    study = f"1.{round_}"

    with ThreadPoolExecutor(8) as threads:
        filed = list(threads.map(lambda n: store.file(study, f"{study}.{n}"), range(16)))

    assert {answer.outcome for answer in filed} == {Outcome.NEW}
    assert store.sql("SELECT count(*) FROM study") == [(1,)]
    assert store.row(study).views == 16
    assert store.kinds(study) == ["received"]


def test_the_same_object_from_several_senders_at_once_is_one_instance(store):
    with ThreadPoolExecutor(8) as threads:
        filed = list(threads.map(lambda _: store.file(), range(8)))

    outcomes = [answer.outcome for answer in filed]
    assert sorted(outcomes) == [Outcome.DUPLICATE] * 7 + [Outcome.NEW]
    assert store.sql("SELECT count(*) FROM instance") == [(1,)]


def test_versions_of_an_object_that_race_leave_one_that_counts(store):
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: store.file(pixels=f"v{n}"), range(8)))

    counting = store.sql("SELECT id FROM instance WHERE state <> 'replaced'")
    assert len(counting) == 1
    assert store.row().views == 1


def test_versions_of_an_object_that_race_into_several_studies_leave_one_that_counts(store):
    def file(number):
        return store.file(f"1.{number % 4}", "1.9", content=f"v{number}", pixels=f"v{number}")

    with ThreadPoolExecutor(8) as senders:
        outcomes = [filed.outcome for filed in senders.map(file, range(24))]

    assert outcomes.count(Outcome.NEW) == 1
    ((holder,),) = store.sql("SELECT study_id FROM instance WHERE state <> 'replaced'")
    for study_id, views in store.sql("SELECT id, views FROM study"):
        assert views == (1 if study_id == holder else 0)


def test_the_newest_header_s_texts_win_and_missing_ones_erase_nothing(store):
    store.file("1.1", "1.1.1", accession_number="A1", patient_id="P1")

    store.file("1.1", "1.1.2", patient_id="P2")

    assert store.row().accession_number == "A1"
    assert store.row().patient_id == "P2"


def test_an_older_header_that_is_found_fills_gaps_and_overwrites_nothing(store):
    store.file("1.1", "1.1.2", seconds=0, accession_number="A2")
    older = store.received("1.1", "1.1.1", accession_number="A1", patient_id="P1")

    intake.file_instance(store.database, older, at(-60), found=at(60))

    assert store.row().accession_number == "A2"
    assert store.row().patient_id == "P1"


def test_the_spool_names_of_a_study_are_those_that_count(store):
    store.file(pixels="a")
    store.file(pixels="b")
    store.file_report()

    current = store.sql("SELECT digest FROM instance WHERE state <> 'replaced' ORDER BY id")
    assert [row.digest for row in current] == ["1.1.1/b", "1.1.99/a"]


def test_a_radiograph_that_cannot_be_scored_brings_a_read_study_back_too(store):
    store.file()
    store.score(0.2)
    store.complete(10)
    reading.mark_read(store.database, store.id(), "ada", "normal", at(20))

    store.file(
        sop="1.1.2", seconds=30, frames=0, study_type=None, reason="unknown_part: nothing is said"
    )

    assert store.worklist() == ["1.1"]
    assert store.row().reason.startswith("image_after_reading: ")


def test_bytes_that_come_back_after_the_site_chose_to_score_them_get_their_views(store):
    store.file(content="a", frames=0, reason="unknown_part: nothing is said")
    store.file(content="b", frames=0, reason="unknown_part: nothing is said")
    store.file(content="a", frames=1)

    assert len(store.hold()) == 1
    assert store.row().views == 1


def test_an_accession_number_of_any_length_is_filed_and_finds_its_study(store):
    """PostgreSQL's index takes 2704 bytes, compressed, of a row."""
    absurd = "".join(chr(0x4E00 + 7 * number) for number in range(1024))

    store.file("1.1", accession_number=absurd)

    assert store.row("1.1").accession_number == absurd[:64]
    assert queries.find_study(store.database, absurd) == store.id("1.1")
