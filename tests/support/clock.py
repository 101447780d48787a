"""A wall clock of its own for a daemon, which a test can set."""

import struct
import subprocess
from pathlib import Path

from tests.support.daemon import Daemon

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """The clock of a daemon; its monotonic one is the machine's."""

    def __init__(self, daemon: Daemon) -> None:
        """Give it to *daemon*, from its next start."""
        library = daemon.folder / "clock.so"
        self._file = daemon.folder / "clock"
        self._file.write_bytes(struct.pack("=q", 0))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        daemon.environment = {"LD_PRELOAD": str(library), "FAKE_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """Set it to this long after the machine's."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))
