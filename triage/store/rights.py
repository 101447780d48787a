"""Who may read what lies on the disk: spool and database hold names and images of patients.

They are for the service's user alone, whatever the umask of who starts us. A folder that is
closed closes what lies in it, so of the spool it is the folders that count.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO  # what group and all others may


def write_privately() -> None:
    """Let this process, and those that it starts, write files for their own user alone."""
    os.umask(OTHERS)


def open_to_others(places: Iterable[Path]) -> list[Path]:
    """Return those of the files and folders that anybody but their owner may use."""
    return [place for place in places if _mode(place) & OTHERS]


def narrow(places: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Close to others what is ours; return what was closed, and what others own and left open."""
    wide = open_to_others(places)
    for place in wide:
        with suppress(OSError):  # gone meanwhile, or on a file system that forbids it
            status = place.stat()
            if status.st_uid == os.geteuid():
                place.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
    left = open_to_others(wide)
    return [place for place in wide if place not in left], left


def _mode(place: Path) -> int:
    try:
        return place.stat().st_mode
    except OSError:  # not there yet, or already out of our sight
        return 0
