"""The commands that bring what the program can do without."""

import shlex
import subprocess
import sys
import tomllib

from tests.support.requirements import REPOSITORY
from triage.extras import EXTRAS, installing


def test_what_is_said_to_install_is_what_the_package_declares():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    declared = project["optional-dependencies"]

    assert {name: [package] for name, package in EXTRAS.items()} == {
        name: packages for name, packages in declared.items() if name != "test"
    }


def test_the_command_is_of_the_python_that_runs(tmp_path):
    command = shlex.split(installing("postgres"))

    assert command == [sys.executable, "-m", "pip", "install", "psycopg[binary]>=3.2"]


def test_postgresql_without_its_driver_is_said_with_the_command():
    said = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys; sys.modules['psycopg'] = None; "
            "from triage.store.database import Database; Database('postgresql+psycopg://nowhere/x')",
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    ).stderr

    assert f"PostgreSQL needs its driver; run {installing('postgres')}" in said
