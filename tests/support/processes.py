"""The processes under a daemon."""

from contextlib import suppress
from pathlib import Path


def decoders_of(pid: int) -> set[int]:
    """Return the decoding processes that the process *pid* has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children: set[int] = set()
    with suppress(OSError):  # a thread, or all of it, may end meanwhile
        children = {int(child) for task in tasks for child in task.read_text("ascii").split()}
    return {child for child in children if is_decoder(child)}


def is_decoder(pid: int) -> bool:
    """Say whether the process is one that decodes views."""
    with suppress(OSError):
        return b"triage.pipeline.decode\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def naming(path: Path) -> list[int]:
    """Return the processes whose command line names *path* or something below it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it may end meanwhile
            if str(path).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
    return found
