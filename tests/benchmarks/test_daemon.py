"""The daemon at rest, measured: how soon, how idle, how large. See README.md for the figures."""

import os
import statistics
import time
from pathlib import Path

import pytest

from tests.support import dcmtk, studies
from tests.support.studies import picture
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.benchmark, pytest.mark.dcmtk]

STUDIES = 20
IDLE = 60.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")  # of user and system time, a second


@pytest.fixture(scope="module")
def daemon(start_shared_daemon, interim_model):
    daemon = start_shared_daemon(model__path=interim_model, study__quiet=1)
    daemon.wait_for_scorer()
    return daemon


def processes(daemon):
    """Return the process ids of the daemon: its process group is its own."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                group = int((entry / "stat").read_text().rpartition(")")[2].split()[2])
            except OSError:  # it ended meanwhile
                continue
            if group == daemon.pid:
                members.append(int(entry.name))
    return members


def cpu_seconds(daemon):
    """Return user and system time of all its processes so far."""
    total = 0
    for pid in processes(daemon):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory(daemon):
    """Return the bytes of memory of all its processes, what they share counted once (PSS)."""
    total = 0
    for pid in processes(daemon):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def test_a_first_view_is_on_the_worklist_soon(daemon, tmp_path, report_figure):
    waits = []
    for number in range(STUDIES):
        (sample,) = studies.write_study(tmp_path / str(number), f"BENCH{number}", [picture(number)])
        assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
        acknowledged = time.monotonic()

        def provisional(uid=sample.study_instance_uid):
            row = daemon.study(uid)
            return row is not None and row["probability"] is not None

        wait_until(provisional, "a probability", seconds=30, every=0.005)
        waits.append(time.monotonic() - acknowledged)
        daemon.wait_for_study(sample.study_instance_uid, status="scored")

    report_figure(
        f"first view, from acknowledgement to a provisional row, {STUDIES} studies at rest: "
        f"median {statistics.median(waits) * 1000:.0f} ms, longest {max(waits) * 1000:.0f} ms"
    )
    assert statistics.median(waits) < 10


def test_an_idle_daemon_rests(daemon, report_figure):
    before, begun = cpu_seconds(daemon), time.monotonic()
    time.sleep(IDLE)
    used, elapsed = cpu_seconds(daemon) - before, time.monotonic() - begun

    assert len(processes(daemon)) == 2
    report_figure(f"idle for {elapsed:.0f} s: {100 * used / elapsed:.2f} % of a core")
    assert used / elapsed < 0.5


def test_memory_under_load(daemon, tmp_path, report_figure):
    at_rest = peak = memory(daemon)
    samples = studies.write_study(
        tmp_path / "load", "LOAD", [picture(number) for number in range(200)]
    )
    dcmtk.storescu_in_parallel(daemon.port, [sample.file for sample in samples], 4)
    begun = time.monotonic()
    while daemon.study(samples[0].study_instance_uid)["views_scored"] < len(samples):
        peak = max(peak, memory(daemon))
        assert time.monotonic() - begun < 300
        time.sleep(0.05)

    report_figure(
        f"memory (PSS of all processes): {at_rest / 2**20:.0f} MiB at rest, "
        f"{peak / 2**20:.0f} MiB at most while 200 views are scored"
    )
    assert peak < 16 * 2**30


def test_the_daemon_accepts_soon_after_its_start(start_daemon, interim_model, report_figure):
    daemon = start_daemon(model__path=interim_model)
    accepting, loaded = [], []
    for _ in range(3):
        daemon.kill()
        begun = time.monotonic()
        accepting.append(daemon.start())
        assert daemon.events("scorer_ready") == [], "the model was there first: nothing is shown"
        daemon.wait_for_scorer()
        loaded.append(time.monotonic() - begun)
    daemon.stop()

    report_figure(
        f"start to accepting associations: median {statistics.median(accepting):.2f} s; "
        f"to a loaded model: {statistics.median(loaded):.2f} s"
    )
    assert statistics.median(accepting) < 30
