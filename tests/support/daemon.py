"""The daemon under test: the real `triage serve`, in a folder and process group of its own."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support import persons
from tests.support.requirements import REPOSITORY
from tests.support.waiting import wait_until

HOST = "127.0.0.1"
START_WAIT = 60.0  # seconds; a busy machine imports slowly
SCORER_WAIT = 120.0  # seconds; torch is imported and the model loaded
STOP_WAIT = 40.0
# How a command computes numbers that must be equal, and does not look for the fastest engine.
EXACT = {"TRIAGE_MODEL__BACKEND": "torch", "TRIAGE_MODEL__PRECISION": "float32"}
# The command as often as there are studies, without a second's start for each.
SHOW = """
import sys
from triage import cli
for study in sys.argv[2:]:
    cli.app(["--config", sys.argv[1], "show", study, "--json"], standalone_mode=False)
    print(end="\\0", flush=True)
"""


def free_port() -> int:
    """Return a loopback port that nobody has."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Daemon:
    """One daemon with its settings; it can be killed and started again on the same data."""

    def __init__(
        self,
        folder: Path,
        *,
        prefix: Sequence[str] = (),
        log_level: str = "info",
        **settings: Any,
    ) -> None:
        """Write its settings; names are section__key, as in the environment.

        *prefix* is the command that starts the daemon instead of us. What it logs is
        looked through for persons at the end, also at *log_level* debug.
        """
        self._prefix = prefix
        self.folder = folder
        self.port = settings.get("dicom__port") or free_port()
        self.url = settings.get("database__url") or f"sqlite:///{folder / 'triage.db'}"
        self.spool = Path(settings.get("spool__directory") or folder / "spool")
        self.config = folder / "triage.toml"
        self.log = folder / "daemon.log"
        self.log.touch()
        self._log_level = log_level
        self._process: subprocess.Popen[bytes] | None = None
        self._start = 0  # where in the log the present run begins
        self.environment: dict[str, str] = {}  # besides that of the tests
        self._values = {
            "study__quiet": 1,
            "spool__directory": str(self.spool),
            "spool__min_free": 0,
            # No model, unless a test names one: an empty path is the reference model.
            "model__path": str(folder / "model.safetensors"),
            "model__device": "cpu",
            "model__backend": "torch",
            "model__precision": "float32",
            **settings,
            "database__url": self.url,
            "dicom__port": self.port,
        }
        self.set()

    def set(self, **settings: Any) -> None:
        """Change settings; they hold from the next start."""
        self._values |= settings
        self.config.write_text(_toml(self._values), "utf-8")

    @property
    def is_running(self) -> bool:
        """Whether `triage serve` is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of `triage serve`."""
        assert self._process is not None, "the daemon has not been started"
        return self._process.pid

    @property
    def scorer_pid(self) -> int:
        """The process id of the scoring process that was started last."""
        return int(self.events("scorer_started")[-1]["pid"])

    def start(self, *, roles: str = "receive,score") -> float:
        """Start it and return the seconds until it accepted associations."""
        self._start = self.log.stat().st_size
        begun = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    *self.command("--log-level", self._log_level, "serve", "--role", roles),
                ],
                cwd=self.folder,
                env=environment() | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # kill() takes the scoring process along
            )
        self.wait_for("ready", seconds=START_WAIT)
        return time.monotonic() - begun

    def wait_for(self, event: str, *, seconds: float = 30.0, **fields: Any) -> dict[str, Any]:
        """Wait for a log event of this run with these fields, and return it."""

        def look() -> dict[str, Any] | None:
            if self._process is not None and self._process.poll() is not None:
                pytest.fail(f"the daemon ended with {self._process.returncode}:\n{self.tail()}")
            found = [
                entry
                for entry in self.events(event)
                if all(entry.get(key) == value for key, value in fields.items())
            ]
            return found[-1] if found else None

        return wait_until(look, f"the log event {event} {fields or ''}", seconds=seconds)

    def wait_for_scorer(self) -> None:
        """Wait until the model of this run is loaded."""
        self.wait_for("scorer_ready", seconds=SCORER_WAIT)

    def events(self, event: str | None = None, *, ever: bool = False) -> list[dict[str, Any]]:
        """Return the log events of this run, or of all; what is not JSON is passed over."""
        found = []
        for line in self.log.read_bytes()[0 if ever else self._start :].splitlines():
            with suppress(ValueError):  # a library's own words, or a line half written
                entry = json.loads(line)
                if isinstance(entry, dict) and event in (None, entry.get("event")):
                    found.append(entry)
        return found

    def tail(self) -> str:
        """Return the end of the log, for a failure's message."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of `triage` with this daemon's settings."""
        return [sys.executable, "-m", "triage", "--config", str(self.config), *arguments]

    def triage(self, *arguments: str) -> str:
        """Run a command as a process and return its standard output."""
        ran = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def worklist(self) -> list[dict[str, Any]]:
        """Return what `triage worklist --json` prints."""
        rows: list[dict[str, Any]] = json.loads(self.triage("worklist", "--json"))
        return rows

    def show(self, *studies: str) -> list[dict[str, Any]]:
        """Return what `triage show --json` prints of each study; one process for all of them."""
        ran = subprocess.run(
            [sys.executable, "-c", SHOW, str(self.config), *studies],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return [json.loads(document) for document in ran.stdout.split("\0")[:-1]]

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Ask the database as a site's own program would, past everything of ours."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection:
                connection.row_factory = sqlite3.Row
                return [dict(row) for row in connection.execute(query)]
        url = self.url.replace("+psycopg", "")
        with psycopg.connect(url, row_factory=dict_row) as server:
            return server.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]

    def study(self, uid: str) -> dict[str, Any] | None:
        """Return the study's row of the view `worklist`, if it is there."""
        rows = self.sql("SELECT * FROM worklist")
        return next((row for row in rows if row["study_instance_uid"] == uid), None)

    def wait_for_study(self, uid: str, *, seconds: float = 30.0, **columns: Any) -> dict[str, Any]:
        """Wait until the study is on the worklist with these values; return its row."""
        last: list[dict[str, Any] | None] = []

        def look() -> dict[str, Any] | None:
            last[:] = [self.study(uid)]
            row = last[0]
            matches = row is not None and all(row[key] == columns[key] for key in columns)
            return row if matches else None

        try:
            return wait_until(look, f"study {uid} with {columns}", seconds=seconds)
        except pytest.fail.Exception as error:
            pytest.fail(f"{error}; its row: {last}; the log:\n{self.tail()}")

    def kill(self) -> None:
        """SIGKILL daemon and scoring process at once."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_alone(self) -> None:
        """SIGKILL the daemon and leave its scoring process an orphan."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, as a service manager does; it must end well."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(STOP_WAIT)
        assert code == 0, f"the daemon ended with {code}:\n{self.tail()}"


@contextmanager
def daemon_in(folder: Path, *, roles: str = "receive,score", **settings: Any) -> Iterator[Daemon]:
    """Run a daemon; on leaving, nothing of it runs any more."""
    daemon = Daemon(folder, **settings)
    try:
        daemon.start(roles=roles)
        yield daemon
    finally:
        if daemon._process is not None:
            daemon.kill()
        # So every test that starts a daemon looks for persons in what was logged.
        if named := persons.found_in(daemon.log.read_bytes()):
            pytest.fail(f"a name or birth date in the log, {len(named)} lines: {named[:3]}")


def environment() -> dict[str, str]:
    """Return the environment without settings of ours, with the package of this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIAGE_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY)}


def _toml(values: dict[str, Any]) -> str:
    """Write the settings as TOML, whose strings, numbers, booleans and lists of them are JSON's."""
    sections: dict[str, list[str]] = {}
    for name, value in values.items():
        section, _, key = name.partition("__")
        sections.setdefault(section, []).append(f"{json.dumps(key)} = {_value(value)}")
    return "\n".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(key)} = {_value(item)}" for key, item in value.items())
            + "}"
        )
    return json.dumps(str(value) if isinstance(value, Path) else value)
