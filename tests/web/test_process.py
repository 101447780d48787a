"""The web process of a real daemon: killed, hung, without its port, without its database."""

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support import dcmtk, objects, postgres, studies
from tests.support.daemon import HOST, free_port
from tests.support.studies import picture
from tests.support.waiting import wait_until

WAIT = 60.0  # seconds; a busy machine imports slowly


def ask(daemon, path, method="GET"):
    """Return status and body of an answer."""
    request = urllib.request.Request(f"http://{HOST}:{daemon.web_port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sample(daemon, name):
    """Return a value of /metrics by its name as it stands there."""
    lines = [line.rpartition(" ") for line in ask(daemon, "/metrics")[1].splitlines()]
    return {key: float(value) for key, _, value in lines if key and key[0] != "#"}.get(name)


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
    wait_until(lambda: sample(daemon, counted % "duplicate") == 1, "the counts", seconds=WAIT)
    (first,) = started(daemon)

    os.kill(first, signal.SIGKILL)

    daemon.wait_for("web_ended", seconds=WAIT, status=-signal.SIGKILL)
    # A browser that asks meanwhile waits for the next one, and is answered.
    assert ask(daemon, "/healthz") == (200, "ok\n")
    assert len(started(daemon)) == 2
    wait_until(lambda: sample(daemon, counted % "new") == 1, "the counts", seconds=WAIT)
    assert sample(daemon, counted % "duplicate") == 1
    assert sample(daemon, 'triage_process_ends_total{process="web"}') == 1
    (row,) = json.loads(ask(daemon, "/api/v1/worklist")[1])
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
    assert ask(daemon, "/healthz")[0] == 200
    daemon.stop()


def test_it_ends_with_its_daemon_however_that_ends(start):
    daemon = start()
    ask(daemon, "/healthz")
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
        assert json.loads(ask(daemon, "/readyz")[1])["checks"]["database"] == "ok"

        server.stop(signal.SIGQUIT)

        assert ask(daemon, "/healthz")[0] == 200
        status, said = ask(daemon, "/api/v1/worklist")
        assert (status, json.loads(said)["title"]) == (503, "Service Unavailable")
        time.sleep(2.1)  # an answer is good for 2 seconds
        status, said = ask(daemon, "/readyz")
        assert status == 503
        assert json.loads(said)["checks"]["database"] != "ok"
        assert sample(daemon, "triage_database_up") == 0
        server.start()
        wait_until(lambda: ask(daemon, "/api/v1/worklist")[0] == 200, "the worklist", seconds=WAIT)
        assert len(started(daemon)) == 1
        daemon.stop()


@pytest.mark.dcmtk
def test_what_the_scoring_process_has_counted_is_told_and_outlives_it(
    start, tmp_path, random_model
):
    daemon = start(roles="receive,score,web", model__path=random_model)
    good, other = (
        studies.write_study(tmp_path / name, name, [picture(number)])[0]
        for number, name in enumerate(("GOOD", "OTHER"))
    )
    cut = studies.write(tmp_path, objects.truncated("CUT", picture(3), 1))
    assert dcmtk.storescu(daemon.port, [good.file, cut.file]).returncode == 0
    failed = 'triage_views_not_scored_total{reason="undecodable"}'
    wait_until(lambda: sample(daemon, failed), "a view that failed", seconds=2 * WAIT)
    wait_until(lambda: sample(daemon, "triage_views_scored_total") == 1, "a score", seconds=WAIT)
    assert sample(daemon, "triage_view_score_wait_seconds_count") == 1
    assert sample(daemon, 'triage_scorer_state{triage_scorer_state="ready"}') == 1
    assert "triage_model_info{" in ask(daemon, "/metrics")[1]
    assert ask(daemon, "/readyz")[0] == 200

    os.kill(daemon.scorer_pid, signal.SIGKILL)
    daemon.wait_for("scorer_ended", seconds=WAIT)
    assert dcmtk.storescu(daemon.port, [other.file]).returncode == 0

    wait_until(
        lambda: sample(daemon, "triage_views_scored_total") == 2, "a score", seconds=2 * WAIT
    )
    assert sample(daemon, 'triage_process_ends_total{process="scorer"}') == 1
    types = [
        line for line in ask(daemon, "/metrics")[1].splitlines() if "probability_count" in line
    ]
    assert sum(float(line.rpartition(" ")[2]) for line in types) == 2
    daemon.stop()
