"""What some tests need of the machine: one mechanism that skips, or fails under CI=true.

A marker of pyproject.toml names the requirement. A test that carries it, or
uses a fixture that asks for it, is skipped with a reason that says how to get
what is missing; where CI=true nothing is ever skipped, a missing requirement
fails.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"


@dataclass(frozen=True)
class Requirement:
    """Something that a test needs; the field says how to come by it."""

    missing: Callable[[], list[str]]  # what of it is not here
    remedy: str


def find_program(name: str) -> Path | None:
    """Find a program on the PATH or where Debian puts servers."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found:
        return Path(found)
    versions = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: path.parts[4]
    )
    return versions[-1] if versions else None


def _programs(*names: str) -> Callable[[], list[str]]:
    return lambda: [name for name in names if find_program(name) is None]


def _root() -> list[str]:
    return [] if os.geteuid() == 0 else ["root"]


REQUIREMENTS = {
    "strace": Requirement(_programs("strace"), "apt-get install strace"),
    "chromium": Requirement(_programs("chromium"), "apt-get install chromium fonts-dejavu-core"),
    "compiler": Requirement(_programs("cc"), "apt-get install gcc libc6-dev"),
    "mounts": Requirement(
        lambda: _root() + _programs("mkfs.ext4", "mount")(),
        "run as root; apt-get install e2fsprogs",
    ),
    "backup": Requirement(_programs("rsync", "sqlite3"), "apt-get install rsync sqlite3"),
    "dcmtk": Requirement(
        _programs("storescu", "storescp", "echoscu", "dcmdump"), "apt-get install dcmtk"
    ),
    "dicom3tools": Requirement(_programs("dciodvfy"), "apt-get install dicom3tools"),
    "openssl": Requirement(_programs("openssl"), "apt-get install openssl"),
    "orthanc": Requirement(_programs("Orthanc"), "apt-get install orthanc"),
    "postgres": Requirement(_programs("initdb", "postgres"), "apt-get install postgresql"),
    "prometheus": Requirement(_programs("promtool"), "apt-get install prometheus"),
    "systemd": Requirement(_programs("systemd-analyze"), "apt-get install systemd"),
    "fracatlas": Requirement(
        lambda: [] if SHARED_DATA.is_dir() else [str(SHARED_DATA)],
        "put the FracAtlas radiographs beside the checkout",
    ),
}


def under_ci() -> bool:
    """Say whether a missing requirement is a failure here."""
    return os.environ.get("CI") == "true"


def lack(name: str) -> str | None:
    """Say what the requirement *name* lacks and how to get it; None when it is met."""
    requirement = REQUIREMENTS[name]
    missing = requirement.missing()
    if not missing:
        return None
    return f"{name}: {', '.join(missing)} is missing; {requirement.remedy}"


def require(name: str) -> None:
    """Skip the running test when the requirement is not met; fail it under CI=true."""
    reason = lack(name)
    if reason is None:
        return
    if under_ci():
        pytest.fail(f"CI=true skips nothing, and {reason}", pytrace=False)
    pytest.skip(reason)
