"""The JSON interface against a filled database: the documents, the reader's side, the errors."""

import json
import re

import pytest
from pydantic import TypeAdapter

from tests.support.site import loopback_client, site_in
from tests.support.store import at
from triage.core.audit import AuditKind
from triage.errors import TemplateFailed
from triage.store import audit, queries, reading
from triage.web import access, address, models
from triage.web.access import Person, Role

PROBLEM = "application/problem+json"


@pytest.fixture
def site(tmp_path, new_database):
    """An abnormal, a normal, an unscored and a read study; one accession number is there twice."""
    with site_in(tmp_path, new_database("sqlite")) as site:
        for number, probability in enumerate((0.9, 0.1)):
            site.store.file(
                f"1.{number}",
                seconds=number,
                accession_number=f"A{number}",
                patient_name=f"Family{number}^Änne",
            )
            site.store.score(probability, seconds=number)
        site.store.file_report("1.2", "1.2.1", seconds=2)
        site.store.file("1.3", seconds=3, accession_number="TWICE")
        site.store.file("1.4", seconds=4, accession_number="TWICE")
        reading.mark_read(site.database, site.store.id("1.3"), "ada", "normal", at(9))
        yield site


def uids(answer):
    assert answer.status_code == 200, answer.text
    return [row["study_instance_uid"] for row in answer.json()]


