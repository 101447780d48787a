"""The connection under an association: how much is read of a peer, and for how long.

pynetdicom waits without limit for the rest of a PDU and reads whatever length its
header claims. What holds here is asked of every byte, before the allow-list.
"""

import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from triage import logs
from triage.dicom.peer import is_from_here, peer_of
from triage.dicom.refusal import TLS_HANDSHAKE
from triage.dicom.upperlayer import HEADER, LAST, MESSAGES, Bell
from triage.settings import DicomSettings

log = logs.get(__name__)

_CONTROL = 11  # the byte of a PDU that says what its first fragment is, PS3.8 annex E.2
PIECE = 65536  # bytes read at once
LEAST_WAITING = 2**30  # bytes: a hundred radiographs of 10 MB, where a site lets no object be large


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a peer may ask of us before its connection is closed."""

    # 128 presentation contexts with every transfer syntax there is make some 150 KB.
    request_bytes: int = 256 * 2**10  # length of the PDU that asks for an association
    data_bytes: int = 2 * 2**20  # length of any later PDU; twice the most that is ever advertised
    object_bytes: int = 2**30  # sent without an answer: one object, for we answer each
    waiting_bytes: int = 2**31  # likewise by all peers together: what is held of them in memory
    handshake_seconds: float = 10  # from the connection to the end of its TLS handshake
    request_seconds: float = 30  # from there to the whole request
    silent_seconds: float = 60  # without a byte, later


def limits_of(settings: DicomSettings) -> Limits:
    """Return the limits that a site has set, and those that are not its to set."""
    return Limits(
        object_bytes=settings.max_object_size,
        waiting_bytes=max(2 * settings.max_object_size, LEAST_WAITING),
        silent_seconds=settings.idle_timeout,
    )


class Connection(AssociationSocket):  # type: ignore[misc]  # pynetdicom ships no types
    """A peer's connection: refuses what is too long and knows when the last byte moved."""

    def __init__(
        self,
        association: Association,
        peer: socket.socket,
        limits: Limits,
        *,
        own: bool,
        waiting: Callable[[], int],
    ) -> None:
        """Take *peer* over; *waiting* returns the unanswered bytes of all connections."""
        super().__init__(association, client_socket=peer)
        self._limits = limits
        self._waiting = waiting
        self._ahead = b""  # decrypted, and not asked for yet
        self.unanswered = 0  # bytes
        self._whole: deque[int] = deque()  # of which belong to messages that wait for their answer
        self.opened = self.last = time.monotonic()
        self.own = own  # the daemon's check of itself
        self.from_here = is_from_here(peer, association.requestor.address)
        self.half_a_pdu = False  # of P-DATA: the rest is still to come, or never comes
        self.refused = False  # what came cannot be read, and that was logged
        self.speaks_tls = False  # to a port that does not
        self._acknowledge_at_once()

    @property
    def ready(self) -> bool:
        """Whether `recv` has something to return, or the connection's end.

        A TLS record may hold none of the peer's data, or be half here: a thread that
        went to read would then wait, with answers to send.
        """
        if not self.wait(0):
            return False
        connection = self.socket
        if self._ahead or not isinstance(connection, ssl.SSLSocket):
            return True
        try:
            connection.settimeout(0)
            self._ahead = connection.recv(PIECE)
            connection.settimeout(None)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            connection.settimeout(None)
            return False
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # PS3.8 9.2: transport connection closed
            return False
        return True

    def wait(self, seconds: float, bell: Bell | None = None) -> bool:
        """Wait for bytes of the peer or its end, or for *bell*; say whether it was the peer.

        Not with select(), which knows no file above number 1023.
        """
        if self._ahead:
            return True
        connection = self.socket
        if connection is None:
            return False
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        poll = select.poll()
        try:
            poll.register(connection, select.POLLIN)
            if bell is not None and (file := bell.fileno()) is not None:
                poll.register(file, select.POLLIN)
            woken = {file for file, _ in poll.poll(seconds * 1000)}
            peers = connection.fileno() in woken
            if bell is not None and len(woken) > peers:
                bell.hush()
            return peers
        except (OSError, ValueError):  # closed meanwhile
            self.event_queue.put("Evt17")  # PS3.8 9.2: transport connection closed
            return False

    def recv(self, nr_bytes: int) -> bytearray:
        """Read the header of a PDU or the rest of it; less when the connection ends.

        Raises ConnectionAbortedError for more than the limits allow, which
        pynetdicom takes for the end of the connection.
        """
        self._check(nr_bytes)
        received = bytearray(nr_bytes)
        count = min(len(self._ahead), nr_bytes)
        received[:count], self._ahead = self._ahead[:count], self._ahead[count:]
        with memoryview(received) as rest:
            while count < nr_bytes and (connection := self.socket) is not None:
                size = connection.recv_into(rest[count:])
                if not size:
                    break
                count += size
                self.last = time.monotonic()
        del received[count:]
        self._note(received, nr_bytes)
        self._acknowledge_at_once()
        return received

    def send(self, bytestream: bytes) -> None:
        """Send a PDU: the peer has an answer."""
        super().send(bytestream)
        self._note_answer(bytestream)
        self.last = time.monotonic()
        self._acknowledge_at_once()

    def completed(self, *, answered: bool) -> None:
        """Note that a message is here as a whole; it waits for its answer, or gets none."""
        if answered:
            self._whole.append(self.unanswered - sum(self._whole))
        else:
            self.unanswered = sum(self._whole)

    def overdue(self) -> str:
        """Return why the peer has been waited for long enough, or nothing."""
        now = time.monotonic()
        if self.assoc.requestor.primitive is None:
            if now - self.opened > self._limits.request_seconds:
                return f"no association request after {self._limits.request_seconds:g} s"
        elif now - self.last > self._limits.silent_seconds:
            return f"not a byte for {self._limits.silent_seconds:g} s (dicom.idle_timeout)"
        return ""

    def drop(self) -> None:
        """End the connection, whatever thread waits for it: its read returns at once."""
        with suppress(OSError):  # it has ended by itself
            if (connection := self.socket) is not None:
                # The one of a plain socket: an SSLSocket's forgets its keys first, and a
                # thread that is about to send would send in the clear.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _shutdown_socket(self) -> None:
        """Close it; over TLS with the farewell that tells an end from a cut (RFC 8446 6.1)."""
        if isinstance(self.socket, ssl.SSLSocket):
            with suppress(OSError, ValueError):  # it does not wait for the peer's
                self.socket.settimeout(0)
                self.socket.unwrap()
        super()._shutdown_socket()
        if self.socket is not None:  # pynetdicom leaves one open that the peer closed first
            self.socket.close()

    def _note(self, received: bytearray, asked: int) -> None:
        if received:
            self.last = time.monotonic()
        if self.half_a_pdu:
            self.half_a_pdu = len(received) < asked
        else:
            self.half_a_pdu = asked == HEADER and received[:1] == bytes([MESSAGES])
        if self.assoc.requestor.primitive is None and not self.unanswered:
            # PS3.8 9.3.1: a PDU begins with its type, and with a 0 after that.
            self.speaks_tls = received[:2] == bytes([TLS_HANDSHAKE, 3])
        self.unanswered += len(received)

    def _note_answer(self, sent: bytes) -> None:
        """Take what was answered off the books: a peer may send the next without waiting."""
        if sent[0] != MESSAGES or not self._whole:
            self.unanswered = sum(self._whole)
        elif sent[_CONTROL] & LAST:
            self.unanswered -= self._whole.popleft()

    def _check(self, length: int) -> None:
        limits = self._limits
        requested = self.assoc.requestor.primitive is not None
        limit = limits.data_bytes if requested else limits.request_bytes
        if length > limit:
            self._refuse("PDU length", f"{length} bytes; at most {limit} are taken")
        if self.unanswered + length > limits.object_bytes:
            self._refuse(
                "object size",
                f"{self.unanswered + length} bytes; at most {limits.object_bytes} are taken "
                "(dicom.max_object_size)",
            )
        if self._waiting() + length > limits.waiting_bytes:
            self._refuse(
                "objects in flight",
                f"all senders' objects together would take more than {limits.waiting_bytes} bytes "
                "of memory (twice dicom.max_object_size, 1 GiB at least); it may send again",
            )

    def _refuse(self, check: str, reason: str) -> None:
        log.warning("association_dropped", check=check, reason=reason, **peer_of(self.assoc))
        raise ConnectionAbortedError(reason)

    def _acknowledge_at_once(self) -> None:
        """Ask for TCP_QUICKACK again: Linux forgets it, and 40 ms an object come back."""
        try:
            if (connection := self.socket) is not None:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:  # the peer is gone; the association's own thread will notice
            return
