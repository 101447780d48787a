"""Disks that are full, read-only or broken, files that vanish, clocks that jump."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import dcmtk, disks, strace
from tests.support.clock import Clock
from tests.support.invariants import examine_stored
from tests.support.waiting import wait_until

pytestmark = pytest.mark.dcmtk

REFUSED = "Refused: OutOfResources"  # 0xA700


def send(daemon, samples):
    """Send the samples once; return the SOP Instance UIDs of those with success.

    The others must be refused for want of resources, so that the sender comes again.
    """
    answers = dcmtk.store_each(daemon.port, [sample.file for sample in samples])
    assert len(answers) == len(samples)
    assert set(answers.values()) <= {"Success", REFUSED}, answers
    return [s.sop_instance_uid for s in samples if answers[s.file] == "Success"]


def send_all(daemon, samples):
    acknowledged = send(daemon, samples)
    assert len(acknowledged) == len(samples), daemon.tail()
    return acknowledged


@pytest.mark.mounts
def test_a_full_disk_refuses_what_it_cannot_hold_and_loses_nothing(
    department, random_model, start_daemon, tmp_path, verify
):
    with disks.tmpfs(tmp_path / "spool", 400_000) as spool:
        daemon = start_daemon(spool__directory=spool, model__path=random_model)
        acknowledged = send(daemon, department)
        assert 0 < len(acknowledged) < len(department)
        assert list((spool / "incoming").iterdir()) == []
        stored(daemon, department, acknowledged)

        disks.remount(spool, "size=16m")
        send_all(daemon, department)

        # Studies may have begun with a later object than in the run without faults.
        verify("disk full", daemon, known(department), as_sent=False)
        daemon.stop()


def known(samples):
    return [sample.sop_instance_uid for sample in samples]


def stored(daemon, samples, acknowledged):
    findings = examine_stored(daemon, {s.sop_instance_uid: s for s in samples}, acknowledged)
    assert findings.wrong == []


@pytest.mark.soak
@pytest.mark.mounts
def test_a_full_disk_under_the_database_refuses_and_goes_on(
    department, random_model, start_daemon, tmp_path, verify
):
    with disks.tmpfs(tmp_path / "data", 4 * 2**20) as data:
        daemon = start_daemon(
            database__url=f"sqlite:///{data / 'triage.db'}", model__path=random_model
        )
        daemon.wait_for_scorer()
        acknowledged = send_all(daemon, department[:7])
        disks.fill(data / "filler")
        assert send(daemon, department[7:]) == []
        time.sleep(3)  # ticks and scorer meet it as well

        (data / "filler").unlink()
        acknowledged += send_all(daemon, department[7:])

        verify("disk full under SQLite", daemon, acknowledged)
        assert daemon.events("loop_failed") == []
        daemon.stop()


@pytest.mark.soak
@pytest.mark.mounts
def test_a_spool_that_turns_read_only_refuses_and_goes_on(
    department, random_model, start_daemon, tmp_path, verify
):
    disks.make_ext4(tmp_path / "image", 32 * 2**20)
    with disks.ext4(tmp_path / "image", tmp_path / "spool") as spool:
        daemon = start_daemon(spool__directory=spool, model__path=random_model)
        acknowledged = send_all(daemon, department[:7])
        disks.remount(spool, "ro")
        assert send(daemon, department[7:]) == []

        disks.remount(spool, "rw")
        acknowledged += send_all(daemon, department[7:])

        verify("spool read-only", daemon, acknowledged)
        daemon.stop()


ERRORS = {
    "I/O error on fsync of the file": "fsync:error=EIO:when=1+2",
    "I/O error on fsync of the folder": "fsync:error=EIO:when=2+2",
    "I/O error on rename": "rename:error=EIO",
    "I/O error on SQLite's fdatasync": "fdatasync:error=EIO",
    "I/O error on SQLite's write": "pwrite64:error=EIO",
    "no space for SQLite's write": "pwrite64:error=ENOSPC",
}


def refuse_under(error, daemon, samples, output):
    """Send samples while the kernel answers the daemon with errors."""
    call = error.partition(":")[0]
    with strace.attached(daemon.pid, output, f"--trace={call}", f"--inject={error}") as trace:
        for sample in samples:  # an association each: strace counts by thread
            assert send(daemon, [sample]) == []
    assert any("(INJECTED)" in call.result for call in trace.calls())


@pytest.mark.soak
@pytest.mark.strace
@pytest.mark.parametrize("name", ERRORS)
def test_no_error_of_the_disk_is_ever_answered_with_success(
    name, department, random_model, start_daemon, tmp_path, verify
):
    daemon = start_daemon(model__path=random_model)
    daemon.wait_for_scorer()
    acknowledged = send_all(daemon, department[:7])

    refuse_under(ERRORS[name], daemon, department[7:12], tmp_path / "strace")
    daemon.kill()  # what was left half done must not come back wrong
    daemon.start()

    acknowledged += send_all(daemon, department[7:])
    verify(name, daemon, acknowledged, times=5)
    daemon.stop()


def files_of(daemon):
    return sorted(daemon.spool.rglob("*.dcm"))


@pytest.mark.soak
@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"damaged")],
                         ids=["removed", "overwritten"])  # fmt: skip
def test_files_that_are_damaged_behind_our_back_are_explained_and_mended_by_sending_again(
    damage, department, random_model, start_daemon, verify
):
    daemon = start_daemon(roles="receive", model__path=random_model)
    send_all(daemon, department)
    for file in files_of(daemon):
        damage(file)
    daemon.stop()
    daemon.start()
    daemon.wait_for_scorer()
    wait_until(
        lambda: not daemon.sql("SELECT id FROM view WHERE state = 'pending'"), "tries", seconds=60
    )
    assert daemon.sql("SELECT id FROM view WHERE state <> 'failed' OR reason IS NULL") == []

    acknowledged = send_all(daemon, department)
    daemon.triage("rescore", "--all")

    verify("file damaged or removed behind our back", daemon, acknowledged, times=len(department))
    daemon.stop()


HOUR = 3600


def deviations(daemon):
    """Return by how much the clock of each event of this run is wrong now, in seconds."""
    now = datetime.now(UTC)
    return [
        (datetime.fromisoformat(event["timestamp"]) - now).total_seconds()
        for event in daemon.events("instance_stored")
    ]


@pytest.mark.compiler
def test_a_clock_that_is_set_back_lets_studies_complete(department, start_daemon):
    daemon = start_daemon(roles="receive")
    daemon.stop()
    clock = Clock(daemon)
    daemon.start(roles="receive")
    clock.set(-HOUR)
    daemon.wait_for("clock_set")

    send_all(daemon, department[:1])

    daemon.wait_for_study(department[0].study_instance_uid, status="complete")
    daemon.stop()


@pytest.mark.soak
@pytest.mark.compiler
@pytest.mark.parametrize("jumps", [(-HOUR, 0), (24 * HOUR, 0), (-HOUR, 24 * HOUR, -2 * HOUR, 0)],
                         ids=["back", "forth", "back and forth"])  # fmt: skip
def test_a_clock_that_is_set_while_images_come_leaves_nothing_stuck(
    jumps, department, random_model, start_daemon, verify
):
    daemon = start_daemon(roles="receive", model__path=random_model, study__quiet=3)
    daemon.stop()
    clock = Clock(daemon)
    daemon.start()
    acknowledged = []
    share = -(-len(department) // len(jumps))
    for number, jump in enumerate(jumps):
        acknowledged += send_all(daemon, department[number * share : (number + 1) * share])
        clock.set(jump)
        time.sleep(1)
    assert max(abs(seconds) for seconds in deviations(daemon)) > HOUR / 2, "it did not jump"
    # Arrival is by the clock of the moment, so the order among equals differs.
    verify("clock set", daemon, acknowledged, times=len(jumps), as_sent=False)
    assert daemon.events("loop_failed") == []
    daemon.stop()
