"""The name by which the queue knows a scoring process, and whether that process has ended.

Process ids are used again, and containers on one machine may share a host name.
So a name says host, place (which boot of which kernel, and which of its
namespaces of process ids), start and process id: no two processes ever share it.
"""

import hashlib
import os
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

ENDED = ("", "X", "Z")  # gone, dead, a zombie


def holder(pid: int) -> str:
    """Name the process *pid* of this machine, which must not have been reaped yet."""
    _, start = _state_and_start(pid)
    return f"{socket.gethostname()}:{_place()}:{start}:{pid}"


def is_dead(name: str) -> bool:
    """Say whether the named process ran here and has ended.

    Of a process elsewhere nothing is known: its hold must run out.
    """
    *where, start, pid = name.rsplit(":", 2)
    if where != [f"{socket.gethostname()}:{_place()}"]:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # there is one, and what it is cannot be known
        return False
    state, started = _state_and_start(int(pid))
    return state in ENDED or started != start


def _state_and_start(pid: int) -> tuple[str, str]:
    """Return a process's state, and its start in clock ticks since the boot; "" when it has gone."""
    with suppress(OSError):
        # proc(5): the command, in parentheses, may hold anything; state is field 3, starttime 22.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    return "", ""


@cache
def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    namespace = Path("/proc/self/ns/pid").readlink()
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]
