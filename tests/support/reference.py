"""The command line of a package with another reference model, or with none."""

import sys
from pathlib import Path

SCRIPT = """
import pathlib
from triage.model import reference
reference.FOLDER = pathlib.Path({folder!r})
from triage import cli
cli.main()
"""


def with_reference_model(folder: Path) -> list[str]:
    """Return the start of a command line; the checkpoint in *folder* is the reference model."""
    return [sys.executable, "-c", SCRIPT.format(folder=str(folder))]


def without_reference_model() -> list[str]:
    """Return the start of a command line where an empty `model.path` is no model."""
    return with_reference_model(Path("/nonexistent"))
