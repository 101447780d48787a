"""The command line as its users run it."""

import sys

import pytest

from triage import cli


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    """Numbers are those that are equal everywhere, unless a test sets something else."""
    monkeypatch.setenv("TRIAGE_MODEL__BACKEND", "torch")
    monkeypatch.setenv("TRIAGE_MODEL__PRECISION", "float32")


@pytest.fixture
def triage(monkeypatch, capfd):
    """Return a function that runs a command: (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["triage", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capfd.readouterr()
        return code, out, err

    return run
