"""The daemon's log as an administrator meets it: what is told, and what does not fill the disk."""

import time
from contextlib import ExitStack

import pytest

from tests.support import dcmtk, objects, postgres, studies
from tests.support.daemon import daemon_in
from tests.support.studies import picture, study_uid
from tests.support.waiting import wait_until

pytestmark = pytest.mark.dcmtk


@pytest.fixture(scope="module")
def daemon(start_shared_daemon, random_model):
    daemon = start_shared_daemon(model__path=random_model, log_level="debug")
    daemon.wait_for_scorer()
    return daemon


def of_study(daemon, event, name):
    return [
        entry for entry in daemon.events(event) if entry["study_instance_uid"] == study_uid(name)
    ]


def test_an_association_is_an_event_whatever_was_done_in_it(daemon, tmp_path):
    sample = studies.write_study(tmp_path / "one", "LOGGED", [picture(1)])[0]
    before = len(daemon.events("association_ended"))

    assert dcmtk.storescu(daemon.port, [sample.file], "-aet", "SENDER").returncode == 0
    assert dcmtk.echoscu(daemon.port, "-aet", "ASKER").returncode == 0

    ended = wait_until(lambda: daemon.events("association_ended")[before + 1 :], "both have ended")
    sent, asked = daemon.events("association_ended")[before:]
    assert ended
    assert (sent["calling_ae_title"], sent["stored"], sent["failed"]) == ("SENDER", 1, 0)
    assert (asked["calling_ae_title"], asked["stored"], asked["failed"]) == ("ASKER", 0, 0)
    assert {sent["address"], asked["address"]} == {"127.0.0.1"}
    assert sent["seconds"] > 0


def test_every_score_and_every_change_of_place_is_told(daemon, send):
    send(studies.make("MOVED", picture(2), 1), studies.make("MOVED", picture(3), 2))
    row = daemon.wait_for_study(study_uid("MOVED"), seconds=60, status="scored")

    wait_until(
        lambda: (
            of_study(daemon, "study_moved", "MOVED")[-1:]
            and of_study(daemon, "view_scored", "MOVED")[1:]
            and of_study(daemon, "study_complete", "MOVED")
        ),
        "all is told",
    )
    views = of_study(daemon, "view_scored", "MOVED")
    assert {(view["frame"], view["model"]) for view in views} == {(1, "random 1")}
    assert sum(view["probability"] for view in views) / 2 == pytest.approx(row["probability"])
    moves = of_study(daemon, "study_moved", "MOVED")
    assert {move["cause"] for move in moves} == {"scored"}
    assert [move["before"] for move in moves[1:]] == [move["after"] for move in moves[:-1]]
    assert moves[0]["before"] == "not_scored"
    assert (moves[-1]["after"], moves[-1]["priority"]) == (row["label"], row["priority"])


def test_a_view_without_a_score_is_told_by_the_code_of_its_reason(daemon, send):
    send(objects.truncated("UNSCORED", picture(4), 1))
    daemon.wait_for_study(study_uid("UNSCORED"), seconds=60, status="failed")

    told = wait_until(lambda: of_study(daemon, "view_not_scored", "UNSCORED"), "it is told")
    assert {entry["reason"] for entry in told} == {"undecodable"}


@pytest.mark.postgres
def test_a_sender_that_hammers_while_the_database_is_away_fills_no_journal(tmp_path):
    samples = studies.write_study(tmp_path / "out", "AWAY", [picture(n) for n in range(40)])
    folder = tmp_path / "daemon"
    folder.mkdir()
    with ExitStack() as running:
        with postgres.running() as server:
            url = server.new_database()
            daemon = running.enter_context(daemon_in(folder, roles="receive", database__url=url))
        begun = time.monotonic()
        sent = dcmtk.storescu(daemon.port, [s.file for s in samples], "-nh")
        elapsed = time.monotonic() - begun
        (ended,) = wait_until(lambda: daemon.events("association_ended"), "it is told", seconds=60)

    assert ended["failed"] == len(samples), sent
    told = [e for e in daemon.events("database_unavailable") if "sop_instance_uid" in e]
    kinds = {entry["reason"] for entry in told}
    assert 1 <= len(told) <= len(kinds) * (1 + elapsed // 60)
