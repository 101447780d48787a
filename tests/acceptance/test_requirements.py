"""A missing program skips loudly on a developer's machine, and fails under CI=true."""

import os
import subprocess
import sys

import pytest

from tests.support.requirements import REPOSITORY

NEEDS_DCMTK = """
import pytest

@pytest.mark.dcmtk
def test_that_needs_dcmtk():
    pass

def test_that_needs_nothing():
    pass
"""
SKIPS_ITSELF = """
import pytest

def test_that_skips_itself():
    pytest.skip("for a reason of its own")
"""


@pytest.fixture
def run_pytest(tmp_path):
    """Return a function that runs a module of tests with our conftest, where no program is to be had."""

    def run_pytest(module, *options, ci):
        file = tmp_path / "test_module.py"
        file.write_text(module)
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"),
                *("-c", str(REPOSITORY / "pyproject.toml"), f"--rootdir={tmp_path}", str(file)),
                *options,
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PATH": "/nowhere", "CI": ci},
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stdout

    return run_pytest


def test_a_missing_program_skips_with_its_name_and_how_to_get_it(run_pytest):
    code, said = run_pytest(NEEDS_DCMTK, ci="")

    assert code == 0, said
    assert "1 passed, 1 skipped" in said
    assert "NOT TESTED HERE" in said
    assert "storescu, storescp, echoscu, dcmdump is missing; apt-get install dcmtk" in said


def test_a_missing_program_fails_under_ci(run_pytest):
    code, said = run_pytest(NEEDS_DCMTK, ci="true")

    assert code == 1, said
    assert "1 passed, 1 error" in said
    assert (
        "CI=true skips nothing, and dcmtk: storescu, storescp, echoscu, dcmdump is missing" in said
    )


@pytest.mark.parametrize(
    ("ci", "expected", "processes"),
    [("", 0, ()), ("true", 1, ()), ("true", 1, ("-n", "2"))],
    ids=["one process", "one process under CI", "two processes under CI"],
)
def test_a_test_that_skips_itself_fails_the_run_under_ci_alone(run_pytest, ci, expected, processes):
    code, said = run_pytest(SKIPS_ITSELF, *processes, ci=ci)

    assert "1 skipped" in said
    assert code == expected, said
