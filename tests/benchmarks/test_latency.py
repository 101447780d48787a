"""From the acknowledgement to the score: a burst of studies, and a study alone. See README.md."""

import statistics
import time
from datetime import datetime

import pytest

from tests.support import bulk, dcmtk, models
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.benchmark, pytest.mark.dcmtk, pytest.mark.fracatlas]

BURST = 60  # views of 10 MB, 20 studies
ALONE = 10  # studies, one after the other
AT_REST = 2.0  # seconds before each: the study before is complete by then
VIEWS_WITHIN, FINAL_WITHIN = 2.0, 3.0  # seconds after the burst's last acknowledgement
VIEW_WITHIN = 0.25  # seconds, the median for a study alone
# 224 pixels are what a model has that says nothing else; at 64 the network takes next to no time,
# and what is left is the way there and back.
SIDES = (224, 64)


@pytest.fixture(scope="module", params=SIDES, ids=lambda side: f"{side} pixels")
def daemon(request, start_shared_daemon, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    daemon = start_shared_daemon(
        model__path=models.save_untrained(path, request.param),
        model__backend="auto",
        model__precision="auto",
        study__quiet=1,
    )
    daemon.side = request.param
    daemon.wait_for_scorer()
    return daemon


def moments(daemon, event, key, **fields):
    """Return when each of these was logged last, seconds since 1970, by *key*."""
    return {
        entry[key]: datetime.fromisoformat(entry["timestamp"]).timestamp()
        for entry in daemon.events(event)
        if all(entry.get(name) == value for name, value in fields.items())
    }


def finals(daemon):
    """Return when each study had its final score: complete last, or the last view scored last."""
    complete = moments(daemon, "study_complete", "study_instance_uid", status="scored")
    return complete | moments(daemon, "study_assessed", "study_instance_uid", status="scored")


def send_and_wait(daemon, samples):
    """Send *samples* over one association, and wait for the final score of every study."""
    assert dcmtk.storescu(daemon.port, [sample.file for sample in samples]).returncode == 0
    studies = {sample.study_instance_uid for sample in samples}
    wait_until(lambda: studies <= finals(daemon).keys(), "final scores", seconds=300, every=0.2)
    return studies


def test_a_burst_is_scored_soon_after_it_ends(daemon, fracatlas, tmp_path, report_figure):
    samples = bulk.write_large(tmp_path / "burst", fracatlas, BURST, f"burst{daemon.side}-")

    studies = send_and_wait(daemon, samples)

    # An object's event comes when it is durable, just before its acknowledgement.
    stored = moments(daemon, "instance_stored", "sop_instance_uid")
    scored = moments(daemon, "view_scored", "sop_instance_uid")
    final = finals(daemon)
    first, last = (pick(stored[s.sop_instance_uid] for s in samples) for pick in (min, max))
    views = max(scored[sample.sop_instance_uid] for sample in samples) - last
    whole = max(final[study] for study in studies) - last
    report_figure(
        f"burst of {BURST} views of 10 MB in {last - first:.1f} s, {daemon.side} pixels: "
        f"last acknowledgement to the last view's score {views:.2f} s, at most {VIEWS_WITHIN:g}; "
        f"to the last final score {whole:.2f} s, at most {FINAL_WITHIN:g}"
    )
    assert views <= VIEWS_WITHIN
    assert whole <= FINAL_WITHIN


def test_a_study_alone_is_scored_at_once(daemon, fracatlas, tmp_path, report_figure):
    samples = bulk.write_large(
        tmp_path / "alone", fracatlas, ALONE * bulk.VIEWS, f"alone{daemon.side}-"
    )
    for start in range(0, len(samples), bulk.VIEWS):
        time.sleep(AT_REST)
        send_and_wait(daemon, samples[start : start + bulk.VIEWS])

    stored = moments(daemon, "instance_stored", "sop_instance_uid")
    scored = moments(daemon, "view_scored", "sop_instance_uid")
    waits = [scored[s.sop_instance_uid] - stored[s.sop_instance_uid] for s in samples]
    median = statistics.median(waits)
    report_figure(
        f"a study of {bulk.VIEWS} views of 2500 x 2000 alone, {ALONE} times, {daemon.side} pixels: "
        f"acknowledgement to a view's score, median {median * 1000:.0f} ms, at most "
        f"{VIEW_WITHIN * 1000:.0f}; longest {max(waits) * 1000:.0f} ms"
    )
    assert median <= VIEW_WITHIN
