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


class Server:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._numbers = count(1)

    def new_database(self) -> str:
        """Make an empty database and return its URL for `database.url`."""
        name = f"triage{next(self._numbers)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name).replace("postgresql", "postgresql+psycopg", 1)

    def answers(self) -> bool:
        """Say whether the server accepts connections."""
        try:
            psycopg.connect(self._url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@{HOST}:{self.port}/{name}"


@contextmanager
def running() -> Iterator[Server]:
    """Run a server; on leaving it is stopped and its data is gone."""
    # Not below pytest's folder: the server's own user cannot enter that.
    folder = Path(tempfile.mkdtemp(prefix="triage-postgres-"))
    data = folder / "data"
    log = folder / "log"
    identity = _identity(folder)
    try:
        subprocess.run(
            [_program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"],
            check=True,
            capture_output=True,
            **identity,
        )
        server = Server(free_port())
        options = {"listen_addresses": HOST, "unix_socket_directories": folder}
        settings = [f"-c{name}={value}" for name, value in options.items()]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [_program("postgres"), "-D", data, f"-p{server.port}", *settings],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **identity,
            )
        try:
            wait_until(server.answers, "PostgreSQL answers", seconds=60)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nobody needs the data any more
            process.wait(60)
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
