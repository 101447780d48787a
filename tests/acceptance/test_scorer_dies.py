"""The scoring process is killed, again and again; the receiver never notices."""

import os
import signal
import time

import pytest

from tests.support import dcmtk, studies
from tests.support.studies import picture, study_uid
from tests.support.waiting import wait_until

pytestmark = pytest.mark.dcmtk


def send(daemon, samples):
    sent = dcmtk.storescu(daemon.port, [sample.file for sample in samples])
    assert sent.returncode == 0, sent.stderr


def write(tmp_path, name, numbers):
    return studies.write_study(tmp_path / name, name, [picture(number) for number in numbers])


def test_a_scorer_that_is_killed_delays_studies_and_stops_no_receiving(
    start_daemon, random_model, tmp_path
):
    daemon = start_daemon(model__path=random_model)
    daemon.wait_for_scorer()

    for number, fatal in enumerate((signal.SIGKILL, signal.SIGSEGV)):
        samples = write(tmp_path, f"DIES{number}", range(number * 20, number * 20 + 20))
        begun = daemon.scorer_pid
        send(daemon, samples[:10])
        os.kill(begun, fatal)
        send(daemon, samples[10:])  # acknowledged while there is no scorer
        ended = daemon.wait_for("scorer_ended", pid=begun)
        assert ended["status"] == -fatal
        wait_until(lambda old=begun: daemon.scorer_pid != old, "another scorer", seconds=30)

    for number in (0, 1):
        daemon.wait_for_study(
            study_uid(f"DIES{number}"), seconds=120, status="scored", views_scored=20, reason=None
        )
    assert daemon.sql("SELECT * FROM view WHERE state <> 'scored'") == []
    assert {"pid", "status"} <= set(daemon.events("scorer_ended")[0])


def held_views(daemon):
    """Return the pixels' files that a scorer holds now."""
    return daemon.sql(
        "SELECT instance.sop_instance_uid, view.held_by FROM view"
        " JOIN instance ON instance.id = view.instance_id"
        " WHERE view.held_by IS NOT NULL AND view.state = 'pending'"
    )


def test_a_view_that_takes_the_scorer_down_each_time_is_set_aside_alone(
    start_daemon, random_model, tmp_path
):
    daemon = start_daemon(model__path=random_model, roles="receive")
    samples = write(tmp_path, "POISON", range(40, 46))
    poison = samples[2].sop_instance_uid
    send(daemon, samples)
    (row,) = daemon.sql(
        f"SELECT digest FROM instance WHERE sop_instance_uid = '{poison}'"  # noqa: S608
    )
    daemon.stop()
    # Reading a pipe that nobody writes to holds the scorer at this view, where it then dies.
    spooled = daemon.spool / row["digest"][:2] / f"{row['digest']}.dcm"
    spooled.unlink()
    os.mkfifo(spooled)
    daemon.start()

    give_up = time.monotonic() + 150
    deaths = 0
    while time.monotonic() < give_up:
        holders = {
            int(row["held_by"].rpartition(":")[2])
            for row in held_views(daemon)
            if row["sop_instance_uid"] == poison
        }
        for pid in holders & {daemon.scorer_pid} if daemon.events("scorer_started") else ():
            time.sleep(0.3)  # it has come to the pipe
            os.kill(pid, signal.SIGSEGV)
            deaths += 1
            daemon.wait_for("scorer_ended", pid=pid, status=-signal.SIGSEGV)
        study = daemon.study(study_uid("POISON"))
        if study["status"] == "scored":
            break
        time.sleep(0.05)

    row = daemon.wait_for_study(study_uid("POISON"), seconds=5, status="scored")
    assert deaths == 3
    assert (row["views"], row["views_scored"]) == (6, 5)
    assert "scorer_crashed" in row["reason"]
    (shown,) = daemon.show(study_uid("POISON"))
    failed = [entry for entry in shown["instances"] if entry["state"] != "scored"]
    assert [entry["sop_instance_uid"] for entry in failed] == [poison]
    assert failed[0]["reason"].startswith("scorer_crashed: ")
    daemon.stop()


def test_without_a_model_studies_are_listed_by_arrival_and_scored_when_one_comes(
    start_daemon, random_model, tmp_path
):
    model = tmp_path / "model.safetensors"
    daemon = start_daemon(model__path=model)
    names = ["NONE0", "NONE1", "NONE2"]
    for number, name in enumerate(names):
        send(daemon, write(tmp_path, name, [60 + number]))
    for name in names:
        row = daemon.wait_for_study(study_uid(name), status="complete")
        assert row["priority"] == "MEDIUM"

    def explained():
        rows = daemon.sql("SELECT * FROM worklist")
        return all((row["reason"] or "").startswith("no_model: ") for row in rows) and rows

    rows = wait_until(explained, "the reason no_model in each row")
    assert [row["study_instance_uid"] for row in rows] == [study_uid(name) for name in names]
    assert str(model) in rows[0]["reason"]

    partial = tmp_path / "partial"
    partial.write_bytes(random_model.read_bytes())
    partial.rename(model)

    for name in names:
        daemon.wait_for_study(study_uid(name), seconds=60, status="scored", reason=None)
    assert len(daemon.events("scorer_started")) == 1
    daemon.stop()
