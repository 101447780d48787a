"""The audit trail only grows, and tells what happened in the order in which it did."""

import pytest
from sqlalchemy import text

from tests.support.store import at
from triage.core.audit import AuditKind
from triage.errors import DatabaseUnavailable
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
