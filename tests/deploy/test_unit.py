"""The unit as systemd reads it, without a running systemd."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.requirements import require

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAM = "/opt/triage/bin/triage"
GUIDE = (DEPLOY / "INSTALL.md").read_text("utf-8")
DROP_INS = dict(
    re.findall(
        r"^\*\*([^*]+?)[.]?\*\*(?:(?!^\*\*).)*?^```ini\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL
    )
)


def analyze(*arguments: object, **environment: str) -> None:
    """Run systemd-analyze; it must find nothing to say against the unit."""
    require("systemd")
    done = subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


@pytest.fixture
def unit(tmp_path):
    """The unit with a program that exists here: verify asks for it, and nothing is installed."""
    content = (DEPLOY / "triage.service").read_text("utf-8")
    assert f"\nExecStart={PROGRAM} " in content
    path = tmp_path / "triage.service"
    path.write_text(content.replace(PROGRAM, "/bin/true"), "utf-8")
    return path


def test_systemd_finds_no_mistake_in_the_unit(unit):
    analyze("verify", "--recursive-errors=no", unit)


def test_the_unit_exposes_little(unit):
    analyze("security", "--offline=true", "--threshold=20", unit)


def test_the_guide_has_its_drop_ins():
    assert {"A GPU", "Port 104", "The images on another disk", "Without root"} <= set(DROP_INS)


@pytest.mark.parametrize("heading", sorted(set(DROP_INS) - {"Without root"}))
def test_systemd_finds_no_mistake_in_a_drop_in(unit, heading):
    folder = unit.with_name("triage.service.d")
    folder.mkdir()
    content = DROP_INS[heading].replace(PROGRAM, "/bin/true")
    (folder / "override.conf").write_text(content, "utf-8")

    analyze("verify", "--recursive-errors=no", unit)


def test_systemd_finds_no_mistake_in_the_unit_without_root(tmp_path):
    path = tmp_path / "triage.service"
    content = DROP_INS["Without root"].replace("%h/triage/venv/bin/triage", "/bin/true")
    path.write_text(content, "utf-8")

    # A user's systemd has a folder for its sockets; a build machine may have none.
    analyze("--user", "verify", "--recursive-errors=no", path, XDG_RUNTIME_DIR=str(tmp_path))


def test_a_wrong_unit_would_be_found(unit):
    unit.write_text(unit.read_text("utf-8").replace("WatchdogSec=", "WatchDogSec="), "utf-8")

    with pytest.raises(AssertionError, match="WatchDogSec"):
        analyze("verify", "--recursive-errors=no", unit)
