"""The web process of a real daemon: killed, hung, without its port, without its database."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.support import dcmtk, postgres, studies
from tests.support.daemon import HOST, free_port
from tests.support.studies import picture
from tests.support.waiting import wait_until
from tests.support.web import ask, metric, opened
from triage.core.tally import Tally
from triage.settings import Settings
from triage.store import schema
from triage.store.database import Database
from triage.web import process
from triage.web.condition import Condition
from triage.web.process import WebProcess

WAIT = 60.0  # seconds; a busy machine imports slowly


def started(daemon):
    return [event["pid"] for event in daemon.events("web_started")]


@pytest.fixture
def start(start_daemon):
    """Return a function that starts a daemon with a web process and waits for that."""

    def start(*, roles="receive,web", **settings):
        port = settings.pop("web__port", None) or free_port()
        daemon = start_daemon(roles=roles, web__port=port, **settings)
        daemon.web_port = port
        daemon.wait_for("web_started", seconds=WAIT)
        return daemon

    return start


@pytest.mark.dcmtk
def test_what_arrives_is_told_to_who_listens(start, tmp_path):
    daemon = start()
    with opened(f"http://{HOST}:{daemon.web_port}/api/v1/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"
        assert next_event(stream) == {"all": True, "gone": [], "rows": []}
        (sent,) = studies.write_study(tmp_path / "study", "WEB", [picture(1)])
        assert dcmtk.storescu(daemon.port, [sent.file]).returncode == 0
        (row,) = next_event(stream)["rows"]
        assert (row["study_instance_uid"], row["position"]) == (sent.study_instance_uid, 1)
        begun = time.monotonic()
        daemon.stop()  # an open page does not hold it up
        assert time.monotonic() - begun < WAIT / 2


def next_event(stream):
    """Return the data of the next event."""
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the stream ended"
    return json.loads(line.removeprefix(b"data: "))


@pytest.mark.dcmtk
def test_killed_it_is_started_again_and_forgets_nothing(start, tmp_path):
    daemon = start()
    (sent,) = studies.write_study(tmp_path / "study", "WEB", [picture(1)])
    assert dcmtk.storescu(daemon.port, [sent.file]).returncode == 0
    assert dcmtk.storescu(daemon.port, [sent.file]).returncode == 0
    counted = 'triage_instances_received_total{outcome="%s"}'
    wait_until(
        lambda: metric(daemon.web_port, counted % "duplicate") == 1, "the counts", seconds=WAIT
    )
    (first,) = started(daemon)

    os.kill(first, signal.SIGKILL)

    daemon.wait_for("web_ended", seconds=WAIT, status=-signal.SIGKILL)
    # A browser that asks meanwhile waits for the next one, and is answered.
    assert ask(daemon.web_port, "/healthz") == (200, "ok\n")
    assert len(started(daemon)) == 2
    wait_until(lambda: metric(daemon.web_port, counted % "new") == 1, "the counts", seconds=WAIT)
    assert metric(daemon.web_port, counted % "duplicate") == 1
    assert metric(daemon.web_port, 'triage_process_ends_total{process="web"}') == 1
    (row,) = json.loads(ask(daemon.web_port, "/api/v1/worklist")[1])
    assert row["study_instance_uid"] == sent.study_instance_uid
    assert dcmtk.storescu(daemon.port, [sent.file]).returncode == 0
    daemon.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, daemon.web_port))


@pytest.mark.dcmtk
def test_without_its_port_the_daemon_receives_and_tries_again(start_daemon, tmp_path):
    with socket.create_server((HOST, 0)) as other:
        daemon = start_daemon(roles="receive,web", web__port=other.getsockname()[1])
        daemon.web_port = other.getsockname()[1]
        said = daemon.wait_for("web_unavailable", seconds=WAIT)
        assert f"web.port={daemon.web_port}" in said["reason"]
        (sent,) = studies.write_study(tmp_path / "study", "WEB", [picture(1)])
        assert dcmtk.storescu(daemon.port, [sent.file]).returncode == 0
    daemon.wait_for("web_started", seconds=WAIT)
    assert ask(daemon.web_port, "/healthz")[0] == 200
    daemon.stop()


def test_it_ends_with_its_daemon_however_that_ends(start):
    daemon = start()
    ask(daemon.web_port, "/healthz")
    (pid,) = started(daemon)

    daemon.kill_alone()

    wait_until(lambda: _has_ended(pid), "its end", seconds=WAIT)


def _has_ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.postgres
def test_while_its_database_is_away_it_says_so_and_goes_on_when_it_is_back(start):
    with postgres.running() as server:
        daemon = start(database__url=server.new_database())
        assert json.loads(ask(daemon.web_port, "/readyz")[1])["checks"]["database"] == "ok"

        server.stop(signal.SIGQUIT)

        assert ask(daemon.web_port, "/healthz")[0] == 200
        status, said = ask(daemon.web_port, "/api/v1/worklist")
        assert (status, json.loads(said)["title"]) == (503, "Service Unavailable")
        time.sleep(2.1)  # an answer is good for 2 seconds
        status, said = ask(daemon.web_port, "/readyz")
        assert status == 503
        assert json.loads(said)["checks"]["database"] != "ok"
        assert metric(daemon.web_port, "triage_database_up") == 0
        server.start()
        wait_until(
            lambda: ask(daemon.web_port, "/api/v1/worklist")[0] == 200, "the worklist", seconds=WAIT
        )
        assert len(started(daemon)) == 1
        daemon.stop()


@pytest.fixture
def web(tmp_path, new_database):
    """The daemon's side of a web process alone, which the test calls as the daemon does."""
    url = new_database("sqlite")
    schema.upgrade(Database(url))
    settings = Settings.model_validate(
        {
            "database": {"url": url},
            "spool": {"directory": str(tmp_path)},
            "web": {"port": free_port()},
        }
    )
    web = WebProcess(settings, Tally())
    yield web
    web.stop()


def tick_until(web, reached, what):
    def look():
        web.tick(Condition())
        return reached()

    wait_until(look, what, seconds=WAIT, every=0.2)


def answers(web):
    try:
        return ask(web.port, "/healthz")[0] == 200
    except OSError:
        return False


def test_where_no_process_can_be_started_it_is_tried_again(web, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/nonexistent/python")
        web.tick(Condition())

    tick_until(web, lambda: web.pid is not None, "a process")
    assert answers(web)


def test_one_whose_event_loop_hangs_is_replaced(web, monkeypatch):
    tick_until(web, lambda: web.pid is not None, "a process")
    assert answers(web)
    hanging = web.pid
    os.kill(hanging, signal.SIGSTOP)
    monkeypatch.setattr(process, "HUNG", 1.0)

    tick_until(web, lambda: web.pid != hanging, "its end")
    monkeypatch.undo()
    tick_until(web, lambda: web.pid is not None, "another process")

    assert answers(web)
