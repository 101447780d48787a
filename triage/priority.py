"""Who goes first where the cores are busy: the receiver, before decoders and network.

A sender waits for each answer, and each answer needs a handful of wake-ups. Linux lets whoever
wakes wait for the end of the slice of whoever runs, 3 ms here, as long as both want the same:
a process that runs the network all the time would cost every object 10 ms. A shorter slice of its
own (Linux 6.12, sched_setattr(2); before, it does nothing) lets the receiver interrupt at once,
and takes no time from others. Neither needs a privilege.
"""

import ctypes
import os
import platform
import struct

NICENESS = 10  # of whoever stands back, nice(2)
SHORTEST = 100_000  # nanoseconds, the least that Linux grants

_NUMBERS = {"x86_64": 314, "aarch64": 274}  # of the system call


def go_first() -> bool:
    """Let this thread, and those that it starts, run as soon as they wake; say whether it may."""
    return _set(os.SCHED_OTHER, niceness=os.getpriority(os.PRIO_PROCESS, 0), slice_=SHORTEST)


def stand_back() -> bool:
    """Let this process go after the receiver; say whether it may. A sandbox may refuse it."""
    niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
    return _set(os.SCHED_BATCH, niceness=niceness, slice_=0)  # 0: as everybody's


def go_as_usual() -> bool:
    """Let this process wait for its turn as most do, whoever started it; say whether it may."""
    return _set(os.SCHED_OTHER, niceness=os.getpriority(os.PRIO_PROCESS, 0), slice_=0)


def _set(policy: int, *, niceness: int, slice_: int) -> bool:
    """Call sched_setattr for this thread; the structure is that of Linux 3.14, 48 bytes."""
    number = _NUMBERS.get(platform.machine())
    if number is None:
        return False
    attributes = struct.pack("=IIQiIQQQ", 48, policy, 0, niceness, 0, slice_, 0, 0)
    call = ctypes.CDLL(None, use_errno=True).syscall
    return int(call(number, 0, attributes, 0)) == 0
