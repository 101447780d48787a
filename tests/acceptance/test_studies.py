"""What becomes of studies, as a reader sees it: late, repeated, replaced, mixed, damaged images."""

import pytest
from pydicom import dcmread

from tests.support import objects, persons, studies
from tests.support.studies import picture, study_uid

pytestmark = pytest.mark.dcmtk


@pytest.fixture(scope="module")
def daemon(start_shared_daemon, random_model):
    daemon = start_shared_daemon(model__path=random_model, study__quiet=1, log_level="debug")
    daemon.wait_for_scorer()
    return daemon


def state_of(daemon, name, number):
    """Return (state, code of the reason) of image *number* of a study."""
    (shown,) = daemon.show(study_uid(name))
    uid = str(studies.make(name, picture(0), number).SOPInstanceUID)
    (entry,) = [entry for entry in shown["instances"] if entry["sop_instance_uid"] == uid]
    return entry["state"], (entry["reason"] or "").partition(":")[0]


def test_an_image_that_comes_late_reopens_the_study_and_counts(daemon, send):
    send(studies.make("LATE", picture(1), 1))
    before = daemon.wait_for_study(study_uid("LATE"), status="scored", views_scored=1)

    send(studies.make("LATE", picture(2), 2))

    daemon.wait_for_study(study_uid("LATE"), status="receiving", views=2)
    after = daemon.wait_for_study(study_uid("LATE"), status="scored", views_scored=2)
    assert after["probability"] != before["probability"]
    assert after["received_at"] == before["received_at"]
    (shown,) = daemon.show(study_uid("LATE"))
    assert "reopened" in [line["kind"] for line in shown["history"]]


def test_an_image_after_reading_brings_the_study_back(daemon, send):
    send(studies.make("READ", picture(3), 1))
    daemon.wait_for_study(study_uid("READ"), status="scored")
    daemon.triage("read", study_uid("READ"), "--by", "anna", "--finding", "normal")
    assert daemon.study(study_uid("READ")) is None

    send(studies.make("READ", picture(4), 2))

    row = daemon.wait_for_study(study_uid("READ"), status="scored", views_scored=2)
    assert row["reason"].startswith("image_after_reading: ")
    (shown,) = daemon.show(study_uid("READ"))
    assert shown["reading_state"] == "unread"
    (line,) = [line for line in shown["history"] if line["kind"] == "image_after_reading"]
    assert "normal" in line["detail"]


def test_a_duplicate_changes_nothing(daemon, send):
    image = studies.make("TWICE", picture(5), 1)
    send(image)
    daemon.wait_for_study(study_uid("TWICE"), status="scored")
    before = daemon.show(study_uid("TWICE"))[0]

    send(image, image)

    after = daemon.show(study_uid("TWICE"))[0]
    assert daemon.events("instance_stored")[-1]["outcome"] == "duplicate"
    for shown in (before, after):
        del shown["position"], shown["waiting_seconds"]
    assert after == before


def test_an_instance_with_other_pixels_is_scored_anew_beside_the_old(daemon, send):
    send(studies.make("SWAP", picture(6), 1))
    before = daemon.wait_for_study(study_uid("SWAP"), status="scored")

    send(studies.make("SWAP", picture(7), 1))

    daemon.wait_for_study(study_uid("SWAP"), status="receiving")
    after = daemon.wait_for_study(study_uid("SWAP"), status="scored")
    assert after["probability"] != before["probability"]
    (shown,) = daemon.show(study_uid("SWAP"))
    assert [entry["state"] for entry in shown["instances"]] == ["replaced", "scored"]
    assert "instance_replaced" in [line["kind"] for line in shown["history"]]
    spooled = daemon.sql(
        "SELECT digest FROM instance JOIN study ON study.id = study_id"  # noqa: S608  our own UID
        f" WHERE study_instance_uid = '{study_uid('SWAP')}'"
    )
    for row in spooled:
        assert (daemon.spool / row["digest"][:2] / f"{row['digest']}.dcm").is_file()
    assert len(spooled) == 2


