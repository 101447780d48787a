"""The audit trail only grows, and tells what happened in the order in which it did."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from tests.support.store import at
from triage.core.audit import AuditKind
from triage.doctor.storage import check_audit
from triage.errors import DatabaseUnavailable
from triage.settings import Settings
from triage.store import audit, reading
from triage.store.audit import Wanted, entries


def told(store, **wanted):
    return list(entries(store.database, Wanted(**wanted)))


def kinds(store, **wanted):
    return [entry.kind for entry in told(store, **wanted)]


def test_what_becomes_of_a_study_is_written_down_with_who_did_it(store):
    store.file("1.1", accession_number="A1", calling_address="192.0.2.7")
    store.score(0.9)
    reading.claim(store.database, store.id(), "ada", at(10))
    reading.release(store.database, store.id(), "ada", at(20))
    reading.mark_read(store.database, store.id(), "bob", "normal", at(30))
    store.rescore(40, by="cyd")
    audit.note_access(store.database, store.id(), AuditKind.SHOWN, "dan", at(50))

    found = told(store)

    assert [(entry.kind, entry.actor, entry.detail, entry.at) for entry in found] == [
        ("received", "MODALITY@192.0.2.7", "new", at(0)),
        ("claimed", "ada", None, at(10)),
        ("released", "ada", None, at(20)),
        ("read", "bob", "normal", at(30)),
        ("rescored", "cyd", None, at(40)),
        ("shown", "dan", None, at(50)),
    ]
    assert {(entry.study_instance_uid, entry.accession_number) for entry in found} == {
        ("1.1", "A1")
    }
    assert found[0].sop_instance_uid == "1.1.1"


def test_each_instance_that_came_has_an_entry_and_what_changes_nothing_has_none(store):
    store.file(sop="1.1.1", pixels="a")
    store.file(sop="1.1.2", pixels="a")
    store.file(sop="1.1.1", pixels="a", seconds=5)
    store.file(sop="1.1.1", pixels="b", seconds=6)
    reading.claim(store.database, store.id(), "ada", at(10))
    reading.claim(store.database, store.id(), "ada", at(11))

    assert [(entry.sop_instance_uid, entry.detail) for entry in told(store)] == [
        ("1.1.1", "new"),
        ("1.1.2", "new"),
        ("1.1.1", "replaced"),
        (None, None),
    ]


def test_no_entry_names_the_patient(store):
    store.file(patient_name="Muster^Erika", patient_id="P1")
    reading.mark_read(store.database, store.id(), "ada", "normal", at(1))

    assert "Muster" not in str(told(store))
    assert "P1" not in str(told(store))


def refuse(store, statement):
    with pytest.raises(DatabaseUnavailable, match="only grows"), store.database.writing() as sql:
        sql.execute(text(statement))
    assert kinds(store) == ["received"]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit WHERE kind = 'received'"]
)
def test_no_entry_is_changed_or_taken_away(store, statement):
    store.file()

    refuse(store, statement)


def test_no_entry_is_overwritten_or_truncated(store):
    store.file()

    if store.database.is_sqlite:
        columns = "id, at, kind, actor"
        refuse(store, f"INSERT OR REPLACE INTO audit ({columns}) SELECT {columns} FROM audit")  # noqa: S608
    else:
        refuse(store, "TRUNCATE audit")


TAKEN_AWAY = {
    "sqlite": [
        ("DROP TRIGGER audit_refuses_update", ["UPDATE"]),
        ("DROP TRIGGER audit_refuses_delete", ["DELETE"]),
        ("DROP TRIGGER audit_refuses_replace", ["INSERT OR REPLACE"]),
        (
            "DROP TRIGGER audit_refuses_delete; "
            "CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit BEGIN SELECT 1; END",
            ["DELETE"],
        ),
    ],
    "postgresql": [
        ("DROP TRIGGER audit_only_grows ON audit", ["UPDATE", "DELETE", "TRUNCATE"]),
        ("ALTER TABLE audit DISABLE TRIGGER USER", ["UPDATE", "DELETE", "TRUNCATE"]),
        (
            "CREATE OR REPLACE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RETURN NULL; END $$",
            ["UPDATE", "DELETE", "TRUNCATE"],
        ),
        (
            "DROP TRIGGER audit_only_grows ON audit; "
            "CREATE TRIGGER audit_only_grows BEFORE UPDATE ON audit "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()",
            ["DELETE", "TRUNCATE"],
        ),
    ],
}
GUIDE = Path(__file__).parents[2] / "deploy" / "OPERATIONS.md"


@pytest.fixture
def administer(migrated_url):
    """Return a function that runs a script in the database, past everything of ours."""

    def administer(script):
        if migrated_url.startswith("sqlite"):
            with closing(sqlite3.connect(migrated_url.removeprefix("sqlite:///"))) as connection:
                connection.executescript(script)
        else:
            with psycopg.connect(migrated_url.replace("+psycopg", "")) as server:
                server.execute(script)

    return administer


@pytest.mark.parametrize("case", range(4))
def test_doctor_finds_a_guard_that_was_taken_away_and_the_guide_puts_it_back(
    store, migrated_url, administer, case
):
    store.file()
    kind = "sqlite" if store.database.is_sqlite else "postgresql"
    script, allowed = TAKEN_AWAY[kind][case]
    site = Settings(database={"url": migrated_url})
    assert check_audit(site).status == "ok"

    administer(script)
    found = check_audit(site)
    statements = re.findall(r"```sql\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    guards = [each for each in statements if "only grows" in each]
    (mend,) = [each for each in guards if ("plpgsql" in each) is (kind == "postgresql")]
    administer(mend)

    assert found.status == "failed"
    assert f"({', '.join(allowed)})" in found.message
    assert "OPERATIONS.md, The audit trail" in found.action
    assert check_audit(site).status == "ok"
    refuse(store, "DELETE FROM audit")


def test_what_cannot_be_written_down_does_not_happen(store):
    store.file()
    with store.database.writing() as connection:
        connection.execute(text("ALTER TABLE audit RENAME TO elsewhere"))

    with pytest.raises(DatabaseUnavailable):
        store.file("1.2")
    with pytest.raises(DatabaseUnavailable):
        reading.mark_read(store.database, store.id(), "ada", None, at(1))

    assert store.worklist() == ["1.1"]
    assert store.detail().reading_state == "unread"


def test_entries_are_found_by_study_time_and_kind(store):
    for number in range(1, 4):
        store.file(f"1.{number}", seconds=number)
    reading.claim(store.database, store.id("1.2"), "ada", at(10))

    assert kinds(store, study_instance_uid="1.2") == ["received", "claimed"]
    assert [entry.at for entry in told(store, since=at(2), until=at(10))] == [at(2), at(3)]
    assert kinds(store, kind=AuditKind.CLAIMED) == ["claimed"]


def test_a_long_trail_is_read_in_pages_without_loss(store, monkeypatch):
    monkeypatch.setattr(audit, "PAGE", 3)
    for number in range(10):
        store.file(f"1.{number}", seconds=number // 4)  # several at the same moment

    everything = [entry.study_instance_uid for entry in told(store)]

    assert everything == [f"1.{number}" for number in range(10)]
    first = [entry.study_instance_uid for entry in entries(store.database, Wanted(), limit=7)]
    assert first == everything[:7]