def problem(answer, status):
    """Return what a Problem Details says; it must be one."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    models.Problem.model_validate(answer.json())
    assert answer.json()["status"] == status
    return answer.json()["detail"]


def test_the_worklist_comes_in_reading_order_as_it_is_described(site):
    answer = site.client.get("/api/v1/worklist")

    assert uids(answer) == ["1.0", "1.2", "1.4", "1.1"]
    rows = TypeAdapter(list[models.WorklistRow]).validate_json(answer.text)
    assert [row.position for row in rows] == [1, 2, 3, 4]
    assert rows[0].received_at == at(0)


def test_a_study_comes_as_it_is_described_and_the_trail_names_who_saw_it(site):
    answer = site.client.get("/api/v1/studies/A0")

    study = models.Study.model_validate_json(answer.text)
    assert (study.position, study.probability, study.reading_state) == (1, 0.9, "unread")
    assert [instance.state for instance in study.instances] == ["scored"]
    seen = list(audit.entries(site.database, audit.Wanted(kind=AuditKind.SHOWN)))
    assert [(entry.study_instance_uid, entry.actor) for entry in seen] == [("1.0", "local")]


def test_a_read_study_has_no_position(site):
    study = models.Study.model_validate_json(site.client.get("/api/v1/studies/1.3").text)

    assert (study.position, study.finding) == (None, "normal")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("limit=2", ["1.0", "1.2"]),
        ("priority=HIGH", ["1.0"]),
        ("priority=HIGH&priority=LOW", ["1.0", "1.1"]),
        ("priority=HIGH&priority=LOW&limit=1", ["1.0"]),
        ("label=normal", ["1.1"]),
        ("study_type=hand&text=family1", ["1.1"]),
        ("text=%C3%84NNE", ["1.0", "1.1"]),
        ("claimed=true", []),
        ("claimed=false&limit=1", ["1.0"]),
        ("status=receiving&text=A1", ["1.1"]),
        ("text=%00", []),
        ("text=annE%20family0%2C", ["1.0"]),
        ("text=FAMILY%5EANNE%20a1", ["1.1"]),
    ],
)
def test_the_worklist_is_filtered(site, asked, found):
    assert uids(site.client.get(f"/api/v1/worklist?{asked}")) == found


def test_a_filtered_row_has_its_position_on_the_whole_worklist(site):
    assert site.client.get("/api/v1/worklist?label=normal").json()[0]["position"] == 4


def test_claim_release_and_read_do_what_the_commands_do(site):
    assert site.client.post("/api/v1/studies/A0/claim").status_code == 204
    assert site.client.get("/api/v1/worklist?claimed=true").json()[0]["claimed_by"] == "local"
    assert site.client.post("/api/v1/studies/A0/claim").status_code == 204
    assert site.client.post("/api/v1/studies/A0/release").status_code == 204
    assert site.client.post("/api/v1/studies/A0/release").status_code == 204

    said = site.client.post("/api/v1/studies/A0/read", json={"finding": "abnormal"})

    assert (said.status_code, said.content) == (204, b"")
    assert uids(site.client.get("/api/v1/worklist")) == ["1.2", "1.4", "1.1"]
    study = site.client.get("/api/v1/studies/A0").json()
    assert (study["reading_state"], study["finding"]) == ("read", "abnormal")
    kinds = [line["kind"] for line in study["history"] if line["actor"] == "local"]
    assert kinds == ["claimed", "released", "read"]


def test_a_study_that_was_read_by_mistake_is_put_back(site):
    before = uids(site.client.get("/api/v1/worklist"))
    site.client.post("/api/v1/studies/A0/read", json={"finding": "normal"})
    assert uids(site.client.get("/api/v1/worklist")) != before

    assert site.client.post("/api/v1/studies/A0/unread").status_code == 204
    assert site.client.post("/api/v1/studies/A0/unread").status_code == 204

    assert uids(site.client.get("/api/v1/worklist")) == before
    study = site.client.get("/api/v1/studies/A0").json()
    assert (study["reading_state"], study["finding"]) == ("unread", None)


def test_an_administrator_gives_up_another_s_claim_and_nobody_else_does(site):
    reading.claim(site.database, site.store.id("1.0"), "ada", at(5))
    said = {"reader": "ada"}
    assert "ada" in problem(
        site.client.post("/api/v1/studies/1.0/release", json={"reader": "b"}), 409
    )

    assert site.client.post("/api/v1/studies/1.0/release", json=said).status_code == 204

    assert site.client.get("/api/v1/worklist?claimed=true").json() == []
    [entry] = site.store.trail("released")
    assert entry.actor == "local for ada"
    [line] = [each for each in site.store.detail("1.0").history if each.kind == "released"]
    assert line.actor == "local for ada"
    reading.claim(site.database, site.store.id("1.0"), "ada", at(6))
    site.app.dependency_overrides[access.person] = lambda: Person(name="bob", role=Role.READER)
    problem(site.client.post("/api/v1/studies/1.0/release", json=said), 403)
    assert site.store.row("1.0").claimed_by == "ada"


@pytest.mark.parametrize("uid", ["1/2", "..", ".", "a%2Fb", "~1", "1?2#3", "1\\2"])
def test_a_study_is_reached_whatever_its_sender_took_for_a_uid(site, uid):
    site.store.file(uid, f"{uid}.1", seconds=8)
    named = address.written(uid)

    assert site.client.get(f"/api/v1/studies/{named}").json()["study_instance_uid"] == uid
    assert site.client.post(f"/api/v1/studies/{named}/read").status_code == 204
    assert uid not in uids(site.client.get("/api/v1/worklist"))
    page = site.client.get(f"/studies/{named}", headers={"Accept": "text/html"})
    assert page.status_code == 200
    for picture in re.findall(r'data-address="([^"]*)"', page.text):
        # The file is not there; what it is of was found.
        assert site.client.get(f"{picture}.png").status_code == 422


def test_an_error_has_our_headers_and_is_a_page_for_a_person(site, monkeypatch):
    failures = [RuntimeError("secret"), TemplateFailed("secret")]

    def fail(*_):
        raise failures.pop()

    monkeypatch.setattr(queries, "worklist", fail)
    while failures:
        answer = site.client.get("/api/v1/worklist")
        assert "secret" not in problem(answer, 500)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    page = site.client.get("/nowhere", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Not Found" in page.text


def test_a_reading_needs_no_finding(site):
    assert site.client.post("/api/v1/studies/A0/read").status_code == 204
    assert site.client.get("/api/v1/studies/A0").json()["finding"] is None


def test_what_another_has_claimed_is_refused_with_the_holder(site):
    reading.claim(site.database, site.store.id("1.0"), "ada", at(5))

    for deed in ("claim", "release", "read"):
        answer = site.client.post(f"/api/v1/studies/1.0/{deed}")
        assert "claimed by ada" in problem(answer, 409)


def test_an_unknown_study_and_an_ambiguous_one_are_named(site):
    assert "'NOBODY'" in problem(site.client.get("/api/v1/studies/NOBODY"), 404)
    said = problem(site.client.get("/api/v1/studies/TWICE"), 409)
    assert "1.3" in said
    assert "1.4" in said


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/api/v1/studies/A0/read", {"finding": "strange"}, "body.finding"),
        ("/api/v1/studies/A0/read", {"finding": "normal", "more": 1}, "body.more"),
        ("/api/v1/studies/A0/read", ["finding"], "body"),
        (f"/api/v1/studies/{'1' * 514}/claim", None, "path.study"),
        ("/api/v1/studies/~6/claim", None, "path.study"),
        ("/api/v1/studies/~ff/claim", None, "path.study"),
        ("/api/v1/studies/~00/claim", None, "path.study"),
        ("/api/v1/studies/%00/claim", None, "path.study"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong_with_it(site, path, body, where):
    answer = site.client.post(path, json=body)

    problem(answer, 422)
    assert [fault["where"] for fault in answer.json()["errors"]] == [where]
    assert uids(site.client.get("/api/v1/worklist?text=A0")) == ["1.0"]


def test_what_is_not_there_and_what_may_not_be_done_are_problems_too(site):
    problem(site.client.get("/api/v1/nothing"), 404)
    answer = site.client.delete("/api/v1/worklist")
    problem(answer, 405)
    assert answer.headers["allow"] == "GET"


def test_every_answer_forbids_a_browser_what_we_do_not_need(site):
    for path in ("/", "/api/v1/worklist", "/api/v1/nothing", "/metrics", "/static/triage.css"):
        headers = site.client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert path.startswith("/static/") or headers["cache-control"] == "no-store"


def test_a_study_is_scored_again_for_an_administrator_alone(site):
    answer = site.client.post("/api/v1/studies/A0/rescore")
    assert (answer.status_code, answer.json()) == (202, {"pixels_deleted": []})
    assert site.store.states("1.0") == ["pending"]

    site.app.dependency_overrides[access.person] = lambda: Person(name="ada", role=Role.READER)
    problem(site.client.post("/api/v1/studies/A1/rescore"), 403)
    assert site.store.states("1.1") == ["scored"]


def test_whoever_is_not_let_in_is_told_nothing(site):
    stranger = loopback_client(site.app)
    stranger.headers["X-Forwarded-For"] = "192.0.2.1"

    for path in ("worklist", "studies/1.0", "events", "metrics"):
        assert "1.0" not in problem(stranger.get(f"/api/v1/{path}"), 403).replace("127.0.0.1", "")


def test_a_database_that_is_away_is_a_problem_without_its_address(site):
    with site.database.writing() as connection:
        connection.exec_driver_sql("DROP VIEW worklist")

    said = problem(site.client.get("/api/v1/worklist"), 503)

    assert "try again" in said
    assert "worklist" not in said


def test_an_error_of_ours_shows_no_source(site):
    site.feed = None  # nothing can be measured then

    said = problem(site.client.get("/api/v1/metrics"), 500)

    assert said == "an error of ours; the log has it"


def test_what_is_measured_is_the_same_as_for_prometheus(site):
    metrics = TypeAdapter(list[models.Metric]).validate_json(
        site.client.get("/api/v1/metrics").text
    )

    samples = {
        (sample.name, json.dumps(sample.labels)): sample.value
        for metric in metrics
        for sample in metric.samples
    }
    assert samples["triage_worklist_studies", '{"priority": "HIGH"}'] == 1
    assert samples["triage_worklist_studies", '{"priority": "MEDIUM"}'] == 2
