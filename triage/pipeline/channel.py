"""The connection of the scoring process to its parent.

A byte from the parent says that there may be work. A line of JSON to the parent says how the
scorer is, and what it has done since the last one. The end of the connection means that the
parent is gone.
"""

import json
import select
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from triage.core.tally import Document, Tally


class ScorerState(StrEnum):
    """How the scorer is. Whatever it is, the receiver serves."""

    LOADING = "loading"
    READY = "ready"
    NO_MODEL = "no model"
    RESTARTING = "restarting"
    OFF = "off"  # this daemon has not the role


class Orphaned(Exception):
    """The parent is gone."""


class Outlet:
    """Sends lines over a stream socket without ever waiting.

    What the other side has no room for is dropped, but never a part of a line: whose beginning
    was sent, its end is.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def send(self, line: bytes) -> bool:
        """Send a line, and say whether it is on its way. Raises OSError when nobody is there."""
        if self._rest:
            self._rest = self._rest[self._sent(self._rest) :]
            if self._rest:
                return False
        sent = self._sent(line)
        if sent:
            self._rest = line[sent:]
        return sent > 0

    def _sent(self, data: bytes) -> int:
        try:
            return self._connection.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0


@dataclass(frozen=True, kw_only=True)
class Word:
    """What the scoring process says of itself."""

    state: ScorerState
    model: Mapping[str, str] | None = None  # what scores, once it is loaded
    done: Document = field(default_factory=list)  # what was counted since the last word

    def line(self) -> bytes:
        """Return it as the line that is sent."""
        said = {"state": self.state, "model": self.model and dict(self.model), "done": self.done}
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def parse(cls, line: str) -> "Word":
        """Read such a line."""
        said: dict[str, Any] = json.loads(line)
        return cls(state=ScorerState(said["state"]), model=said["model"], done=said["done"])


class Channel:
    """The scorer's end of the connection to its parent."""

    def __init__(self, connection: socket.socket, tally: Tally) -> None:
        """Prepare to tell the parent, with each word, what *tally* has counted meanwhile."""
        self._connection = connection
        self._outlet = Outlet(connection)
        self._tally = tally
        self.model: Mapping[str, str] | None = None
        connection.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor that can be read when the parent wakes us, or is gone."""
        return self._connection.fileno()

    def tell(self, state: ScorerState) -> None:
        """Report the state; said at every turn, it is the heartbeat too. Raises Orphaned."""
        done = self._tally.take()
        try:
            told = self._outlet.send(Word(state=state, model=self.model, done=done).line())
        except OSError as error:
            raise Orphaned from error
        if not told:  # the parent is busy and has our word in its buffer
            self._tally.add(done)

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
