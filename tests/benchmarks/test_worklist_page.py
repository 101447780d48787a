"""From the acknowledgement of an image to its row on the open page. See README.md."""

import statistics
import time
from datetime import datetime

import pytest

from tests.support import dcmtk, studies
from tests.support.browser import chromium, reader_at
from tests.support.daemon import HOST, free_port
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.benchmark, pytest.mark.dcmtk, pytest.mark.chromium]

STUDIES = 20
AT_REST = 1.0  # seconds before each
WITHIN = 2.0  # seconds, the median

# When each study's row is there first, and when it first tells a probability; milliseconds.
WATCH = """() => {
    window.rows = {};
    window.scores = {};
    const look = () => {
        for (const tr of document.querySelectorAll("tr.study")) {
            window.rows[tr.dataset.study] ??= Date.now();
            if (tr.querySelector("[data-field=probability]").textContent) {
                window.scores[tr.dataset.study] ??= Date.now();
            }
        }
    };
    new MutationObserver(look).observe(
        document.querySelector("#list"), {subtree: true, childList: true, characterData: true});
}"""


def test_a_study_is_soon_on_the_open_page(start_daemon, random_model, tmp_path, report_figure):
    daemon = start_daemon(
        roles="receive,score,web", web__port=free_port(), model__path=str(random_model)
    )
    daemon.wait_for_scorer()
    port = daemon.wait_for("web_ready")["port"]
    samples = [
        studies.write_study(tmp_path / f"{number}", f"PAGE{number}", [studies.picture(number)])[0]
        for number in range(STUDIES)
    ]
    with chromium() as browser, reader_at(browser) as page:
        page.goto(f"http://{HOST}:{port}/")
        page.get_by_text("Live", exact=True).wait_for()
        page.evaluate(WATCH)
        for sample in samples:
            time.sleep(AT_REST)
            assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
        wait_until(lambda: len(page.evaluate("window.scores")) == STUDIES, "all scores")
        rows, scores = page.evaluate("[window.rows, window.scores]")

    # The event comes when the image is durable, just before its acknowledgement.
    stored = {
        entry["study_instance_uid"]: datetime.fromisoformat(entry["timestamp"]).timestamp()
        for entry in daemon.events("instance_stored")
    }
    to_row = [rows[uid] / 1000 - stored[uid] for uid in stored]
    to_score = [scores[uid] / 1000 - stored[uid] for uid in stored]
    report_figure(
        f"acknowledgement of a study's first image to its row on the open page, {STUDIES} times: "
        f"median {statistics.median(to_row):.2f} s, at most {WITHIN:g}; longest {max(to_row):.2f} s; "
        f"to its probability there: median {statistics.median(to_score):.2f} s, "
        f"longest {max(to_score):.2f} s"
    )
    assert statistics.median(to_row) < WITHIN
