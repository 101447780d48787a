"""The daemon's memory after 10,000 images; takes some minutes. See README.md for the figures."""

import statistics

import pytest

from tests.support import bulk, dcmtk, models, usage
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.benchmark, pytest.mark.dcmtk, pytest.mark.fracatlas]

IMAGES = 10_000
AT_ONCE = 490  # small ones in one association, and some large ones
LARGE = 10
MOST = 1.2e9  # bytes, all processes together, what they share counted once (PSS)
GROWTH = 1.03  # of the last quarter against the second; the allocator's noise, and no leak
AFRESH = ("+IR", str(bulk.VIEWS), "+IS", "1")


def test_memory_does_not_grow(start_daemon, fracatlas, tmp_path, report_figure):
    daemon = start_daemon(
        model__path=models.save_untrained(tmp_path / "model.safetensors", 224),
        model__backend="auto",
        model__precision="auto",
        study__quiet=1,
    )
    daemon.wait_for_scorer()
    samples = bulk.write_small(tmp_path / "small", fracatlas, AT_ONCE)
    samples += bulk.write_large(tmp_path / "large", fracatlas, LARGE)
    watch = usage.Watch(daemon, every=0.5)
    watch.start()

    for sent in range(len(samples), IMAGES + 1, len(samples)):
        files = [sample.file for sample in samples]
        assert dcmtk.storescu(daemon.port, files, *AFRESH).returncode == 0
        wait_until(lambda: scored(daemon) >= sent, f"{sent} scored", seconds=300, every=0.5)  # noqa: B023

    watch.stop()
    sizes = [sample.pss for sample in watch.samples]
    quarter = len(sizes) // 4
    early = statistics.median(sizes[quarter : 2 * quarter])
    late = statistics.median(sizes[-quarter:])
    report_figure(
        f"memory (PSS of all processes) over {IMAGES} images: median {early / 2**20:.0f} MiB in the "
        f"second quarter, {late / 2**20:.0f} MiB in the last; at most {max(sizes) / 2**20:.0f} MiB, "
        f"to be at most {MOST / 2**20:.0f} MiB"
    )
    assert max(sizes) <= MOST
    assert late <= GROWTH * early


def scored(daemon):
    """Count the views that have their score."""
    (row,) = daemon.sql("SELECT count(*) AS n FROM view WHERE state = 'scored'")
    return row["n"]
