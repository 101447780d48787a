"""How many cores there are for us, and how many threads the network may keep busy."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def usable_cores() -> int:
    """Return how many cores this process may keep busy: its affinity, and its cgroups' quotas."""
    return max(1, min([len(os.sched_getaffinity(0)), *map(round, _quotas())]))


def usable_threads() -> int:
    """Return how many threads the network may have: the cores, or what OMP_NUM_THREADS says.

    That is OpenMP's own variable (OpenMP 5.2, 21.1.2); of its list for nested regions the first
    number counts, and what is no number says nothing.
    """
    said, _, _ = os.environ.get("OMP_NUM_THREADS", "").partition(",")
    number = int(said) if said.strip().isdecimal() else 0
    return number or usable_cores()


def _quotas() -> Iterator[float]:
    """Give the cores that each cgroup above this process allows (cgroup v2, ``cpu.max``).

    A container limits the root that it sees, systemd's CPUQuota= a group below it.
    """
    root = Path("/sys/fs/cgroup")
    try:
        entries = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return
    own = next((entry.removeprefix("0::/") for entry in entries if entry.startswith("0::/")), "")
    for group in (root / own, *(root / own).parents):
        if group.is_relative_to(root):
            with suppress(OSError, ValueError):  # not there, or its quota is "max"
                quota, period = (group / "cpu.max").read_text("ascii").split()
                yield int(quota) / int(period)
