"""The files that a command is to write."""

from pathlib import Path

from triage.errors import UsageError


def check_target(option: str, path: Path, *, force: bool = True) -> None:
    """Refuse a file that could not be written in the end, before any work is done.

    Raises UsageError, also for a file that is there already unless *force* allows it.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; name a file in it")
    if not folder.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {folder}; make it first")
    if path.exists() and not force:
        raise UsageError(f"{path}: exists already; name another {option}, or add --force")
