"""A power cut: what was acknowledged had reached the disk before."""

import os
import signal
import time
from itertools import pairwise

import numpy as np
import pytest

from tests.support import dcmtk, disks, strace
from tests.support.daemon import Daemon
from tests.support.invariants import examine_stored
from tests.support.sender import StubbornSender
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.dcmtk, pytest.mark.strace]

CALLS = "write,fsync,rename,pwrite64,fdatasync,sendto,recvfrom"
P_DATA_TF = r'"\4\0'  # PS3.8 9.3.5: what begins the PDU with the answer
SIZE = 64 * 2**20  # bytes of the disk
CUTS = 10


def last(calls, name, file):
    """Return the last such call, which must have succeeded."""
    call = [call for call in calls if call.is_on(name, file)][-1]
    assert not call.result.startswith("-1"), call
    return call


def in_this_order(calls, *steps):
    """Assert that each of these calls, the last of its kind, had ended when the next one began."""
    for former, later in pairwise(last(calls, *step) for step in steps):
        assert former.ended < later.begun, (former, later)


def trace_a_store(daemon, sample, output):
    with strace.attached(daemon.pid, output, f"--trace={CALLS}", "-s", "64") as trace:
        assert dcmtk.store_each(daemon.port, [sample.file]) == {sample.file: "Success"}
    return trace.calls()


FILE = [("write", "/incoming/"), ("fsync", "/incoming/"), ("rename", "/incoming/")]


def test_on_sqlite_the_answer_comes_after_all_that_makes_an_object_durable(
    start_daemon, department, tmp_path
):
    daemon = start_daemon(roles="receive", study__quiet=600)

    calls = trace_a_store(daemon, department[0], tmp_path / "strace")

    in_this_order(
        calls,
        *FILE,
        ("fsync", f"<{daemon.spool}/"),
        ("pwrite64", "triage.db-wal"),
        ("fdatasync", "triage.db-wal"),
        ("sendto", P_DATA_TF),
    )
    daemon.stop()


@pytest.mark.soak
@pytest.mark.postgres
def test_on_postgresql_the_answer_comes_after_all_that_makes_an_object_durable(
    start_daemon, new_database, department, tmp_path
):
    daemon = start_daemon(
        roles="receive",
        database__url=f"{new_database('postgres')}?sslmode=disable",
        study__quiet=600,
    )

    calls = trace_a_store(daemon, department[0], tmp_path / "strace")

    # The object's own transaction is the one that its thread ended last before the answer.
    answer = last(calls, "sendto", P_DATA_TF)
    before = [call for call in calls if call.begun < answer.begun]
    in_this_order(
        before,
        *FILE,
        ("fsync", f"<{daemon.spool}/"),
        ("sendto", r"COMMIT\0"),
        ("recvfrom", r"COMMIT\0"),
    )
    assert last(before, "recvfrom", r"COMMIT\0").ended < answer.begun
    daemon.stop()


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, and the image under it."""
    image = tmp_path / "image"
    disks.make_ext4(image, SIZE)
    with disks.ext4(image, tmp_path / "disk") as folder:
        yield image, folder


def on(disk, **settings):
    return {
        "database__url": f"sqlite:///{disk / 'triage.db'}",
        "spool__directory": disk / "spool",
        "study__quiet": 600,
        **settings,
    }


def cut(daemon, image, copy):
    """Cut the power of the disk's copy while the daemon does not move."""
    os.killpg(daemon.pid, signal.SIGSTOP)
    try:
        disks.cut_power(image, copy)
    finally:
        os.killpg(daemon.pid, signal.SIGCONT)


@pytest.mark.soak
@pytest.mark.mounts
def test_after_power_cuts_everything_acknowledged_is_there(
    start_daemon, hospital, disk, tmp_path, tally
):
    image, folder = disk
    daemon = start_daemon(roles="receive", **on(folder))
    known = {sample.sop_instance_uid: sample for sample in hospital}
    random = np.random.default_rng(7)
    sender = StubbornSender(daemon.port, hospital, pause=0.1)
    cuts = []
    try:
        wait_until(lambda: sender.acknowledged, "an answer", seconds=60)
        for number in range(CUTS):
            time.sleep(random.uniform(0.2, 1.5))
            sender.in_flight.wait(1)
            time.sleep(random.uniform(0, 0.02))
            acknowledged = list(sender.acknowledged)
            cut(daemon, image, tmp_path / f"cut{number}")
            cuts.append(acknowledged)
        sender.join(300)
    finally:
        sender.end()
    daemon.kill()
    assert len(cuts[-1]) > len(cuts[0]) > 0

    for number, acknowledged in enumerate(cuts):
        folder = tmp_path / f"after{number}"
        with disks.ext4(tmp_path / f"cut{number}", folder):
            survivor = Daemon(_made(tmp_path / f"daemon{number}"), **on(folder))
            survivor.start(roles="receive")
            findings = examine_stored(survivor, known, acknowledged)
            survivor.stop()
        tally.add("power cut", "SQLite", 1, findings)
        assert findings.wrong == []


@pytest.mark.soak
@pytest.mark.mounts
def test_the_power_cut_of_these_tests_loses_what_was_not_synced(
    start_daemon, department, disk, tmp_path
):
    image, folder = disk
    daemon = start_daemon(roles="receive", **on(folder))
    lie = ["--trace=fsync,fdatasync", "--inject=fsync,fdatasync:retval=0"]
    with strace.attached(daemon.pid, tmp_path / "strace", *lie):
        answers = dcmtk.store_each(daemon.port, [sample.file for sample in department])
        assert set(answers.values()) == {"Success"}
        cut_off = tmp_path / "cut"
        disks.cut_power(image, cut_off)
    daemon.kill()

    with disks.ext4(cut_off, tmp_path / "after"):
        survivor = Daemon(_made(tmp_path / "daemon"), **on(tmp_path / "after"))
        survivor.start(roles="receive")
        known = {sample.sop_instance_uid: sample for sample in department}
        findings = examine_stored(survivor, known, known)
        survivor.stop()
    assert len(findings.lost) == len(department)


def _made(folder):
    folder.mkdir()
    return folder
