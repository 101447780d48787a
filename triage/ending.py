"""SIGTERM and SIGINT, for a main thread that waits for them."""

import signal
import socket


class Ending:
    """Hears that the process is to end, at whatever moment that is said.

    Not by a `threading.Event` that the handler sets: Python runs the handler when the main
    thread next looks for it, and one that has just looked and now blocks looks no more; one
    that holds the event's lock just then waits for itself. The interpreter's own handler
    writes a byte at once, and that ends a read.
    """

    def __init__(self) -> None:
        """Listen from now on; of the main thread alone."""
        self._heard, self._told = socket.socketpair()
        self._told.setblocking(False)
        signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: None)

    def wait(self) -> None:
        """Return once it was said, also if that was before."""
        self._heard.recv(1)
