"""The connections under the associations: how much is read of a peer, and for how long.

pynetdicom waits without limit for the rest of a PDU and reads whatever length its
header claims. What holds here is asked of every byte, before the allow-list.
"""

import socket
import socketserver
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from triage import logs

log = logs.get(__name__)

PIECE = 65536  # bytes read at once

# A peer that lost its power or its network sends no end: after some 60 s the kernel says so.
SOCKET_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),  # s of silence before it asks
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),  # s between questions
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),  # ms that what we sent may be unheard
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a peer may ask of us before its connection is closed."""

    # 128 presentation contexts with every transfer syntax there is make some 150 KB.
    request_bytes: int = 256 * 2**10  # length of the PDU that asks for an association
    data_bytes: int = 2 * 2**20  # length of any later PDU; twice the most that is ever advertised
    object_bytes: int = 2 * 2**30  # sent without an answer: one object, for we answer each
    request_seconds: float = 30  # from the connection to the whole request
    silent_seconds: float = 60  # without a byte, later


LIMITS = Limits()


class Server(ThreadedAssociationServer):  # type: ignore[misc]  # pynetdicom ships no types
    """Listens, and calls *look_after* about twice a second."""

    request_queue_size = 128  # a burst of senders waits in the kernel, not in time-outs

    def __init__(
        self, *args: Any, limits: Limits, look_after: Callable[[], None], **named: Any
    ) -> None:
        self.limits = limits
        self._look_after = look_after
        super().__init__(*args, request_handler=_Handler, **named)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection whose silent death the kernel notices."""
        connection, address = super().get_request()
        for option in SOCKET_OPTIONS:
            connection.setsockopt(*option)
        return connection, address

    def service_actions(self) -> None:
        """Between two connections: pynetdicom's own chores, and ours."""
        super().service_actions()
        try:
            self._look_after()
        except Exception:  # the port goes on serving
            log.exception("loop_failed", loop="dicom")

    def handle_error(self, _request: Any, _address: Any) -> None:
        """Log what kept a connection from becoming an association, as everything else is logged."""
        log.exception("connection_failed")

    def shutdown(self) -> None:
        """Stop listening; pynetdicom's own wants to have started the server itself."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()


class _Handler(RequestHandler):  # type: ignore[misc]  # pynetdicom ships no types
    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.event_queue.get_nowait()  # "connected", which ours says again
        association.dul.socket = Connection(association, self.request, self.server.limits)
        return association


class Connection(AssociationSocket):  # type: ignore[misc]  # pynetdicom ships no types
    """A peer's connection: refuses what is too long and knows when the last byte moved."""

    def __init__(self, association: Association, peer: socket.socket, limits: Limits) -> None:
        super().__init__(association, client_socket=peer)
        self._limits = limits
        self._unanswered = 0  # bytes
        self.opened = self.last = time.monotonic()
        self.refused = False  # for its request, before there was an association
        self._acknowledge_at_once()

    def recv(self, nr_bytes: int) -> bytearray:
        """Read the header of a PDU or the rest of it; less when the connection ends.

        Raises ConnectionAbortedError for more than the limits allow, which
        pynetdicom takes for the end of the connection.
        """
        self._check(nr_bytes)
        received = bytearray()
        while len(received) < nr_bytes and (connection := self.socket) is not None:
            piece = connection.recv(min(PIECE, nr_bytes - len(received)))
            if not piece:
                break
            received += piece
            self.last = time.monotonic()
        self._unanswered += len(received)
        self._acknowledge_at_once()
        return received

    def send(self, bytestream: bytes) -> None:
        """Send a PDU: the peer has an answer."""
        super().send(bytestream)
        self._unanswered = 0
        self.last = time.monotonic()
        self._acknowledge_at_once()

    def overdue(self) -> str:
        """Return why the peer has been waited for long enough, or nothing."""
        now = time.monotonic()
        if self.assoc.requestor.primitive is None:
            if now - self.opened > self._limits.request_seconds:
                return f"no association request after {self._limits.request_seconds:g} s"
        elif now - self.last > self._limits.silent_seconds:
            return f"not a byte for {self._limits.silent_seconds:g} s"
        return ""

    def drop(self) -> None:
        """End the connection, whatever thread waits for it: its read returns at once."""
        try:
            if (connection := self.socket) is not None:
                connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # it has ended by itself
            return

    def _check(self, length: int) -> None:
        requested = self.assoc.requestor.primitive is not None
        limit = self._limits.data_bytes if requested else self._limits.request_bytes
        if length > limit:
            self._refuse("PDU length", length, limit)
        if self._unanswered + length > self._limits.object_bytes:
            self._refuse("object size", self._unanswered + length, self._limits.object_bytes)

    def _refuse(self, check: str, asked: int, limit: int) -> None:
        reason = f"{asked} bytes; at most {limit} are taken"
        log.warning("association_dropped", check=check, reason=reason, **peer_of(self.assoc))
        raise ConnectionAbortedError(reason)

    def _acknowledge_at_once(self) -> None:
        """Ask for TCP_QUICKACK again: Linux forgets it, and 40 ms an object come back."""
        try:
            if (connection := self.socket) is not None:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:  # the peer is gone; the association's own thread will notice
            return


def peer_of(association: Association) -> dict[str, str]:
    """Return what is known of the peer, as fields of a log event."""
    request = association.requestor.primitive
    return {
        "calling_ae_title": request.calling_ae_title.strip() if request else "",
        "address": association.requestor.address or "",
    }
