"""Scoring and decoding processes end, again and again; nobody else notices."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from tests.support import dcmtk, killers, objects, studies
from tests.support.daemon import EXACT, environment, free_port
from tests.support.processes import decoders_of, is_decoder
from tests.support.studies import picture, study_uid
from tests.support.waiting import wait_until
from tests.support.web import ask, metric

pytestmark = pytest.mark.dcmtk


def send(daemon, samples):
    sent = dcmtk.storescu(daemon.port, [sample.file for sample in samples])
    assert sent.returncode == 0, sent.stderr


def write(tmp_path, name, numbers):
    return studies.write_study(tmp_path / name, name, [picture(number) for number in numbers])


def test_a_scorer_that_is_killed_delays_studies_and_stops_no_receiving(
    start_daemon, random_model, tmp_path
):
    port = free_port()
    daemon = start_daemon(model__path=random_model, roles="receive,score,web", web__port=port)
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
    _what_they_counted_is_told(daemon, port, tmp_path)


def _what_they_counted_is_told(daemon, port, tmp_path):
    """What a scorer has counted outlives it, but what it had not told when it was killed."""
    scored = "triage_views_scored_total"
    wait_until(lambda: (metric(port, scored) or 0) > 0, "a count", seconds=60)
    time.sleep(2)  # the daemon tells it once a second
    before = metric(port, scored)
    send(daemon, [*write(tmp_path, "MORE", [90]), _cut_off(tmp_path)])
    failed = 'triage_views_not_scored_total{reason="undecodable"}'
    wait_until(lambda: metric(port, failed), "a view that failed", seconds=60)
    wait_until(lambda: metric(port, scored) == before + 1, "one more", seconds=60)
    assert before <= 40
    assert metric(port, "triage_view_score_wait_seconds_count") == before + 1
    assert metric(port, 'triage_process_ends_total{process="scorer"}') == 2
    assert metric(port, 'triage_instances_received_total{outcome="new"}') == 42
    assert metric(port, 'triage_scorer_state{triage_scorer_state="ready"}') == 1
    assert "triage_model_info{" in ask(port, "/metrics")[1]
    assert ask(port, "/readyz")[0] == 200


def _cut_off(tmp_path):
    return studies.write(tmp_path, objects.truncated("CUT", picture(91), 1))


def held_views(daemon):
    """Return the pixels' files that a scorer holds now."""
    return daemon.sql(
        "SELECT instance.sop_instance_uid, view.held_by FROM view"
        " JOIN instance ON instance.id = view.instance_id"
        " WHERE view.held_by IS NOT NULL AND view.state = 'pending'"
    )


def file_of(daemon, sample):
    """Return the sample's file in the spool."""
    (row,) = daemon.sql(
        f"SELECT digest FROM instance WHERE sop_instance_uid = '{sample.sop_instance_uid}'"  # noqa: S608  our own UID
    )
    return daemon.spool / row["digest"][:2] / f"{row['digest']}.dcm"


@pytest.mark.soak
def test_a_view_that_takes_the_scorer_down_each_time_is_set_aside_alone(
    start_daemon, random_model, tmp_path
):
    daemon = start_daemon(model__path=random_model, roles="receive")
    samples = write(tmp_path, "POISON", range(40, 46))
    poison = samples[2].sop_instance_uid
    send(daemon, samples)
    daemon.stop()
    # A pipe that nobody writes to holds a decoder, and meanwhile the scorer dies.
    spooled = file_of(daemon, samples[2])
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


def write_killers(folder, name):
    """Write three radiographs that end their decoder, and what their reasons begin with."""
    folder.mkdir()
    made = [studies.make(name, picture(70), number) for number in (11, 12, 13)]
    eater = studies.write(folder, made[2])
    killers.memory_eater(eater.file, made[2])
    return {
        killers.codec_killer(folder, made[0], killers.JFIF_VERSION): "undecodable: ",
        killers.codec_killer(folder, made[1], killers.APPLICATION_SEGMENT): "undecodable: ",
        eater: "too_large: ",
    }


