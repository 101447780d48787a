"""The web process of a real daemon: killed, hung, without its port, without its database."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.support import dcmtk, postgres, studies
from tests.support.daemon import HOST, free_port
from tests.support.studies import picture
from tests.support.waiting import wait_until
from tests.support.web import ask, metric

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
