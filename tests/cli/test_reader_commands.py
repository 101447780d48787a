"""The reader's commands against a filled database: what they print, and how they end."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from triage.core.study import Instance, Patience
from triage.core.studytype import StudyType
from triage.store import intake, progress, schema, scoring
from triage.store.database import Database

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
COLUMNS = [
    "position",
    "priority",
    "overdue",
    "label",
    "probability",
    "provisional",
    "status",
    "reason",
    "study_type",
    "views",
    "views_scored",
    "accession_number",
    "patient_id",
    "patient_name",
    "study_instance_uid",
    "study_description",
    "received_at",
    "completed_at",
    "waiting_seconds",
    "claimed_by",
    "model",
]


def image(study, number, accession="", **more):
    uid = f"{study}.{number}"
    return Instance(
        sop_instance_uid=uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        series_instance_uid=f"{study}.0",
        study_instance_uid=study,
        accession_number=accession,
        patient_name="Muster^Erika [test]",
        study_type=StudyType.HAND,
        frames=1,
        digest=uid,
        pixel_digest=uid,
        **more,
    )


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder whose database holds a normal, an abnormal and a still growing study."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRIAGE_STUDY__QUIET", "TRIAGE_MODEL__PATH", "TRIAGE_DICOM__PORT"):
        monkeypatch.delenv(name, raising=False)
    database = Database("sqlite:///triage.db")
    schema.upgrade(database)
    for offset, study, accession in ((0, "1.1", "A1"), (1, "1.2", "A2"), (2, "1.3", "DOUBLE")):
        intake.file_instance(database, image(study, 1, accession), NOON + timedelta(seconds=offset))
    work = scoring.hold_views(database, "test", 2, lambda: NOON)
    scoring.save_results(
        database,
        "test",
        [
            scoring.Result(work=item, probability=p, threshold=0.5, model="net 1")
            for item, p in zip(work, (0.25, 0.75), strict=True)
        ],
        NOON,
    )
    progress.complete_studies(database, NOON + timedelta(seconds=10), Patience(quiet=9, limit=600))
    yield database
    database.close()


def test_the_worklist_in_json_has_the_columns_of_the_view(site, triage):
    code, out, _ = triage("worklist", "--json")
    rows = json.loads(out)

    assert code == 0
    assert [row["study_instance_uid"] for row in rows] == ["1.2", "1.3", "1.1"]
    assert all(list(row) == COLUMNS for row in rows)


def test_json_has_nulls_booleans_and_moments_in_utc(site, triage):
    abnormal, growing, _ = json.loads(triage("worklist", "--json")[1])

    assert (abnormal["priority"], abnormal["label"], abnormal["probability"]) == (
        "HIGH",
        "abnormal",
        0.75,
    )
    assert (abnormal["overdue"], abnormal["provisional"]) == (False, False)
    assert abnormal["received_at"] == "2026-03-01T12:00:01.123456Z"
    assert re.fullmatch(r"2026-03-01T12:00:10\.123456Z", abnormal["completed_at"])
    assert (growing["label"], growing["completed_at"], growing["provisional"]) == (None, None, True)


def test_an_empty_worklist_is_an_empty_array(tmp_path, monkeypatch, triage):
    monkeypatch.chdir(tmp_path)
    triage("db", "upgrade")

    assert triage("worklist", "--json")[:2] == (0, "[]\n")
    assert "empty" in triage("worklist")[1]


def test_the_table_shows_names_as_they_are(site, triage):
    code, out, _ = triage("worklist", "--limit", "1")

    assert code == 0
    assert "Muster^Erika [test]" in out
    assert "0.750" in out
    assert "A1" not in out


@pytest.mark.parametrize("command", ["worklist", "show", "audit"])
@pytest.mark.parametrize("json_", [(), ("--json",)], ids=["table", "JSON"])
def test_nothing_that_is_shown_commands_the_terminal(site, triage, command, json_):
    hostile = "A\x1b[2J\x9b2J\x1b]0;t\x07\x7f\r"
    received = replace(
        image("1.5", 1, "A5"),
        patient_name=hostile,
        study_description=hostile,
        calling_ae_title=hostile,
    )
    intake.file_instance(site, received, NOON)

    code, out, err = triage(*{"show": ("show", "A5")}.get(command, (command,)), *json_)

    assert (code, err) == (0, "")
    assert "\\u001b[2J" in out
    assert "".join(out.split("\n")).isprintable()


def test_a_name_with_a_line_feed_makes_no_second_line_of_the_trail(site, triage):
    triage("read", "A2", "--by", "eve\n2026-03-01T12:00:00.000000Z  read")

    lines = triage("audit")[1].splitlines()

    assert [line.split()[1] for line in lines] == ["received", "received", "received", "read"]


def test_an_error_that_quotes_does_not_command_the_terminal_either(site, triage):
    triage("claim", "A2", "--by", "ada\x9b2J")

    code, _, err = triage("claim", "A2", "--by", "bob")

    assert code == 1
    assert "ada\\u009b2J" in err


def test_json_is_utf_8_whatever_the_terminal_speaks(site, tmp_path):
    intake.file_instance(site, replace(image("1.5", 1), patient_name="Müller^山"), NOON)

    done = subprocess.run(
        [sys.executable, "-m", "triage", "worklist", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )

    assert "Müller^山" in done.stdout.decode("utf-8")


def test_show_finds_a_study_by_uid_and_by_accession_number(site, triage):
    by_uid, by_accession = (json.loads(triage("show", name, "--json")[1]) for name in ("1.2", "A2"))

    assert by_uid["study_instance_uid"] == by_accession["study_instance_uid"] == "1.2"
    assert list(by_uid)[: len(COLUMNS)] == COLUMNS
    assert by_uid["position"] == 1
    assert by_uid["groups"][0] == {
        "group": "hand",
        "study_type": "hand",
        "side": None,
        "probability": 0.75,
        "threshold": 0.5,
        "views": 1,
        "deciding": True,
    }
    assert by_uid["instances"][0] == {
        "sop_instance_uid": "1.2.1",
        "series_instance_uid": "1.2.0",
        "frame": 1,
        "state": "scored",
        "reason": None,
        "probability": 0.75,
        "group": "hand",
        "study_type": "hand",
        "part_from": None,
        "side": None,
        "side_from": None,
        "exposed_field": None,
    }
    assert [line["kind"] for line in by_uid["history"]] == ["received", "moved", "scored"]


def test_show_is_readable_by_people(site, triage):
    code, out, _ = triage("show", "A2")

    assert code == 0
    assert "position 1, HIGH" in out
    assert "decides" in out


def test_an_unknown_study_is_an_error(site, triage):
    code, out, err = triage("show", "A9")

    assert (code, out) == (1, "")
    assert "'A9'" in err


def test_an_ambiguous_accession_number_lists_the_uids(site, triage):
    intake.file_instance(site, image("1.4", 1, "DOUBLE"), NOON)

    code, _, err = triage("claim", "DOUBLE")

    assert code == 1
    assert "1.3" in err
    assert "1.4" in err


def test_a_claim_keeps_the_place_and_holds_against_others(site, triage):
    assert triage("claim", "A2", "--by", "ada")[0] == 0
    assert triage("claim", "A2", "--by", "ada")[0] == 0

    code, _, err = triage("claim", "A2", "--by", "bob")

    assert code == 1
    assert "ada" in err
    row = json.loads(triage("worklist", "--json")[1])[0]
    assert (row["study_instance_uid"], row["claimed_by"]) == ("1.2", "ada")


def test_to_release_what_nobody_holds_is_no_error_and_no_release(site, triage):
    before = triage("audit")[1]

    never_claimed = triage("release", "A2", "--by", "ada")
    triage("read", "A1", "--by", "bob")
    read = triage("release", "A1", "--by", "bob")

    assert never_claimed == (0, "", "nobody held A2; nothing has changed\n")
    assert read == (0, "", "nobody held A1; nothing has changed\n")
    assert "released" not in before + triage("audit")[1]
    triage("claim", "A2", "--by", "ada")
    assert triage("release", "A2", "--by", "ada") == (0, "", "A2 is released\n")


def test_a_study_that_was_read_by_mistake_is_put_back(site, triage):
    before = json.loads(triage("worklist", "--json")[1])
    triage("read", "A2", "--by", "ada", "--finding", "normal")
    assert [row["accession_number"] for row in json.loads(triage("worklist", "--json")[1])] == [
        row["accession_number"] for row in before[1:]
    ]

    assert triage("unread", "A2") == (0, "", "A2 is back on the worklist\n")

    after = json.loads(triage("worklist", "--json")[1])
    for row in [*before, *after]:
        del row["waiting_seconds"]
    assert after == before
    assert triage("unread", "A2") == (0, "", "A2 is not read; nothing has changed\n")
    assert triage("unread", "NOBODY")[0] == 1


def test_only_the_holder_releases(site, triage):
    triage("claim", "A2", "--by", "ada")

    assert triage("release", "A2", "--by", "bob")[0] == 1
    assert triage("release", "A2", "--by", "ada")[0] == 0
    assert triage("claim", "A2", "--by", "bob")[0] == 0


def test_a_read_study_leaves_the_list_and_keeps_its_finding(site, triage):
    code, _, _ = triage("read", "A2", "--by", "ada", "--finding", "normal")

    assert code == 0
    assert [r["study_instance_uid"] for r in json.loads(triage("worklist", "--json")[1])] == [
        "1.3",
        "1.1",
    ]
    shown = json.loads(triage("show", "A2", "--json")[1])
    assert (shown["position"], shown["reading_state"], shown["finding"]) == (None, "read", "normal")


def test_what_another_reader_holds_is_not_marked_read(site, triage):
    triage("claim", "A2", "--by", "ada")

    code, _, err = triage("read", "A2", "--by", "bob")

    assert code == 1
    assert "ada" in err


def test_rescore_queues_the_views_and_keeps_the_score(site, triage):
    code, _, err = triage("rescore", "A2")

    assert code == 0
    assert "1 studies" in err
    shown = json.loads(triage("show", "A2", "--json")[1])
    assert (shown["status"], shown["probability"]) == ("complete", 0.75)
    assert shown["instances"][0]["state"] == "pending"


def test_rescore_all_takes_every_study(site, triage):
    assert "3 studies" in triage("rescore", "--all")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["rescore"],
        ["rescore", "A2", "--all"],
        ["worklist", "--limit", "0"],
        ["read", "A2", "--finding", "perhaps"],
        ["serve", "--role", "receive,sing"],
        ["nonsense"],
        ["--log-level", "loud", "worklist"],
        ["--config", "nowhere.toml", "worklist"],
        ["worklist", "--config", "nowhere.toml"],
    ],
)
def test_wrong_usage_ends_with_2_and_prints_nothing(site, triage, arguments):
    code, out, err = triage(*arguments)

    assert (code, out) == (2, "")
    assert err


def test_a_database_without_the_schema_says_what_to_do(tmp_path, monkeypatch, triage):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "triage.db").touch()

    code, _, err = triage("worklist")

    assert code == 1
    assert "triage db upgrade" in err


def test_asking_in_the_wrong_folder_makes_no_empty_database(tmp_path, monkeypatch, triage):
    monkeypatch.chdir(tmp_path)

    code, _, err = triage("worklist")

    assert code == 1
    assert str(tmp_path / "triage.db") in err
    assert list(tmp_path.iterdir()) == []


def test_a_database_url_that_is_none_is_wrong_configuration(monkeypatch, triage):
    monkeypatch.setenv("TRIAGE_DATABASE__URL", "postgresql+psycopg://u@h:abc/db")

    code, _, err = triage("worklist")

    assert code == 2
    assert "database.url" in err


def test_the_settings_file_may_be_named_before_or_after_the_command(site, triage, tmp_path):
    (tmp_path / "site.toml").write_text('[database]\nurl = "sqlite:///other.db"\n')

    assert triage("--config", "site.toml", "db", "upgrade")[0] == 0
    assert triage("db", "current", "--config=site.toml")[0] == 0
    assert (tmp_path / "other.db").is_file()


def test_doctor_names_a_missing_model_as_a_failure(site, triage):
    code, out, _ = triage("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(out)}

    assert code == 1
    assert findings["model"]["status"] == "failed"
    assert "triage model import" in findings["model"]["action"]
    assert findings["database"]["status"] == "ok"
    assert findings["codecs"]["status"] == "ok"
    assert findings["receiver"]["status"] == "failed"
    assert all(set(f) == {"check", "status", "message", "action"} for f in findings.values())


@pytest.mark.parametrize("command", ["serve", "doctor"])
@pytest.mark.parametrize("given", ["TLS_CERTIFICATE", "TLS_KEY"])
def test_half_of_what_tls_takes_is_named_before_anything_starts(
    tmp_path, monkeypatch, triage, command, given
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"TRIAGE_DICOM__{given}", "half.pem")

    code, out, err = triage(command)

    assert (code, out) == (2, "")
    assert "dicom.tls_certificate" in err
    assert "dicom.tls_key" in err or "TRIAGE_DICOM__TLS_KEY" in err
    assert "to go without TLS" in err
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_a_database_that_is_not_there(tmp_path, monkeypatch, triage):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAGE_DATABASE__URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")

    code, out, _ = triage("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(out)}

    assert code == 1
    assert findings["database"]["status"] == "failed"
    assert "127.0.0.1" in findings["database"]["message"]


def test_db_check_finds_a_table_that_was_changed(site, triage):
    assert triage("db", "check")[0] == 0
    with site.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE study ADD COLUMN extra TEXT")

    code, _, err = triage("db", "check")

    assert code == 1
    assert "extra" in err
