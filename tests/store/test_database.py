"""What a database that is busy, missing or no database does to its users."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.store import Store
from triage.errors import ConfigurationError, DatabaseUnavailable
from triage.store import database as module
from triage.store import schema
from triage.store.database import (
    CONNECTIONS,
    IDLE_WAIT,
    LOCK_RETRY,
    LOCK_RETRY_LATER,
    LOCK_SOON,
    LOCK_WAIT,
    Database,
)
from triage.store.derive import lock_studies


@pytest.mark.soak  # the wait is ten seconds
def test_a_writer_that_never_lets_go_is_a_database_that_is_away(tmp_path):
    store = Store(Database(f"sqlite:///{tmp_path / 'a.db'}"))
    schema.upgrade(store.database)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def file(number):
        begun = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            store.file(f"1.{number}")
        return time.monotonic() - begun

    with ThreadPoolExecutor(6) as senders:
        waits = list(senders.map(file, range(6)))
    other.execute("ROLLBACK")
    other.close()

    # However many wait, none waits longer than for its turn and for the lock.
    assert max(waits) < 2 * LOCK_WAIT + 5
    store.file()
    store.database.close()


class Clock:
    """Time that passes when somebody sleeps; at a moment, something happens."""

    def __init__(self, moment, happens):
        self.now = 0.0
        self.slept = []
        self._moment, self._happens = moment, happens

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        if self._happens and self.now >= self._moment:
            self._happens()
            self._happens = None


@pytest.mark.parametrize("moment", [3 * LOCK_RETRY, LOCK_SOON + 2 * LOCK_RETRY_LATER])
def test_a_writer_has_the_lock_as_soon_as_another_process_gives_it_back(
    tmp_path, monkeypatch, moment
):
    store = Store(Database(f"sqlite:///{tmp_path / 'a.db'}"))
    schema.upgrade(store.database)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    clock = Clock(moment, lambda: other.execute("COMMIT"))
    monkeypatch.setattr(module, "time", clock)

    store.file()

    soon = [each for each in clock.slept if each == LOCK_RETRY]
    later = clock.slept[len(soon) :]
    assert set(later) <= {LOCK_RETRY_LATER}
    assert sum(soon) == pytest.approx(min(moment, LOCK_SOON), abs=LOCK_RETRY)
    assert clock.now - moment < clock.slept[-1]
    assert store.worklist() == ["1.1"]
    # Whatever else waits, waits as ever.
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 1000 * LOCK_WAIT
    other.close()
    store.database.close()


def test_what_no_wait_can_mend_is_not_waited_for(tmp_path, monkeypatch):
    store = Store(Database(f"sqlite:///{tmp_path / 'a.db'}"))
    clock = Clock(0, None)
    monkeypatch.setattr(module, "time", clock)
    with (
        store.database.writing() as connection,
        pytest.raises(OperationalError, match="within a transaction"),
    ):
        module._begin_writing(connection)

    assert clock.slept == []
    store.database.close()


@pytest.mark.parametrize(
    ("code", "busy"),
    [
        (sqlite3.SQLITE_BUSY, True),
        (sqlite3.SQLITE_BUSY_RECOVERY, True),  # another process mends what one left that died
        (sqlite3.SQLITE_IOERR, False),
    ],
)
def test_the_lock_of_others_is_known_by_its_code(code, busy):
    found = sqlite3.OperationalError("whatever it says")
    found.sqlite_errorcode = code

    assert module._is_busy(OperationalError("BEGIN IMMEDIATE", None, found)) is busy


def test_a_writer_waits_for_the_lock_no_longer_than_it_should(tmp_path, monkeypatch):
    store = Store(Database(f"sqlite:///{tmp_path / 'a.db'}"))
    schema.upgrade(store.database)
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(module, "LOCK_WAIT", 0.2)

    with pytest.raises(DatabaseUnavailable, match="locked"):
        store.file()

    other.execute("ROLLBACK")
    other.close()
    store.file()
    store.database.close()


@pytest.mark.soak  # the waits are ten and thirty seconds
@pytest.mark.postgres
def test_a_daemon_that_hangs_in_a_transaction_holds_nobody_up_for_long(new_database):
    url = new_database("postgres")
    store, hanging = Store(Database(url)), Store(Database(url))
    schema.upgrade(store.database)
    store.file("1.1")

    def hang():
        with hanging.database.writing() as connection:
            lock_studies(connection, [store.id()])
            held.set()
            over.wait(120)
            lock_studies(connection, [store.id()])

    held, over = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as thread:
        hung = thread.submit(hang)
        assert held.wait(30)
        try:
            begun = time.monotonic()
            with pytest.raises(DatabaseUnavailable):
                store.file("1.1", "1.1.2")
            assert time.monotonic() - begun >= LOCK_WAIT
            time.sleep(IDLE_WAIT - LOCK_WAIT + 2)
            store.file("1.1", "1.1.2")
        finally:
            over.set()
        with pytest.raises(DatabaseUnavailable):
            hung.result()
    store.database.close()
    hanging.database.close()


@pytest.fixture
def opened(database_url):
    database = Database(database_url)
    yield database
    database.close()


def test_more_threads_than_connections_take_turns(opened):
    inside, most = set(), []

    def read(number):
        with opened.reading() as connection:
            inside.add(number)
            most.append(len(inside))
            connection.exec_driver_sql("SELECT 1")
            time.sleep(0.05)
            inside.remove(number)

    with ThreadPoolExecutor(4 * CONNECTIONS) as associations:
        assert len(list(associations.map(read, range(4 * CONNECTIONS)))) == 4 * CONNECTIONS

    # Three daemons, each with its scoring process, and people's commands share 100.
    assert max(most) <= CONNECTIONS <= 30


def test_a_wait_for_a_connection_ends_as_a_database_that_is_away(database_url, monkeypatch):
    monkeypatch.setattr(module, "POOL_WAIT", 0.1)
    opened = Database(database_url)
    with ExitStack() as others:
        for _ in range(CONNECTIONS):
            others.enter_context(opened.reading())

        with pytest.raises(DatabaseUnavailable, match="all busy"), opened.reading():
            pass

    with opened.reading() as connection:
        connection.exec_driver_sql("SELECT 1")
    opened.close()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "a.db").write_text("this is a letter, and a long one, so that it is no empty file")
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")

    with pytest.raises(DatabaseUnavailable, match=r"a\.db.*not a database"):
        schema.upgrade(database)
    database.close()


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere"):
        Database(f"sqlite:///{tmp_path / 'nowhere' / 'a.db'}")


def test_a_schema_from_the_future_is_refused(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    schema.upgrade(database)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseUnavailable, match="9999"):
        schema.upgrade(database)
    database.close()


def test_a_database_that_takes_no_write_is_found_although_a_transaction_begins(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'triage.db'}")
    schema.upgrade(database)
    schema.try_writing(database)
    with database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER locked BEFORE UPDATE ON alembic_version"
            " BEGIN SELECT RAISE(ABORT, 'read-only'); END"
        )

    with pytest.raises(DatabaseUnavailable, match="read-only"):
        schema.try_writing(database)
    database.close()


def test_what_need_not_last_waits_for_no_disk_and_what_comes_after_it_does(database):
    asked = "PRAGMA synchronous" if database.is_sqlite else "SHOW synchronous_commit"

    def synced(**how):
        with database.writing(**how) as connection:
            return connection.exec_driver_sql(asked).scalar()

    found = [synced(), synced(durable=False), synced()]

    assert found == ([2, 1, 2] if database.is_sqlite else ["on", "off", "on"])


def test_a_change_that_fails_and_need_not_last_leaves_the_next_one_durable(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(DatabaseUnavailable), database.writing(durable=False) as connection:
        connection.exec_driver_sql("nonsense")

    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    database.close()


def test_what_sqlite_says_outside_a_statement_is_a_database_that_is_away(tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(module, "_syncing", fail)
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")

    with pytest.raises(DatabaseUnavailable, match="disk I/O error"), database.writing():
        pass
    database.close()
