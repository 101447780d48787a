"""`triage audit`, and the commands that write the trail."""

import json
import pwd

import pytest

from tests.support.keeping import Site, age
from triage.cli import operator
from triage.store import schema
from triage.store.database import Database

KEYS = [
    "at",
    "kind",
    "actor",
    "study_instance_uid",
    "accession_number",
    "sop_instance_uid",
    "detail",
]


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("LOGNAME", "USER", "SUDO_USER"):
        monkeypatch.setenv(name, "mallory")
    database = Database("sqlite:///triage.db")
    schema.upgrade(database)
    site = Site(database, tmp_path)
    site.receive("A1")
    site.receive("A2")
    yield site
    database.close()


def trail(triage, *options):
    code, out, err = triage("audit", "--json", *options)
    assert code == 0, err
    return json.loads(out)


def test_the_trail_is_an_array_oldest_first(site, triage):
    triage("read", "A2", "--by", "bob", "--finding", "normal")

    entries = trail(triage)

    assert [entry["kind"] for entry in entries] == ["received", "received", "read"]
    assert all(list(entry) == KEYS for entry in entries)
    assert entries[0]["actor"] == "PACS@192.0.2.7"
    by = f"{operator.operator()} for bob"
    assert (entries[2]["actor"], entries[2]["detail"]) == (by, "normal")
    assert entries[2]["at"].endswith("Z")


def test_an_empty_trail_is_an_empty_array(site, triage):
    assert trail(triage, "--until", "2001-01-01") == []


def test_showing_a_study_is_written_down_with_the_user_s_name(site, triage):
    triage("show", "A1")

    (entry,) = trail(triage, "--kind", "shown")

    assert (entry["actor"], entry["accession_number"]) == (operator.operator(), "A1")


def test_behind_sudo_it_is_who_logged_in(site, triage, tmp_path, monkeypatch):
    login = tmp_path / "loginuid"
    login.write_text(str(pwd.getpwnam("daemon").pw_uid))
    monkeypatch.setattr(operator, "LOGIN", login)

    triage("show", "A1")

    assert trail(triage, "--kind", "shown")[0]["actor"] == "daemon"


def test_the_environment_does_not_say_who_it_is(site, triage):
    triage("show", "A1")

    assert trail(triage, "--kind", "shown")[0]["actor"] == operator.operator() != "mallory"


def test_what_cannot_be_written_down_is_not_shown(site, triage):
    with site.database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full_disk BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

    code, out, _ = triage("show", "A1")

    assert (code, out) == (1, "")


def test_writing_images_of_a_study_is_written_down(site, triage):
    site.score_all()

    triage("show", "A1", "--cam", "maps")

    assert [entry["kind"] for entry in trail(triage, "--study", "A1")] == [
        "received",
        "shown",
        "exported",
    ]


def test_entries_are_asked_for_by_study_and_time(site, triage):
    (received,) = trail(triage, "--study", "A1")

    assert received["accession_number"] == "A1"
    assert trail(triage, "--since", received["at"], "--limit", "1") == [received]
    assert trail(triage, "--until", received["at"]) == []


def test_people_read_a_line_an_entry(site, triage):
    code, out, _ = triage("audit")

    assert code == 0
    assert len(out.splitlines()) == 2
    assert "PACS@192.0.2.7" in out


@pytest.mark.parametrize("options", [["--since", "yesterday"], ["--kind", "dreamt"]])
def test_what_is_asked_for_wrongly_is_wrong_usage(site, triage, options):
    assert triage("audit", *options)[:2] == (2, "")


def test_no_map_is_drawn_over_what_is_gone(site, triage):
    site.score_all()
    site.mark_read("A1", hours_ago=2)
    site.retention().tick()

    code, _, err = triage("show", "A1", "--cam", "maps")

    assert code == 1
    assert "pixels_deleted: " in err
    assert "send the study again" in err


def test_rescoring_what_is_gone_says_so(site, triage):
    site.score_all()
    site.mark_read("A1", hours_ago=2)
    site.retention().tick()

    code, _, err = triage("rescore", "A1")
    assert code == 1
    assert "send it again" in err
    assert "1 studies wait" in triage("rescore", "--all")[2]


@pytest.mark.filterwarnings(
    # pynetdicom 3.0.4 does not close the socket of a refused connection.
    "ignore:unclosed <socket.*:ResourceWarning",
    "ignore:Exception ignored in. <socket.*:pytest.PytestUnraisableExceptionWarning",
)
def test_doctor_finds_what_has_parted_and_repairs_it(site, triage):
    lost = site.spool.path(site.digests()[0])
    lost.unlink()
    stray = site.spool.directory / "ab" / f"{'ab' * 32}.dcm"
    stray.write_bytes(b"?")
    age(stray, 1)

    before, repaired, after = (
        {finding["check"]: finding for finding in json.loads(triage(*command)[1])}["files"]
        for command in (
            ("doctor", "--json"),
            ("doctor", "--json", "--repair"),
            ("doctor", "--json"),
        )
    )

    assert before["status"] == "failed"
    assert "1 missing, 1 without a row" in before["message"]
    assert (
        f"accession number A1, study {site.detail('A1').row.study_instance_uid}: 1"
        in (before["message"])
    )
    assert "send these studies again" in before["action"]
    assert "1 set aside now" in repaired["message"]
    assert "1 missing, 1 in" in after["message"]


def test_an_entry_that_somebody_else_wrote_hides_no_other(site, triage):
    with site.database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO audit (at, kind, actor) VALUES ('2026-01-01T00:00:00.000000Z', 'forged', 'x')"
        )

    assert [entry["kind"] for entry in trail(triage)] == ["forged", "received", "received"]
