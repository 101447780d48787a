"""The service manager's notification protocol: sd_notify(3).

Twelve lines of ours because the package on the registry is no longer kept up
and the official one needs libsystemd to build.
"""

import os
import socket

from triage import logs

log = logs.get(__name__)


def notify(*messages: str) -> None:
    """Tell systemd something (``READY=1``, ``WATCHDOG=1``); without systemd do nothing."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        try:
            connection.connect(address)
            connection.sendall("\n".join(messages).encode())
        except OSError as error:  # no start and no stop may fail for want of a listener
            log.warning("systemd_not_told", messages=messages, reason=str(error))


def watchdog_interval() -> float | None:
    """Return the seconds after which systemd wants a sign of life; None where it wants none."""
    microseconds = os.environ.get("WATCHDOG_USEC")
    mine = os.environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
    return int(microseconds) / 1e6 if microseconds and mine else None