@pytest.mark.soak  # tests/pipeline tries that without a daemon
def test_images_that_end_their_decoder_are_set_aside_and_the_scorer_lives(
    start_daemon, random_model, tmp_path
):
    daemon = start_daemon(model__path=random_model)
    daemon.wait_for_scorer()
    begun = daemon.scorer_pid
    fatal = write_killers(tmp_path / "fatal", "KILLERS")
    jpeg, rle = [*fatal][:2], [*fatal][2:]
    good = write(tmp_path, "KILLERS", range(72, 82))

    assert dcmtk.storescu(daemon.port, [s.file for s in jpeg], "-xs").returncode == 0
    assert dcmtk.storescu(daemon.port, [s.file for s in rle], "-xr").returncode == 0
    send(daemon, good)

    row = daemon.wait_for_study(study_uid("KILLERS"), seconds=60, status="scored")
    assert (row["views"], row["views_scored"]) == (13, 10)
    (shown,) = daemon.show(study_uid("KILLERS"))
    reasons = {entry["sop_instance_uid"]: entry["reason"] for entry in shown["instances"]}
    for sample, start in fatal.items():
        assert reasons[sample.sop_instance_uid].startswith(start)
        assert "set aside after 3 attempts" in reasons[sample.sop_instance_uid]
        assert "`triage rescore` tries again" in reasons[sample.sop_instance_uid]
    assert len(daemon.events("decoder_ended")) == 6
    assert daemon.scorer_pid == begun
    assert daemon.events("scorer_ended") == []
    daemon.stop()


@pytest.mark.soak
def test_files_that_hang_delay_no_other_study_and_are_scored_when_they_answer(
    start_daemon, random_model, tmp_path
):
    daemon = start_daemon(model__path=random_model, roles="receive")
    slow = write(tmp_path, "HANGS", range(100, 117))  # more than are held at once
    send(daemon, slow)
    daemon.stop()
    spooled = [file_of(daemon, sample) for sample in slow]
    for file in spooled:
        file.unlink()
        os.mkfifo(file)  # reading it waits for a writer, as a dead network disk would
    daemon.start()
    daemon.wait_for_scorer()
    wait_until(lambda: held_views(daemon), "slow views in the decoders")

    for number in range(3):
        send(daemon, write(tmp_path, f"QUICK{number}", [83 + number]))
        daemon.wait_for_study(study_uid(f"QUICK{number}"), seconds=10, views_scored=1)
    assert daemon.study(study_uid("HANGS"))["reason"] is None
    assert daemon.events("decoder_ended") == []

    for sample, file in zip(slow, spooled, strict=True):
        file.unlink()
        shutil.copy(sample.file, file)

    daemon.wait_for("decoder_ended", seconds=60, reason="decoding took longer than 30 s")
    daemon.wait_for_study(
        study_uid("HANGS"), seconds=90, status="scored", views_scored=17, reason=None
    )
    assert len(daemon.events("decoder_ended")) == 1
    assert daemon.events("scorer_ended") == []
    daemon.stop()


def wait_for_end(pids):
    wait_until(lambda: not any(map(is_decoder, pids)), "the decoders' end", seconds=20)


@pytest.mark.soak  # tests/pipeline tries the decoders' end without a daemon
def test_the_decoders_end_with_their_scorer_however_it_ends(start_daemon, random_model):
    daemon = start_daemon(model__path=random_model)
    daemon.wait_for_scorer()
    first, begun = decoders_of(daemon.scorer_pid), daemon.scorer_pid
    assert len(first) >= 2

    os.kill(begun, signal.SIGKILL)
    wait_for_end(first)

    daemon.wait_for("scorer_ended", pid=begun)
    second = wait_until(lambda: decoders_of(daemon.scorer_pid), "decoders again", seconds=60)
    daemon.kill_alone()
    wait_for_end(second)


def score(model, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "triage", "score", "--json", *map(str, arguments)],
        env={**environment(), **EXACT, "TRIAGE_MODEL__PATH": str(model)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_without_a_daemon_too_a_killer_in_a_folder_leaves_the_others(random_model, tmp_path):
    write_killers(tmp_path / "fatal", "FOLDER")
    write(tmp_path, "FOLDER", range(86, 90))

    with score(random_model, tmp_path) as command:
        out, err = command.communicate(timeout=120)

    assert command.returncode == 1
    (study,) = json.loads(out)
    assert [view["status"] for view in study["views"]] == ["scored"] * 4 + ["failed"] * 3
    assert err.count("undecodable: the decoder ended while it read this view") >= 2
    assert "Traceback" not in err


def writer_of(pipe):
    """Return our end of a named pipe once somebody reads it, or waits to."""
    with suppress(OSError):
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    return None


@pytest.mark.parametrize(
    "doing", [pytest.param("loading the model", marks=pytest.mark.soak), "decoding"]
)
def test_ctrl_c_ends_the_scoring_of_files_and_every_process_of_it(random_model, tmp_path, doing):
    trap = tmp_path / "image.png"
    os.mkfifo(trap)

    with score(random_model, trap, "--study-type", "hand") as command:
        decoders = wait_until(lambda: decoders_of(command.pid), "a decoder")
        if doing == "decoding":
            pipe = wait_until(lambda: writer_of(trap), "a decoder at the view")
        os.killpg(command.pid, signal.SIGINT)
        _, err = command.communicate(timeout=30)
    if doing == "decoding":
        os.close(pipe)

    assert command.returncode != 0
    assert "Traceback" not in err
    wait_for_end(decoders)


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
