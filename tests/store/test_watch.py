"""What a watcher of the worklist is told, applied as it says, is the worklist; whatever happens."""

import random
import threading
import time

import pytest

from tests.support import postgres
from tests.support.store import Store, at
from tests.support.waiting import wait_until
from triage.store import progress, queries, reading, schema
from triage.store.database import Database
from triage.store.watch import Watch


class Page:
    """A reader's copy of the worklist, kept by the differences alone."""

    def __init__(self, database):
        self.database = database
        self.watch = Watch(database)
        self.rows = []

    def look(self, connection):
        """Look once; say whether anything was told."""
        difference = self.watch.look(connection)
        if difference is None:
            return False
        away = {*difference.gone, *(row.study_instance_uid for row in difference.rows)}
        self.rows = [row for row in self.rows if row.study_instance_uid not in away]
        for row in difference.rows:
            self.rows.insert(row.position - 1, row)
        return True

    def seen(self):
        return [lasting(row) for row in self.rows]

    def real(self):
        return [lasting(row) for row in queries.worklist(self.database)]


def lasting(row):
    passing = ("position", "waiting_seconds")
    return {name: value for name, value in vars(row).items() if name not in passing}


@pytest.fixture
def page(database):
    return Page(database)


def test_the_first_look_tells_everything(store, page):
    for number in range(3):
        store.file(f"1.{number}", seconds=number)

    with store.database.connected() as connection:
        assert page.look(connection)

    assert len(page.rows) == 3
    assert page.seen() == page.real()


def test_nothing_is_told_where_nothing_has_changed(store, page):
    store.file("1.1")
    with store.database.connected() as connection:
        page.look(connection)
        assert not page.look(connection)
        store.file("1.1")  # the same again
        assert not page.look(connection)
        reading.claim(store.database, store.id("1.1"), "ada", at(5))
        assert page.look(connection)
        assert not page.look(connection)

    assert page.rows[0].claimed_by == "ada"


def test_only_what_has_changed_is_told(store, page):
    for number in range(5):
        store.file(f"1.{number}", seconds=number)
    with store.database.connected() as connection:
        page.look(connection)
        reading.mark_read(store.database, store.id("1.1"), "ada", "normal", at(9))
        reading.claim(store.database, store.id("1.3"), "ada", at(9))
        difference = page.watch.look(connection)

    assert difference.gone == ("1.1",)
    assert [row.study_instance_uid for row in difference.rows] == ["1.3"]
    assert difference.rows[0].position == 3


def test_who_asks_long_after_a_look_learns_how_long_the_studies_have_waited_by_then(store, page):
    store.file("1.1")
    with store.database.connected() as connection:
        page.look(connection)

    begun = time.monotonic()
    (first,) = page.watch.worklist.records()
    time.sleep(1)
    (second,) = page.watch.worklist.records()

    assert 1 <= second.waiting_seconds - first.waiting_seconds <= time.monotonic() - begun
    (real,) = queries.worklist(store.database)
    assert second.waiting_seconds == pytest.approx(real.waiting_seconds, abs=30)


def test_whoever_opened_another_connection_looks_at_everything_again(store, page):
    store.file("1.1")
    with store.database.connected() as connection:
        page.look(connection)
    store.file("1.2", seconds=1)
    page.watch.forget()
    with store.database.connected() as connection:
        page.look(connection)

    assert page.seen() == page.real()


def befall(store, rng, number):
    """Let something happen that happens to a department's studies."""
    seconds = 10 + number
    known = [row.study_instance_uid for row in queries.worklist(store.database)]
    deeds = [
        lambda: store.file(f"1.{number}", seconds=seconds, accession_number=f"A{number}"),
        lambda: store.score(rng.random(), seconds),
        lambda: store.complete(seconds),
        lambda: progress.mark_overdue(store.database, at(seconds), rng.choice([0, 20, 400])),
    ]
    if known:
        uid = rng.choice(known)
        study = store.id(uid)
        deeds += [
            lambda: store.file(uid, f"{uid}.{number}", seconds),
            lambda: reading.claim(store.database, study, "ada", at(seconds)),
            lambda: reading.release(store.database, study, "ada", at(seconds)),
            lambda: reading.mark_read(store.database, study, "ada", None, at(seconds)),
        ]
    rng.choice(deeds)()


def test_differences_make_the_worklist_whatever_befalls_the_studies(store, page):
    rng = random.Random(7)  # noqa: S311  a test repeats itself
    with store.database.connected() as connection:
        for number in range(60):
            for _ in range(rng.randint(0, 3)):
                befall(store, rng, number * 10 + rng.randint(0, 9))
            page.look(connection)
            assert page.seen() == page.real(), number


def test_no_change_is_missed_that_others_make_at_the_same_time(store, page):
    """The last of their commits is seen too, however it falls between two looks."""

    def write(reader):
        for number in range(15):
            store.file(f"1.{reader}.{number}", seconds=number)
            if number % 3 == 2:
                study = store.id(f"1.{reader}.{number - 1}")
                reading.mark_read(store.database, study, f"r{reader}", None, at(number))

    writers = [threading.Thread(target=write, args=(reader,)) for reader in range(3)]
    for writer in writers:
        writer.start()
    with store.database.connected() as connection:
        while any(writer.is_alive() for writer in writers):
            page.look(connection)
        page.look(connection)
        assert page.seen() == page.real()
    assert len(page.rows) == 3 * 10


@pytest.mark.postgres
def test_a_commit_is_told_that_stood_in_the_log_before_it_could_be_seen():
    """PostgreSQL writes a commit down first; only then can it be seen.

    Between the two it waits for a standby, if it is told to; here for one that never answers.
    """
    with postgres.running() as server:
        server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        server.execute("ALTER SYSTEM SET synchronous_commit = 'local'")  # for all but one
        server.execute("SELECT pg_reload_conf()")
        database = Database(server.new_database())
        schema.upgrade(database)
        store, page = Store(database), Page(database)
        store.file("1.1")
        claim = threading.Thread(target=claim_waiting_for_a_standby, args=(database,))
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        with database.connected() as connection:
            page.look(connection)
            claim.start()
            ((pid,),) = wait_until(lambda: server.execute(waiting), "a commit that waits")
            page.look(connection)
            assert page.rows[0].claimed_by is None
            server.execute(f"SELECT pg_cancel_backend({pid})")  # it waits no more, and is committed
            claim.join()
            assert page.look(connection)
        assert page.rows[0].claimed_by == "ada"
        database.close()


def claim_waiting_for_a_standby(database):
    with database.writing() as connection:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = 'on'")
        connection.exec_driver_sql("UPDATE study SET claimed_by = 'ada'")
