"""The port: who is let in, and who is turned away before there is an association.

The loop that accepts connections does nothing that a peer can hold up: TLS handshakes
happen in a thread a connection, and of connections there are no more than the gate has
places for. The rest is answered by a single thread (`refusal`), and so is whoever the
allow-list admits under no AE title: a stranger takes no place from those who are listed.
"""

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pynetdicom.association import Association
from pynetdicom.sop_class import Verification
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from triage import logs
from triage.dicom import tls
from triage.dicom.access import DOCTOR, may_be_allowed, tell_refusal, what_admits
from triage.dicom.connection import Connection, Limits
from triage.dicom.gate import Gate
from triage.dicom.peer import is_from_here, plain_address
from triage.dicom.refusal import LOCAL_LIMIT_EXCEEDED, NOT_RECOGNISED, Refuser
from triage.dicom.selfcheck import SelfCheck
from triage.dicom.upperlayer import UpperLayer
from triage.settings import Peer

log = logs.get(__name__)

# A peer that lost its power or its network sends no end: after some 60 s the kernel says so.
SOCKET_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),  # s of silence before it asks
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),  # s between questions
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),  # ms that what we sent may be unheard
)


@dataclass(frozen=True, kw_only=True)
class Door:
    """What stands between the port and an association."""

    limits: Limits
    allow: tuple[Peer, ...]
    gate: Gate
    certificates: tls.Certificates | None  # None: no TLS
    self_check: SelfCheck


@dataclass(eq=False, kw_only=True)
class _Place:
    """A connection's place: taken when it comes, free when it and its association have ended.

    An association's thread ends after the one that pynetdicom reads its PDUs in.
    """

    address: str
    own: bool  # the daemon's check of itself, which takes nobody's place
    association: Association | None = None
    ended: bool = False  # the thread that brings an association about

    @property
    def is_free(self) -> bool:
        return self.ended and (self.association is None or not self.association.is_alive())


class Server(ThreadedAssociationServer):  # type: ignore[misc]  # pynetdicom ships no types
    """Listens, and calls *look_after* about twice a second."""

    request_queue_size = 1024  # a burst of senders waits in the kernel, not in time-outs
    daemon_threads = True

    def __init__(
        self, *args: Any, door: Door, look_after: Callable[[], None], **named: Any
    ) -> None:
        self.door = door
        self._look_after = look_after
        self._places: set[_Place] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        super().__init__(*args, request_handler=_Handler, **named)
        self._refuser = Refuser()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection whose silent death the kernel notices."""
        connection, address = super().get_request()
        for option in SOCKET_OPTIONS:
            connection.setsockopt(*option)
        return connection, address

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        """Let a connection in, to a thread of its own, or turn it away."""
        place = _Place(
            address=plain_address(client_address[0]),
            own=self.door.self_check.recognises(request, client_address),
        )
        self._free_places()
        if not place.own and not self._lets_in(request, place.address):
            return
        with self._lock:
            self._places.add(place)
        try:
            threading.Thread(
                target=self._serve,
                args=(request, client_address, place),
                name="dicom-connection",
                daemon=True,
            ).start()
        except RuntimeError:  # no thread is to be had
            place.ended = True
            raise

    def _lets_in(self, request: socket.socket, address: str) -> bool:
        """Take a place for *address*, or hand its connection on to be refused."""
        from_here = is_from_here(request, address)

        def say(check: str, action: str, title: str) -> None:
            tell_refusal(
                from_here=from_here,
                check=check,
                action=action,
                calling_ae_title=title,
                address=address,
            )

        if not may_be_allowed(self.door.allow, address):
            self._refuser.take(
                request,
                NOT_RECOGNISED,
                lambda title: say("dicom.allow", what_admits(title, address), title),
            )
            return False
        if full := self.door.gate.enter(address, time.monotonic()):
            action = f"nothing: it may send again later; or raise {full}"
            self._refuser.take(
                request, LOCAL_LIMIT_EXCEEDED, lambda title: say(full, action, title)
            )
            return False
        return True

    def waiting_bytes(self) -> int:
        """Return how many bytes of objects are here that were not answered yet."""
        with self._lock:
            associations = [place.association for place in self._places]
        connections = [association.dul.socket for association in associations if association]
        return sum(connection.unanswered for connection in connections if connection)

    def service_actions(self) -> None:
        """Between two connections: pynetdicom's own chores, and ours."""
        super().service_actions()
        try:
            self._free_places()
            self._look_after()
        except Exception:  # the port goes on serving
            log.exception("loop_failed", loop="dicom")

    def handle_error(self, _request: Any, _address: Any) -> None:
        """Log what kept a connection from becoming an association, as everything else is logged."""
        log.exception("connection_failed")

    def shutdown(self) -> None:
        """Stop listening; pynetdicom's own wants to have started the server itself."""
        self._closing.set()
        socketserver.BaseServer.shutdown(self)
        self.server_close()
        self._refuser.close()

    def _serve(self, request: socket.socket, client_address: Any, place: _Place) -> None:
        """Bring a connection to its association; runs in a thread of its own."""
        try:
            certificates = self.door.certificates
            if certificates is None:
                connection: socket.socket | None = request
            else:
                context = certificates.context(own=place.own)
                connection = tls.secure(request, context, self.door.limits.handshake_seconds)
            if connection is not None and self._closing.is_set():
                connection.close()
            elif connection is not None:
                _Handler(connection, client_address, self, place)
        except tls.HandshakeFailed as error:
            self._refuse(error, place.address)
        except Exception:
            self.handle_error(request, client_address)
            self.shutdown_request(request)
        finally:
            place.ended = True

    def _refuse(self, error: tls.HandshakeFailed, address: str) -> None:
        from_here = is_from_here(error.connection, address)

        def say(calling_ae_title: str) -> None:
            tell_refusal(
                from_here=from_here,
                check="tls",
                **error.failure.fields,
                calling_ae_title=calling_ae_title,
                address=address,
            )

        if self._closing.is_set():
            error.connection.close()
            return
        if not error.answer:  # it was told by an alert
            certificates = self.door.certificates
            ours = certificates is not None and certificates.are_refused_in(error.failure)
            say(DOCTOR if ours else "")  # which alone has them, on this machine
        self._refuser.take(error.connection, error.answer, say if error.answer else None)

    def _free_places(self) -> None:
        with self._lock:
            free = [place for place in self._places if place.is_free]
            self._places.difference_update(free)
        for place in free:
            if not place.own:
                self.door.gate.leave(place.address)


class _Handler(RequestHandler):  # type: ignore[misc]  # pynetdicom ships no types
    def __init__(
        self, request: socket.socket, client_address: Any, server: Server, place: _Place
    ) -> None:
        self._place = place
        super().__init__(request, client_address, server)

    def _create_association(self) -> Association:
        association = super()._create_association()
        UpperLayer(association)
        association.dul.socket = Connection(
            association,
            self.request,
            self.server.door.limits,
            own=self._place.own,
            waiting=self.server.waiting_bytes,
        )
        if self._place.own:
            association.acceptor.supported_contexts = [
                context
                for context in association.acceptor.supported_contexts
                if context.abstract_syntax == Verification
            ]
        self._place.association = association
        return association