def test_reports_states_and_captures_of_a_study_are_stored_and_not_scored(daemon, send):
    send(
        studies.make("MIXED", picture(8), 1),
        objects.report("MIXED"),
        objects.presentation_state("MIXED"),
        objects.secondary_capture("MIXED", picture(9)),
    )

    row = daemon.wait_for_study(study_uid("MIXED"), status="scored")
    assert (row["views"], row["views_scored"]) == (1, 1)
    assert row["reason"] is None
    (shown,) = daemon.show(study_uid("MIXED"))
    reasons = sorted((entry["reason"] or "").partition(":")[0] for entry in shown["instances"])
    assert reasons == ["", "not_a_radiograph", "not_an_image", "not_an_image"]
    assert [entry["probability"] is None for entry in shown["instances"]].count(False) == 1


def test_a_report_after_the_study_is_complete_is_stored_and_reopens_nothing(daemon, send):
    send(studies.make("AFTER", picture(10), 1))
    daemon.wait_for_study(study_uid("AFTER"), status="scored")

    send(objects.report("AFTER"))

    row = daemon.study(study_uid("AFTER"))
    assert (row["status"], row["reason"]) == ("scored", None)
    assert len(daemon.show(study_uid("AFTER"))[0]["instances"]) == 2


def test_a_chest_is_unscorable_and_never_normal(daemon, send):
    chest = studies.make("CHEST", picture(11), 1, study_type=None)
    chest.BodyPartExamined = "CHEST"

    send(chest)

    row = daemon.wait_for_study(study_uid("CHEST"), status="unscorable")
    assert row["reason"].startswith("outside_upper_extremity: ")
    assert (row["label"], row["probability"], row["priority"]) == (None, None, "MEDIUM")
    assert row["views"] == 0


def test_truncated_pixels_are_set_aside_and_the_rest_of_the_study_scored(daemon, send):
    send(studies.make("CUT", picture(12), 1), objects.truncated("CUT", picture(13), 2))

    row = daemon.wait_for_study(study_uid("CUT"), status="scored")
    assert (row["views"], row["views_scored"]) == (2, 1)
    assert row["reason"].startswith("partly_scored: 1 of 2 views could not be scored")
    assert "bytes where the header asks for" in row["reason"]
    assert state_of(daemon, "CUT", 1) == ("scored", "")
    assert state_of(daemon, "CUT", 2) == ("failed", "undecodable")


def test_a_study_of_nothing_but_damage_fails_with_the_reason_and_stays_listed(daemon, send):
    send(objects.truncated("RUIN", picture(14), 1))

    row = daemon.wait_for_study(study_uid("RUIN"), status="failed")
    assert row["reason"].startswith("undecodable: ")
    assert (row["label"], row["priority"]) == (None, "MEDIUM")


def test_two_sides_are_judged_apart_and_the_worse_decides(daemon, send):
    send(
        *[studies.make("SIDES", picture(n), n, side=side) for n, side in ((15, "L"), (16, "L"))],
        *[studies.make("SIDES", picture(n), n, side=side) for n, side in ((17, "R"), (18, "R"))],
    )

    daemon.wait_for_study(study_uid("SIDES"), status="scored", views_scored=4)
    (shown,) = daemon.show(study_uid("SIDES"))
    by_side = {
        side: sum(e["probability"] for e in shown["instances"] if e["group"] == f"hand {side}") / 2
        for side in "LR"
    }
    assert shown["probability"] == pytest.approx(max(by_side.values()), abs=1e-12)
    (decider,) = [group for group in shown["groups"] if group["deciding"]]
    assert decider["side"] == max(by_side, key=by_side.get)


def test_a_study_that_is_scored_again_keeps_its_probability(daemon, send):
    send(studies.make("AGAIN", picture(19), 1))
    before = daemon.wait_for_study(study_uid("AGAIN"), status="scored")

    daemon.triage("rescore", study_uid("AGAIN"))

    after = daemon.wait_for_study(study_uid("AGAIN"), status="scored")
    assert after["probability"] == pytest.approx(before["probability"], abs=1e-6)
    (shown,) = daemon.show(study_uid("AGAIN"))
    kinds = [line["kind"] for line in shown["history"]]
    assert kinds.index("rescore") < len(kinds) - 1
    assert kinds[-1] == "scored"


def test_no_name_of_a_person_is_in_the_log(daemon, send):
    names = [f"NAMELESS{number}" for number in range(12)]
    send(*(studies.make(name, picture(20), 1) for name in names))

    daemon.wait_for_study(study_uid(names[-1]), status="scored")

    stored = [str(dcmread(file).PatientName) for file in daemon.spool.rglob("*.dcm")]
    assert {name.partition("^")[0] for name in stored} >= set(persons.FAMILIES)
    assert persons.found_in(daemon.log.read_bytes()) == []
