"""Receiving while the daemon scores, against Orthanc and DCMTK's storescp, which have nothing else
to do. See README.md for the figures."""

import statistics
import time
from contextlib import ExitStack

import pytest

from tests.support import bulk, dcmtk, models, orthanc
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.dcmtk,
    pytest.mark.orthanc,
    pytest.mark.fracatlas,
]

ROUNDS = 3  # each peer in turn, so that other work on the machine meets all
OBJECTS = {"small": 200, "large": 20}  # a round: 600 of 39 kB, 60 of 10 MB in all
WRITE = {"small": bulk.write_small, "large": bulk.write_large}
BACKLOG = 500  # views that wait for the scorer when the clock starts, so that it never rests
# Every object with new UIDs, three to a study: nobody has it yet, in any round.
AFRESH = ("+IR", str(bulk.VIEWS), "+IS", "1")
# How many times faster the daemon is to be.
TARGETS = {
    ("small", "Orthanc as installed"): 10,
    ("large", "Orthanc as installed"): 2,
    ("small", "storescp as it comes"): 1,
    ("large", "storescp as it comes"): 1,
}
# As Debian configures it, it syncs each file (SyncStorageArea), compresses none, takes an MD5 and
# PDUs of 16 KiB, and its index in SQLite is not synced at each commit.
TUNED = {"SyncStorageArea": False, "StoreMD5ForAttachments": False, "MaximumPduLength": 131072}


@pytest.fixture(scope="module")
def daemon(start_shared_daemon, tmp_path_factory):
    model = models.save_untrained(tmp_path_factory.mktemp("model") / "model.safetensors", 224)
    daemon = start_shared_daemon(
        model__path=model, model__backend="auto", model__precision="auto", study__quiet=1
    )
    daemon.wait_for_scorer()
    return daemon


@pytest.fixture(scope="module")
def backlog(tmp_path_factory, fracatlas):
    folder = tmp_path_factory.mktemp("backlog") / "small"
    return [sample.file for sample in bulk.write_small(folder, fracatlas, BACKLOG)]


def seconds_each(port, files):
    """Send *files* over one association; return the seconds for each, by the clock."""
    begun = time.monotonic()
    assert dcmtk.storescu(port, files, *AFRESH).returncode == 0
    return (time.monotonic() - begun) / len(files)


def waiting(daemon):
    """Count the views that wait for the scorer."""
    (row,) = daemon.sql("SELECT count(*) AS n FROM view WHERE state = 'pending'")
    return row["n"]


def seconds_each_while_scoring(daemon, files, backlog):
    """Likewise, the scorer being busy from before the first object to after the last."""
    dcmtk.storescu(daemon.port, backlog, *AFRESH)
    assert waiting(daemon) > 0
    found = seconds_each(daemon.port, files)
    assert waiting(daemon) > 0, "the scorer has rested: let the backlog be longer"
    wait_until(lambda: waiting(daemon) == 0, "all is scored", seconds=300, every=0.5)
    return found


@pytest.mark.parametrize("size", OBJECTS)
def test_receiving_keeps_pace(size, daemon, backlog, fracatlas, tmp_path, report_figure):
    samples = WRITE[size](tmp_path / "sent", fracatlas, OBJECTS[size])
    files = [sample.file for sample in samples]
    with ExitStack() as running:
        for name in ("installed", "tuned"):
            (tmp_path / name).mkdir()
        installed = running.enter_context(orthanc.running(tmp_path / "installed", {}))
        tuned = running.enter_context(orthanc.running(tmp_path / "tuned", {}, **TUNED))
        plain = running.enter_context(dcmtk.storescp(tmp_path / "plain"))
        wide = running.enter_context(dcmtk.storescp(tmp_path / "wide", "-pdu", "131072"))
        peers = {
            "Orthanc as installed": installed.dicom_port,
            "Orthanc, nothing synced": tuned.dicom_port,
            "storescp as it comes": plain,
            "storescp, PDUs of 128 KiB": wide,
        }
        ours, theirs = [], {name: [] for name in peers}
        for _ in range(ROUNDS):
            ours.append(seconds_each_while_scoring(daemon, files, backlog))
            for name, port in peers.items():
                theirs[name].append(seconds_each(port, files))

    own = statistics.median(ours)
    ratios = {name: statistics.median(times) / own for name, times in theirs.items()}
    report_figure(f"receiving {size}: {own * 1000:.1f} ms an object, scoring all the while")
    for name, ratio in ratios.items():
        target = TARGETS.get((size, name))
        report_figure(
            f"    {name}: {statistics.median(theirs[name]) * 1000:.1f} ms an object   "
            f"ratio {ratio:.2f}" + (f", at least {target}" if target else "")
        )
    missed = [name for name in peers if ratios[name] < TARGETS.get((size, name), 0)]
    assert missed == []
