"""From the acknowledgement of an image to its row on the open page. See README.md."""

import statistics
import time
from datetime import datetime

import pytest
from sqlalchemy import delete

from tests.support import dcmtk, studies
from tests.support.browser import chromium, reader_at
from tests.support.daemon import HOST, free_port
from tests.support.unread import add_many
from tests.support.waiting import wait_until
from triage.store.database import Database
from triage.store.tables import study

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


FEW, MANY = 500, 5000  # studies that wait; of both most are out of sight
RATIO = 2.0  # of what a key takes, until the page is laid out again, with the many to the few
KEYS = """() => {
    const list = document.querySelector("#list"), took = [];
    for (const key of ["End", "Home", ...Array(40).fill("PageDown"), ...Array(20).fill("k")]) {
        const begun = performance.now();
        list.querySelector("table").dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        list.dispatchEvent(new Event("scroll"));
        list.querySelector("tr.study:last-child").getBoundingClientRect();
        took.push(performance.now() - begun);
    }
    return took;
}"""


def test_a_long_list_is_as_quick_as_a_short_one(start_daemon, report_figure):
    # What waits is of long ago, and becomes neither complete nor overdue.
    still = {"study__quiet": 10**8, "study__limit": 10**8, "worklist__max_wait": 0}
    daemon = start_daemon(roles="web", web__port=free_port(), **still)
    port = daemon.wait_for("web_ready")["port"]
    database = Database(daemon.url)
    took = {FEW: [], MANY: []}
    with chromium() as browser, reader_at(browser) as page:
        for count in (FEW, MANY) * 3:
            with database.writing() as connection:
                connection.execute(delete(study))
            add_many(database, count)
            page.goto(f"http://{HOST}:{port}/")
            page.get_by_text(f"{count} studies wait").wait_for()
            took[count] += page.evaluate(KEYS)
    database.close()

    few, many = (statistics.median(took[count]) for count in (FEW, MANY))
    report_figure(
        f"a key on the worklist page, drawn: {many:.1f} ms with {MANY} studies, {few:.1f} with {FEW}; "
        f"ratio {many / few:.2f}, at most {RATIO:g}"
    )
    assert many <= RATIO * few
