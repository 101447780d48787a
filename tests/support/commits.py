"""A relay before PostgreSQL that knows transactions: it can act at a COMMIT, before it or after.

It speaks as much of the frontend/backend protocol (version 3, PostgreSQL's manual,
chapter "Message Formats") as it needs to see the statements of each transaction.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.support.daemon import HOST, free_port

Statements = Sequence[str]


@dataclass(frozen=True)
class Trap:
    """What happens once, at the COMMIT of a transaction that *matches*."""

    matches: Callable[[Statements], bool]
    act: Callable[[], None]
    committed: bool  # act after the server has committed, or before it is asked to
    sprung: threading.Event


class CommitRelay:
    """Carries connections to the server on *target*."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._trap: Trap | None = None
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, url: str) -> str:
        """Return the database's URL with the relay in the place of the server."""
        plain = url.replace(f":{self._target}/", f":{self.port}/")
        return f"{plain}?sslmode=disable&gssencmode=disable"

    def set_trap(
        self, act: Callable[[], None], *, committed: bool, matches: Callable[[Statements], bool]
    ) -> Trap:
        """Do *act* at the next COMMIT of a matching transaction, once."""
        self._trap = Trap(matches, act, committed, threading.Event())
        return self._trap

    def close(self) -> None:
        """Stop listening; open connections go on until their ends close them."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=_Carried(self, client).run, daemon=True).start()

    def _take(self, statements: Statements) -> Trap | None:
        """Return the trap if this transaction springs it."""
        with self._lock:
            trap = self._trap
            if trap is None or not trap.matches(statements):
                return None
            self._trap = None
            return trap


class _Carried:
    """One connection."""

    def __init__(self, relay: CommitRelay, client: socket.socket) -> None:
        self._relay = relay
        self._client = client
        self._server = socket.create_connection((HOST, relay._target))
        self._prepared: dict[bytes, str] = {}
        self._statements: list[str] = []
        self._holding: Trap | None = None  # until the server has committed

    def run(self) -> None:
        with self._client, self._server:
            answers = threading.Thread(target=self._answers, daemon=True)
            with suppress(OSError, EOFError):
                length = _exactly(self._client, 4)  # of the startup message, which has no type
                rest = _exactly(self._client, int.from_bytes(length, "big") - 4)
                self._server.sendall(length + rest)
                answers.start()
                while True:
                    self._forward(*_message(self._client))
            _shut(self._server)  # it must know at once, however long the other thread waits for it
            if answers.ident is not None:
                answers.join()

    def _forward(self, kind: bytes, body: bytes) -> None:
        statement = self._statement(kind, body)
        if statement == "COMMIT":
            trap = self._relay._take(self._statements)
            self._statements = []
            if trap is not None and trap.committed:
                self._holding = trap
            elif trap is not None:
                trap.act()
                trap.sprung.set()
                raise EOFError  # the server never hears of it
        elif statement == "ROLLBACK":
            self._statements = []
        elif statement:
            self._statements.append(statement)
        self._server.sendall(_encoded(kind, body))

    def _answers(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                kind, body = _message(self._server)
                trap = self._holding
                if trap is not None and kind == b"C":  # CommandComplete
                    assert body == b"COMMIT\0", body
                    trap.act()
                    trap.sprung.set()
                    break
                self._client.sendall(_encoded(kind, body))
        _shut(self._client)

    def _statement(self, kind: bytes, body: bytes) -> str:
        """Return the SQL that a message executes."""
        if kind == b"Q":  # Query
            return body.rstrip(b"\0").decode()
        if kind == b"P":  # Parse: name, SQL
            name, sql, _ = body.split(b"\0", 2)
            self._prepared[name] = sql.decode()
        if kind == b"B":  # Bind: portal, name of the statement
            _, name, _ = body.split(b"\0", 2)
            return self._prepared[name]
        return ""


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _message(source: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(source, 1)
    return kind, _exactly(source, int.from_bytes(_exactly(source, 4), "big") - 4)


def _encoded(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def _exactly(source: socket.socket, length: int) -> bytes:
    read = source.recv(length, socket.MSG_WAITALL) if length else b""
    if len(read) < length:
        raise EOFError
    return read


@contextmanager
def commit_relay(target: int) -> Iterator[CommitRelay]:
    """Relay connections to the PostgreSQL on the loopback port *target*."""
    relay = CommitRelay(target)
    try:
        yield relay
    finally:
        relay.close()
