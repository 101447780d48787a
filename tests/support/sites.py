"""An installation in which something is missing: real folders on the search path, nothing patched."""

import os
from importlib import metadata
from pathlib import Path

import pydicom

import triage


def site_without(package: str, directory: Path) -> str:
    """Return a search path on which everything is installed but the named package."""
    installed = Path(pydicom.__file__).parents[1]
    lost = {Path(str(file)).parts[0] for file in metadata.files(package) or ()} - {
        "..",
        "__pycache__",
    }
    for entry in installed.iterdir():
        if entry.name not in lost:
            (directory / entry.name).symlink_to(entry)
    return os.pathsep.join([str(directory), str(Path(triage.__file__).parents[1])])
