"""A PostgreSQL server of our own: throw-away data, a free loopback port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tests.support.daemon import HOST, free_port
from tests.support.requirements import find_program
from tests.support.waiting import wait_until

INITDB = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")


class Server:
    """A server with data of its own; it can be stopped and started again."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Make its data in *folder*, which must be empty; *settings* are postgresql.conf's."""
        self.port = free_port()
        self._settings = settings
        self._folder = folder
        self._identity = _identity(folder)
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run(
            [_program("initdb"), "-D", folder / "data", *INITDB],
            check=True,
            capture_output=True,
            **self._identity,
        )

    @property
    def pid(self) -> int:
        """The process id of the postmaster, which leads a process group."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {"listen_addresses": HOST, "unix_socket_directories": self._folder}
        options |= self._settings
        settings = [f"-c{name}={value}" for name, value in options.items()]
        with (self._folder / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", self._folder / "data", f"-p{self.port}", *settings],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                **self._identity,
            )
        wait_until(self.answers, "PostgreSQL answers", seconds=60)

    def stop(self, how: signal.Signals) -> None:
        """SIGINT ends it in fast mode, SIGQUIT in immediate mode, as after a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)

    def new_database(self, owner: str = "postgres", like: str = "template0") -> str:
        """Make a database and return its URL for `database.url`.

        It is empty, or a copy of the one whose URL is *like*, which nobody may be using.
        """
        name = f"triage{next(self._numbers)}"
        if owner != "postgres":
            self.execute(f"CREATE ROLE {owner} LOGIN")
        template = like.rpartition("/")[2]
        self.execute(f"CREATE DATABASE {name} OWNER {owner} TEMPLATE {template}")
        return self._url(name, owner).replace("postgresql", "postgresql+psycopg", 1)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement as the administrator; return its rows."""
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def answers(self) -> bool:
        """Say whether the server accepts connections."""
        try:
            psycopg.connect(self._url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _url(self, name: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@{HOST}:{self.port}/{name}"


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    """Run a server with *settings*; on leaving it is stopped and its data is gone."""
    # Not below pytest's folder: the server's own user cannot enter that.
    folder = Path(tempfile.mkdtemp(prefix="triage-postgres-"))
    try:
        server = Server(folder, **settings)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # at once: nobody needs the data any more
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> Path:
    found = find_program(name)
    assert found is not None
    return found


def _identity(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as its own user, who owns the folder."""
    options: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return options
