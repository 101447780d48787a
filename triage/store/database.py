"""The connection to SQLite or PostgreSQL, and what a transaction promises.

A committed transaction survives a power cut, unless it says that it need not: SQLite runs
with a write-ahead log and synchronous=FULL, PostgreSQL as its administrator configured it.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, select, text
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from triage.errors import ConfigurationError, DatabaseUnavailable
from triage.extras import installing

LOCK_WAIT = 10  # seconds to wait for other writers; SQLite: of this process and of others each
# Seconds between two tries for SQLite's lock: while one of ours may have it, and when it is
# somebody who takes his time, a backup for instance.
LOCK_RETRY, LOCK_RETRY_LATER = 0.0005, 0.01
LOCK_SOON = 0.1  # seconds for which it may be one of ours
CONNECT_WAIT = 5  # seconds to reach PostgreSQL
IDLE_WAIT = 30  # seconds without a word in a transaction, after which PostgreSQL ends it
# A server that has lost its power or its network says no farewell; 20 s later we know.
SILENCE = {
    "keepalives_idle": 10,  # seconds
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,  # milliseconds
}
# Of one process; with more threads than that, one waits for another's transaction to end,
# which takes milliseconds. PostgreSQL has 100 for everybody (max_connections), and whoever
# comes after those meets an error.
CONNECTIONS = 24
POOL_WAIT = 25  # seconds for one of them: longer than a dead server holds one (`SILENCE`)


class Database:
    """One database, shared by the threads of a process."""

    def __init__(self, url: str) -> None:
        """Prepare the connection; nothing is opened yet.

        Raises ConfigurationError when the driver for PostgreSQL is not installed.
        """
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        # SQLite lets waiting writers race, so that one can starve; ours queue here first.
        self._turn = threading.Lock()
        try:
            self._engine = _sqlite(url) if self.is_sqlite else _postgresql(url)
        except ImportError as error:
            raise ConfigurationError(
                f"database.url: PostgreSQL needs its driver; run {installing('postgres')}"
            ) from error
        except (SQLAlchemyError, ValueError) as error:
            raise ConfigurationError(f"database.url: {error}") from error

    def files(self) -> list[Path]:
        """Return SQLite's files, whether they are there or not; none of PostgreSQL's."""
        if not self.is_sqlite:
            return []
        path = Path(make_url(self.url).database or "").absolute()
        return [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm", "-journal")]

    def require_file(self) -> None:
        """Raise DatabaseUnavailable where SQLite would make an empty file of a wrong path."""
        if self.is_sqlite and not (path := self.files()[0]).is_file():
            raise DatabaseUnavailable(
                f"there is no database at {path}; is this the right folder, or is --config "
                "missing? triage serve or triage db upgrade makes a new one"
            )

    @property
    def name(self) -> str:
        """The URL without its password."""
        return make_url(self.url).render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read from one consistent state."""
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Keep one connection for many transactions, each begun by whoever has it."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    def require_answer(self) -> None:
        """Raise DatabaseUnavailable unless the database answers."""
        with self.reading() as connection:
            connection.execute(select(1))

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Connection]:
        """Change the database; on leaving, the change is durable or none of it happened.

        What is not *durable* happens too, and is seen by all; a power cut may undo it, and nothing
        else with it. It waits for no disk. Raises DatabaseUnavailable.
        """
        with self._translated():
            if not self.is_sqlite:
                with self._engine.begin() as connection:
                    if not durable:
                        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                    yield connection
                return
            if not self._turn.acquire(timeout=LOCK_WAIT):
                raise DatabaseUnavailable(f"{self.name}: busy for {LOCK_WAIT} s")
            try:
                with self._engine.connect() as plain, _syncing(plain, durable=durable):
                    connection = plain.execution_options(writes=True)
                    with connection.begin():
                        yield connection
            finally:
                self._turn.release()

    def take_turn(self, connection: Connection, *names: str) -> None:
        """Let one transaction at a time do what a name stands for, until it ends.

        The turns are taken one after the other. For what has no row to lock yet. SQLite has
        one writer at a time anyway.
        """
        if not self.is_sqlite:
            lock = "pg_advisory_xact_lock(hashtextextended(:name{}, 0))"
            locks = ", ".join(lock.format(number) for number in range(len(names)))
            connection.execute(
                text(f"SELECT {locks}"),
                {f"name{number}": name for number, name in enumerate(names)},
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise DatabaseUnavailable(f"{self.name}: {_discreet(error)}") from error
        except PoolTimeout as error:
            raise DatabaseUnavailable(
                f"{self.name}: its {CONNECTIONS} connections were all busy for {POOL_WAIT} s"
            ) from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise DatabaseUnavailable(f"{self.name}: {error}") from error

    def close(self) -> None:
        self._engine.dispose()


def _discreet(error: DBAPIError) -> str:
    """Return what the database says, without what it quotes of a row.

    PostgreSQL quotes in the lines after the first, and in the first one where a
    value does not fit its type.
    """
    if isinstance(error, DataError):
        return f"a value does not fit ({type(error.orig).__name__})"
    return str(error.orig).strip().partition("\n")[0]


def _sqlite(url: str) -> Engine:
    database = make_url(url).database or ""
    engine = create_engine(
        url,
        connect_args={"timeout": LOCK_WAIT},
        pool_size=8,
        max_overflow=CONNECTIONS - 8,
        pool_timeout=POOL_WAIT,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes the lock at once: a reader that turns writer half-way
        # cannot wait for another one and fails instead.
        if connection.get_execution_options().get("writes", False):
            _begin_writing(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    folder = Path(database).absolute().parent
    if not folder.is_dir():
        raise ConfigurationError(f"database.url: the folder {folder} does not exist; create it")
    return engine


@contextmanager
def _syncing(connection: Connection, *, durable: bool) -> Iterator[None]:
    """Let SQLite sync at a commit, or leave that to the next commit that does."""
    if durable:
        yield
        return
    plain: Any = connection.connection.driver_connection
    plain.execute("PRAGMA synchronous=NORMAL")
    try:
        yield
    finally:
        try:
            plain.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:  # nobody may have it who counts on the disk
            connection.invalidate()
            raise


def _begin_writing(connection: Connection) -> None:
    """Take SQLite's lock for writing as soon as another process gives it back.

    SQLite itself waits 1, 2, 5, 10 and more milliseconds between its tries, and most of ours
    have it for 3: every tenth image would wait three times as long as it must.
    """
    begun = time.monotonic()
    plain: Any = connection.connection.driver_connection  # for what needs no translation
    plain.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                waited = time.monotonic() - begun
                if not _is_busy(error) or waited > LOCK_WAIT:
                    raise
                time.sleep(LOCK_RETRY if waited < LOCK_SOON else LOCK_RETRY_LATER)
            else:
                return
    finally:
        plain.execute(f"PRAGMA busy_timeout = {round(LOCK_WAIT * 1000)}")


def _is_busy(error: OperationalError) -> bool:
    """Say whether another has the lock (SQLITE_BUSY, with whatever extended code)."""
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY


def _postgresql(url: str) -> Engine:
    engine = create_engine(
        url,
        pool_size=4,
        max_overflow=CONNECTIONS - 4,
        pool_timeout=POOL_WAIT,
        pool_pre_ping=True,  # a server that was restarted is noticed before the work, not in it
        hide_parameters=True,  # they hold patients' names, and errors are logged
        connect_args={"connect_timeout": CONNECT_WAIT, "application_name": "triage", **SILENCE},
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        # The locks of a daemon that hangs or whose machine died must not hold up the others.
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_WAIT}s'")
        connection.execute(f"SET lock_timeout = '{LOCK_WAIT}s'")
        connection.commit()

    return engine
