"""The connection of the scoring process to its parent.

A byte from the parent says that there may be work, a line to the parent says
how the scorer is, and the end of the connection means that the parent is gone.
"""

import select
import socket
from enum import StrEnum


class ScorerState(StrEnum):
    """How the scorer is. Whatever it is, the receiver serves."""

    LOADING = "loading"
    READY = "ready"
    NO_MODEL = "no model"
    RESTARTING = "restarting"
    OFF = "off"  # this daemon has not the role


class Orphaned(Exception):
    """The parent is gone."""


class Channel:
    """The scorer's end of the connection to its parent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that can be read when the parent wakes us, or is gone."""
        return self._connection.fileno()

    def tell(self, state: ScorerState) -> None:
        """Report the state; said at every turn, it is the heartbeat too."""
        try:
            self._connection.send(f"{state}\n".encode())
        except BlockingIOError:  # the parent is busy and has our word in its buffer
            return
        except OSError as error:
            raise Orphaned from error

    def wait(self, seconds: float) -> None:
        """Sleep until the parent wakes us or *seconds* are over. Raises Orphaned."""
        readable, _, _ = select.select([self._connection], [], [], seconds)
        if not readable:
            return
        try:
            alive = self._connection.recv(65536)
        except OSError as error:
            raise Orphaned from error
        if not alive:
            raise Orphaned
