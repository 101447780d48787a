"""A slow network: a relay that lets a sender's bytes through a little at a time."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.daemon import HOST, free_port

PIECE = 65536  # bytes


class Relay:
    """Carries one connection to *target*; ``carried`` counts the sender's bytes."""

    def __init__(self, target: int, bytes_a_second: float) -> None:
        self.port = free_port()
        self.carried = 0
        self._pause = PIECE / bytes_a_second
        self._closing = threading.Event()
        self._listener = socket.create_server((HOST, self.port))
        self._target = target
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a connection that is open goes on at full speed until its ends close it."""
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)

    def _serve(self) -> None:
        try:
            sender, _ = self._listener.accept()
        except OSError:  # closed before anybody came
            return
        with sender, socket.create_connection((HOST, self._target)) as daemon:
            answers = threading.Thread(target=self._copy, args=(daemon, sender))
            answers.start()
            self._copy(sender, daemon, slowly=True)
            answers.join()

    def _copy(self, source: socket.socket, sink: socket.socket, *, slowly: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE):
                sink.sendall(data)
                if slowly:
                    self.carried += len(data)
                    self._closing.wait(self._pause)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def slow_relay(target: int, *, bytes_a_second: float) -> Iterator[Relay]:
    """Relay one connection to the loopback port *target*."""
    relay = Relay(target, bytes_a_second)
    try:
        yield relay
    finally:
        relay.close()
