"""What a running daemon takes of the machine: memory, threads and open files of each process."""

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemon import Daemon

# By the module or command on its command line.
KINDS = {
    b"triage.pipeline.score": "scorer",
    b"triage.pipeline.decode": "decoder",
    b"triage.web.serve": "web",
    b"serve": "receiver",
}


@dataclass(frozen=True)
class Process:
    """One process of the daemon at one moment."""

    pid: int
    kind: str  # receiver, scorer, decoder or web
    age: float  # seconds since it was first seen
    pss: int  # bytes, what is shared being counted once among those who share it
    own: int  # bytes of it that are no file's: what a leak grows
    threads: int
    files: int


@dataclass(frozen=True)
class Sample:
    """All processes at one moment."""

    at: float  # seconds on the monotonic clock
    age: float  # of the daemon
    processes: tuple[Process, ...]

    @property
    def pss(self) -> int:
        return sum(process.pss for process in self.processes)

    @property
    def own(self) -> int:
        """What no file gives, and so no other program on the machine makes larger or smaller."""
        return sum(process.own for process in self.processes)


class Watch:
    """Takes a sample every so often, until it is stopped."""

    def __init__(self, daemon: Daemon, every: float) -> None:
        self.samples: list[Sample] = []
        self._daemon = daemon
        self._every = every
        self._born: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._every):
            self.samples.append(self._sample())

    def _sample(self) -> Sample:
        now = time.monotonic()
        found = []
        for pid, kind in processes(self._daemon.pid).items():
            age = now - self._born.setdefault(pid, now)
            try:
                found.append(_look(pid, kind, age))
            except OSError:  # it ended meanwhile
                continue
        age = now - self._born.get(self._daemon.pid, now)
        return Sample(now, age, tuple(found))


def processes(root: int) -> dict[int, str]:
    """Return the process *root* and all under it, by process id, with their kinds."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
            except OSError:  # it ended meanwhile
                continue
    members: dict[int, str] = {}
    ahead = [root]
    while ahead:
        pid = ahead.pop()
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        members[pid] = next((kind for word, kind in KINDS.items() if word in line), "other")
        ahead += [child for child, parent in parents.items() if parent == pid]
    return members


def _look(pid: int, kind: str, age: float) -> Process:
    place = Path(f"/proc/{pid}")
    sizes = {}
    for line in (place / "smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        sizes[name.rstrip(":")] = int(value) * 1024
    return Process(
        pid=pid,
        kind=kind,
        age=age,
        pss=sizes["Pss"] + sizes["SwapPss"],
        own=sizes["Pss_Anon"] + sizes["SwapPss"],
        threads=len(list((place / "task").iterdir())),
        files=len(list((place / "fd").iterdir())),
    )


def slope(moments: Sequence[float], values: Sequence[float]) -> float:
    """Return by how much the values grow in the unit of the moments, whatever single ones do.

    The median of the slopes of the pairs that lie half of the time apart (Theil 1950, Sen 1968).
    """
    half = len(values) // 2
    return statistics.median(
        (values[n + half] - values[n]) / (moments[n + half] - moments[n])
        for n in range(len(values) - half)
    )
