"""What the web process takes while pages are open and studies arrive. See README.md."""

import http.client
import os
import statistics
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import archive, dcmtk, studies
from tests.support.daemon import HOST, free_port
from tests.support.studies import picture

pytestmark = [pytest.mark.benchmark, pytest.mark.dcmtk]

PAGES = 50
ARRIVALS = 60  # studies, one a second
AT_MOST = 0.1  # of a core
TICKS = os.sysconf("SC_CLK_TCK")  # of user and system time, a second


class Page(threading.Thread):
    """An open page: reads its stream, and notes when it first heard of each study."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.heard = {}  # by UID
        self.begun = threading.Event()
        self._connection = http.client.HTTPConnection(HOST, port)

    def run(self):
        with closing(self._connection):
            self._connection.request("GET", "/api/v1/events")
            answer = self._connection.getresponse()
            while line := answer.readline():
                if line.startswith(b"data: "):
                    self.begun.set()
                    self._note(line)

    def _note(self, line):
        for uid in STUDIES - self.heard.keys():
            if f'"{uid}"'.encode() in line:
                self.heard[uid] = time.monotonic()


STUDIES: set[str] = set()


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@pytest.mark.parametrize("unread", [0, 5000], ids=lambda n: f"{n} unread")
def test_fifty_open_pages_cost_little(start_daemon, tmp_path, report_figure, random_model, unread):
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    if unread:
        archive.fill(url, unread + 100, unread, kept=50).database.close()
    daemon = start_daemon(
        roles="receive,score,web",
        database__url=url,
        web__port=(port := free_port()),
        model__path=random_model,
        worklist__max_wait=0,
    )
    daemon.wait_for_scorer()
    daemon.wait_for("web_ready", seconds=60)
    pid = daemon.events("web_started")[-1]["pid"]
    sent = [
        studies.write_study(tmp_path / str(n), f"WEB{n}", [picture(n)])[0] for n in range(ARRIVALS)
    ]
    STUDIES.clear()
    STUDIES.update(sample.study_instance_uid for sample in sent)
    pages = [Page(port) for _ in range(PAGES)]
    for page in pages:
        page.start()
    assert all(page.begun.wait(60) for page in pages)

    before, begun = cpu_seconds(pid), time.monotonic()
    arrived = {}
    for number, sample in enumerate(sent):
        time.sleep(max(0.0, begun + number - time.monotonic()))
        arrived[sample.study_instance_uid] = time.monotonic()
        assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
    time.sleep(3)
    used, elapsed = cpu_seconds(pid) - before, time.monotonic() - begun
    daemon.stop()
    for page in pages:  # their streams have ended
        page.join(30)

    waits = [page.heard[uid] - at for page in pages for uid, at in arrived.items()]
    report_figure(
        f"{PAGES} open pages, {unread} studies unread, {ARRIVALS} more at one a second: the web process "
        f"takes {100 * used / elapsed:.1f} % of a core, at most {100 * AT_MOST:.0f}; from storescu's start "
        f"to the row on a page, median {statistics.median(waits):.2f} s, longest {max(waits):.2f} s"
    )
    assert used / elapsed < AT_MOST
