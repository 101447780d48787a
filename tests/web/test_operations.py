"""What watches over the daemon is told: alive, ready and why not, and the measurements."""

import threading
import time
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.support.site import WELL, site_in
from triage.core.reasons import Code
from triage.core.tally import KEEPING, NOT_SCORED, PROBABILITY, RECEIVED, Kept, Tally
from triage.errors import DatabaseUnavailable
from triage.web import health
from triage.web.condition import SILENT, Condition
from triage.web.health import Probe


@pytest.fixture
def site(tmp_path, new_database):
    with site_in(tmp_path, new_database("sqlite")) as site:
        yield site


def ready(site):
    answer = site.client.get("/readyz")
    said = answer.json()
    assert answer.status_code == (200 if said["ready"] else 503)
    return said["ready"], said["checks"]


def samples(site, **headers):
    """Return what /metrics says, as {name or (name, values of the sorted labels): value}."""
    answer = site.client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels)))
        if sample.labels
        else sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_site_that_is_well_is_alive_and_ready(site):
    assert site.client.get("/healthz").text == "ok\n"
    assert ready(site) == (
        True,
        {"database": "ok", "spool": "ok", "scorer": "ok", "daemon": "ok"},
    )


@pytest.mark.parametrize(
    ("condition", "check", "why"),
    [
        (replace(WELL, scorer="no model"), "scorer", "no model"),
        (replace(WELL, scorer="restarting"), "scorer", "restarting"),
        (replace(WELL, stuck=("complete",)), "daemon", "loops are stuck: complete"),
        (
            replace(WELL, at=time.monotonic() - SILENT - 1),
            "daemon",
            "it has said nothing for a while",
        ),
    ],
)
def test_a_daemon_that_is_not_well_is_not_ready_and_says_why(site, condition, check, why):
    site.condition = condition

    is_ready, checks = ready(site)

    assert not is_ready
    assert checks[check] == why
    assert site.client.get("/healthz").status_code == 200


def test_a_daemon_without_the_role_to_score_is_ready(site):
    site.condition = replace(WELL, scorer="off", model=None)

    assert ready(site)[0]


def test_a_spool_that_takes_nothing_is_told(site):
    for folder in site.spool.folders():
        if folder.name == "incoming":
            folder.rmdir()
            folder.write_text("in the way")

    is_ready, checks = ready(site)

    assert not is_ready
    assert checks["spool"] == "it cannot be written to; the log says why"


def test_a_full_spool_is_told(tmp_path, new_database):
    spool = {"directory": str(tmp_path / "spool"), "min_free": 2**62}
    with site_in(tmp_path, new_database("sqlite"), spool=spool) as site:
        assert "spool.min_free" in ready(site)[1]["spool"]


def test_while_the_database_is_away_the_counters_are_still_told(site):
    def away():
        raise DatabaseUnavailable("postgresql://triage@10.1.2.3: no answer")

    site.health.database = Probe("database", away)
    site.health.load = Probe("load", away)
    tally = Tally()
    tally.count(RECEIVED, Kept.NEW)
    site.condition = replace(WELL, counted=tally.document())

    is_ready, checks = ready(site)
    found = samples(site)

    assert not is_ready
    assert checks["database"] == "it is not available; the log says why"
    assert found["triage_database_up"] == 0
    assert "triage_worklist_longest_wait_seconds" not in found
    assert found["triage_instances_received_total", "new"] == 1


def test_a_database_that_hangs_holds_up_no_other_answer_and_is_asked_once(site, monkeypatch):
    monkeypatch.setattr(health, "PATIENCE", 0.2)
    goes_on, asked = threading.Event(), []

    def hang():
        asked.append(time.monotonic())
        goes_on.wait(30)

    site.health.database = Probe("database", hang)

    for _ in range(4):
        assert ready(site)[1]["database"] == "it does not answer"
        assert site.client.get("/healthz").status_code == 200
    assert len(asked) == 1
    goes_on.set()


def test_an_answer_is_good_for_a_moment_however_often_it_is_asked_for(site):
    asked = []
    site.health.spool = Probe("spool", lambda: asked.append(1))

    for _ in range(5):
        ready(site)

    assert len(asked) == 1


def test_what_the_processes_have_counted_is_told(site):
    tally = Tally()
    for _ in range(3):
        tally.count(RECEIVED, Kept.NEW)
    tally.count(NOT_SCORED, Code.UNDECODABLE)
    for seconds in (0.004, 0.2, 99.0):
        tally.observe(KEEPING, seconds)
    tally.observe(PROBABILITY, 0.93, "hand")
    site.condition = replace(WELL, counted=tally.document())

    found = samples(site)

    assert found["triage_instances_received_total", "new"] == 3
    assert found["triage_instances_received_total", "refused"] == 0
    assert found["triage_views_not_scored_total", "undecodable"] == 1
    assert found["triage_instance_keeping_seconds_bucket", "0.005"] == 1
    assert found["triage_instance_keeping_seconds_bucket", "0.25"] == 2
    assert found["triage_instance_keeping_seconds_bucket", "+Inf"] == 3
    assert found["triage_instance_keeping_seconds_count"] == 3
    assert found["triage_instance_keeping_seconds_sum"] == pytest.approx(99.204)
    assert found["triage_view_probability_bucket", "0.9", "hand"] == 0
    assert found["triage_view_probability_bucket", "1.0", "hand"] == 1


def test_what_waits_is_told(site):
    site.store.file("1.1")
    site.store.score(0.9)
    site.store.file("1.2")

    found = samples(site)

    assert found["triage_worklist_studies", "HIGH"] == 1
    assert found["triage_worklist_studies", "MEDIUM"] == 1
    assert found["triage_views_waiting"] == 1
    assert found["triage_worklist_longest_wait_seconds"] > 1000
    assert found["triage_views_longest_wait_seconds"] > 1000
    assert found["triage_spool_free_bytes"] > 0
    assert found["triage_database_up"] == 1


def test_the_model_and_the_state_of_the_daemon_are_told(site):
    found = samples(site)

    (model,) = [name for name in found if name[0] == "triage_model_info"]
    assert "reference 1.0" in model
    assert found["triage_scorer_state", "ready"] == 1
    assert found["triage_scorer_state", "no model"] == 0
    assert (found["triage_receiver_up"], found["triage_daemon_heard"]) == (1, 1)


def test_a_silent_daemon_is_not_taken_for_what_it_was(site):
    site.condition = replace(WELL, at=time.monotonic() - SILENT - 1)

    found = samples(site)

    assert (found["triage_receiver_up"], found["triage_daemon_heard"]) == (0, 0)
    assert found["triage_scorer_state", "ready"] == 0


def test_openmetrics_is_told_to_who_wants_it(site):
    answer = site.client.get("/metrics", headers={"Accept": "application/openmetrics-text"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert len(list(openmetrics(answer.text))) > 20


def test_a_condition_is_read_as_it_was_said():
    tally = Tally()
    tally.observe(KEEPING, 0.1)
    said = replace(WELL, stuck=("web",), counted=tally.document())

    assert Condition.parse(said.line()) == said
