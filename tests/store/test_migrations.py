"""A filled database of an earlier version goes on after the upgrade, and no way leads back."""

from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import text

from tests.support import filled
from tests.support.store import Store, at
from triage.core.activation import CoarseMap
from triage.core.audit import AuditKind
from triage.errors import DatabaseUnavailable
from triage.store import audit, reading, retention, schema
from triage.store.activations import scored_views
from triage.store.database import Database
from triage.store.scoring import Result, save_results


@pytest.fixture(params=["0001", "0002", "0003", "0004", "0005", "0006"])
def revision(request):
    """Each schema that came before this version's."""
    return request.param


@pytest.fixture
def old(database_url, revision):
    """A filled database of an earlier schema."""
    database = Database(database_url)
    schema.upgrade(database, revision)
    filled.fill(database, revision)
    yield database
    database.close()


def test_the_upgrade_keeps_every_value_and_the_reading_order(old, revision):
    before = filled.contents(old)

    assert schema.upgrade(old) == (revision, schema.latest())

    assert schema.differences(old) == []
    after = filled.contents(old)
    for table, rows in before.items():
        assert len(after[table]) == len(rows)
        for then, now in zip(rows, after[table], strict=True):
            assert {name: now[name] for name in then} == then, table


def test_an_upgraded_database_goes_on_with_its_studies(old):
    schema.upgrade(old)
    store = Store(old)

    store.file("1.3", "1.3.2", seconds=60)
    store.file("1.99", seconds=61)
    work = store.hold(seconds=100)
    store.save(work, 0.5, seconds=101)
    while work := store.hold(seconds=102):  # those that had trouble before come alone
        store.save(work, 0.5, seconds=102)
    store.complete(200)
    reading.mark_read(old, store.id("1.3"), "ada", "normal", at(201))

    assert store.row("1.3").probability == pytest.approx(0.7)
    assert {store.row(f"1.{number}").status for number in (1, 2, 3, 99)} == {"scored"}
    assert store.row("1.6").status == "unscorable"
    assert store.kinds("1.3") == ["received", "reopened", "scored", "read"]
    told = list(audit.entries(old, audit.Wanted()))
    assert [entry.kind for entry in told] == [
        AuditKind.RECEIVED,
        AuditKind.RECEIVED,
        AuditKind.READ,
    ]


@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])  # without retention
def test_the_pixels_of_what_was_read_before_the_upgrade_are_kept_for_as_long_after_it(old):
    begun = datetime.now(UTC)
    schema.upgrade(old)
    ended = datetime.now(UTC)

    early = retention.mark_oldest(old, ended, why="spool.keep", before=begun)
    later = ended + timedelta(seconds=1)
    marked = retention.mark_oldest(old, later, why="spool.keep", before=later)

    assert early is None
    assert marked.study_instance_uid == "1.5"
    assert retention.mark_oldest(old, later, why="spool.low_water") is None


def test_a_view_that_was_scored_before_has_no_map_until_it_is_scored_again(old, revision):
    schema.upgrade(old)
    store = Store(old)
    with old.writing() as connection:
        connection.execute(text("DELETE FROM view WHERE state = 'pending'"))

    (before,) = scored_views(old, store.id("1.8"))
    store.rescore(60, study="1.8")
    (work,) = store.hold(seconds=61)
    new = CoarseMap(height=1, width=1, cells=b"cd", side=32, resize="squeeze")
    result = Result(work=work, probability=0.2, threshold=0.5, model="m 2", map=new)
    save_results(old, "s1", [result], at(62))

    assert (before.map is None) == (revision < "0003")
    assert [view.map for view in scored_views(old, store.id("1.8"))] == [new]


@pytest.mark.parametrize("target", ["0006", "0005", "0004", "0003", "0002", "0001", "base"])
def test_there_is_no_way_back(database_url, target):
    database = Database(database_url)
    schema.upgrade(database, "0003")
    filled.fill(database, "0003")
    schema.upgrade(database)
    before = filled.contents(database)

    with pytest.raises(DatabaseUnavailable, match="restore the backup"):
        downgrade(database, target)

    assert schema.current(database) == schema.latest()
    assert filled.contents(database) == before
    database.close()


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005", "0006"])
def test_no_earlier_schema_has_a_way_back_either(old, revision):
    with pytest.raises(DatabaseUnavailable, match="restore the backup"):
        downgrade(old, "-1")

    assert schema.current(old) == revision


def downgrade(database, target):
    """Ask Alembic itself; the command line has no such command."""
    config = schema._config()
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, target)
