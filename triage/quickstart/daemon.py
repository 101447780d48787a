"""The daemon of the trial: `triage serve` beside us, on a folder and free loopback ports."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triage import settings
from triage.ending import uninterrupted
from triage.errors import TriageError

HOST = "127.0.0.1"
QUIET = 2  # seconds of silence that complete a study here
START_WAIT = 120.0  # seconds for the daemon to accept associations, and for its model to load
STOP_WAIT = 20.0  # seconds from SIGTERM to SIGKILL
LOOK_EVERY = 0.1  # seconds
LAST_LINES = 12  # of the daemon's log, shown when it dies


class DaemonError(TriageError):
    """The daemon did not start, or ended before it was told to."""


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A running `triage serve` and where it keeps its things."""

    folder: Path
    port: int
    web_port: int
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        """Its settings file."""
        return self.folder / "triage.toml"

    @property
    def page(self) -> str:
        """Where its worklist is shown."""
        return f"http://{HOST}:{self.web_port}/"

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self.folder / "triage.db"

    @property
    def spool(self) -> Path:
        """The folder of the received objects."""
        return self.folder / "spool"

    @property
    def log(self) -> Path:
        """Its standard error, one JSON document a line."""
        return self.folder / "daemon.log"

    def events(self) -> Iterator[dict[str, Any]]:
        """Read the log so far."""
        for line in self.log.read_text("utf-8", "replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:  # not one of ours, or not written to its end yet
                continue
            if isinstance(event, dict):
                yield event

    def tail(self) -> str:
        """Return the last lines of its log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"

    def check_alive(self) -> None:
        """Raise DaemonError with the end of its log, if the daemon has ended."""
        code = self.process.poll()
        if code is not None:
            raise DaemonError(
                f"the daemon ended with exit code {code}; its last words:\n{self.tail()}"
            )


@contextmanager
def running(
    folder: Path,
    model: Path | None,
    *,
    keep: bool = False,
    roles: Sequence[str] = ("receive", "score"),
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Daemon]:
    """Run `triage serve` on *folder*; it is stopped on leaving, unless kept and all went well.

    *more* are settings by section and key, over those of the trial.
    """
    config = folder / "triage.toml"
    values = _values(folder, model)
    for section, keys in (more or {}).items():
        values.setdefault(section, {}).update(keys)
    config.write_text(_toml(values), "utf-8")
    process = None
    try:
        with uninterrupted():
            process = _started(config, folder / "daemon.log", roles, _environment(values))
        daemon = Daemon(
            folder=folder,
            port=values["dicom"]["port"],
            web_port=values["web"]["port"],
            process=process,
        )
        _await(daemon, "ready")
        if model is not None and "score" in roles:
            # It receives already; we wait so that the first score comes while images do.
            _await(daemon, "scorer_ready", "no_model")
        if "web" in roles:
            _await(daemon, "web_ready", "web_unavailable")
        yield daemon
    except BaseException:
        keep = False
        raise
    finally:
        if process is not None and not keep:
            with uninterrupted():
                _stop(process)


def _started(
    config: Path, log: Path, roles: Sequence[str], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    with log.open("wb") as said:
        return subprocess.Popen(  # noqa: S603  our own program, with our own file
            [
                sys.executable,
                *("-m", "triage", "--config", str(config), "serve", "--role", ",".join(roles)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment,
            # Ctrl-C is ours to handle, and a kept daemon outlives the terminal.
            start_new_session=True,
        )


def _values(folder: Path, model: Path | None) -> dict[str, dict[str, Any]]:
    """The settings of the trial, by section; absolute paths, so any directory will do."""
    return {
        "database": {"url": f"sqlite:///{folder / 'triage.db'}", "auto_upgrade": True},
        "spool": {"directory": str(folder / "spool"), "min_free": 0},
        "dicom": {
            "host": HOST,
            "port": _free_port(),
            "ae_title": "TRIAGE",
            "allow": [],
            # What a site's environment may say of its own daemon.
            "tls_certificate": "",
            "tls_key": "",
            "tls_client_ca": "",
        },
        "study": {"quiet": QUIET},
        "web": {
            "host": HOST,
            "port": _free_port(),
            "tls_certificate": "",
            "tls_key": "",
            "trust_loopback": True,
            "proxy_addresses": [],
            "proxy_header": "",
            "proxy_administrators": [],
        },
        # Without one, the name of what may be put there later: empty is the reference model.
        "model": {
            "path": str(model.resolve() if model else folder / "model.safetensors"),
            "sha256": "",  # a site pins its own model, which this is not
        },
    }


def _toml(values: dict[str, dict[str, Any]]) -> str:
    """Write *values* as TOML, whose strings, numbers and booleans are JSON's."""
    lines = ["# Written by `triage quickstart` or `triage bench`."]
    for section, keys in values.items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def _environment(values: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The environment without what would override the trial's settings."""
    ours = {
        f"{settings.PREFIX}{section}__{key}".upper()
        for section in values
        for key in values[section]
    }
    whole = {f"{settings.PREFIX}{section}".upper() for section in values}
    return {name: value for name, value in os.environ.items() if name.upper() not in ours | whole}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _await(daemon: Daemon, *names: str) -> None:
    """Wait for one of the events in the daemon's log; raises DaemonError."""
    deadline = time.monotonic() + START_WAIT
    while time.monotonic() < deadline:
        if any(event.get("event") in names for event in daemon.events()):
            return
        daemon.check_alive()
        time.sleep(LOOK_EVERY)
    raise DaemonError(
        f"the daemon was not {names[0]} within {START_WAIT:.0f} s; its last words:\n{daemon.tail()}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the daemon to end, then insist, with everything that it has started."""
    process.terminate()
    try:
        process.wait(STOP_WAIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
