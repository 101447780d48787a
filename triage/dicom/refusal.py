"""Turning connections away that were let no further than the door: quickly, and with an answer.

One thread serves all of them, so that a flood costs no threads. A connection that is
closed over bytes that nobody read is reset, and the answer with it; so what the peer
sends is read, and thrown away, until it hangs up or its time is over.
"""

import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

# PS3.8 9.3.4, A-ASSOCIATE-RJ: result, source, reason.
LOCAL_LIMIT_EXCEEDED = bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 2])  # transient, presentation, 2
NOT_RECOGNISED = bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 3])  # permanent, service user, calling AE title
NO_REASON_GIVEN = bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 1])  # permanent, service user, 1
# RFC 8446 6: a fatal alert, internal_error; in answer to a greeting it needs no keys.
TLS_ALERT = bytes([0x15, 3, 3, 0, 2, 2, 80])

TLS_HANDSHAKE = 0x16  # the first byte of whoever speaks TLS
CALLING_AE_TITLE = slice(26, 42)  # of an A-ASSOCIATE-RQ PDU, PS3.8 9.3.2
AT_MOST = 200  # connections on their way out; for one more, one that was told is cut short
BREATH = 0.2  # seconds that the door waits for the thread to come after
PATIENCE = 5.0  # seconds for a peer to hear the answer
PIECE = 65536  # bytes read at once


@dataclass(eq=False)
class _Leaving:
    """A connection on its way out."""

    connection: socket.socket
    answer: bytes  # what a peer is told that speaks DICOM; nothing: it has been told
    say: Callable[[str], None]  # logs the refusal, with the calling AE title
    until: float  # on the monotonic clock
    head: bytearray = field(default_factory=bytearray)


class Refuser:
    """Answers the connections it is handed, each after the peer's first words, and closes them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._leaving: dict[_Leaving, None] = {}  # in the order of their arrival
        self._arrived: queue.SimpleQueue[_Leaving | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()  # after the end, nobody is handed over
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="dicom-refusals", daemon=True)
        self._thread.start()

    def take(
        self, connection: socket.socket, answer: bytes, say: Callable[[str], None] | None = None
    ) -> None:
        """Answer and close *connection*; the caller has done with it.

        *say* is told the calling AE title, where the peer got as far as naming one,
        to write the refusal into the log. An empty *answer* closes it in peace.
        """
        connection.setblocking(False)
        leaving = _Leaving(
            connection=connection,
            answer=answer,
            say=say or (lambda _title: None),
            until=time.monotonic() + PATIENCE,
        )
        # A flood waits in the kernel's queue for a moment rather than go without its answer.
        patience = time.monotonic() + BREATH
        while self._arrived.qsize() >= AT_MOST and time.monotonic() < patience:
            time.sleep(0.002)
        with self._lock:
            if self._closed or self._arrived.qsize() >= AT_MOST:
                connection.close()
                leaving.say("")
                return
            self._arrived.put(leaving)
            self._wake.send(b".")

    def close(self) -> None:
        """Hang up on all that are left."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._arrived.put(None)
                self._wake.send(b".")
        self._thread.join()

    def _run(self) -> None:
        while self._welcome():
            self._hear_them(0.5 if self._leaving else None)
            for leaving in self._overdue():
                self._hang_up(leaving)
        for leaving in list(self._leaving):
            self._hang_up(leaving)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _overdue(self) -> list[_Leaving]:
        now = time.monotonic()
        return [leaving for leaving in self._leaving if now > leaving.until]

    def _welcome(self) -> bool:
        """Take in what was handed over; False when that was the word to end."""
        with suppress(BlockingIOError):
            self._woken.recv(PIECE)
        while not self._arrived.empty():
            leaving = self._arrived.get()
            if leaving is None:
                return False
            if len(self._leaving) >= AT_MOST:
                self._make_room()
            self._leaving[leaving] = None
            self._selector.register(leaving.connection, selectors.EVENT_READ, leaving)
            if not leaving.answer:
                _say_no_more(leaving.connection)
        return True

    def _make_room(self) -> None:
        """Let one go: of those that were told the oldest, of silent ones if there is no other."""
        self._hear_them(0)  # what they said may lie here, unread
        if len(self._leaving) >= AT_MOST:
            told = (leaving for leaving in self._leaving if not leaving.answer)
            self._hang_up(next(told, next(iter(self._leaving))))

    def _hear_them(self, seconds: float | None) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is not None:
                self._hear(key.data)

    def _hear(self, leaving: _Leaving) -> None:
        try:
            data = leaving.connection.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(leaving)
        elif leaving.answer:
            leaving.head += data
            if leaving.head[0] == TLS_HANDSHAKE:
                self._answer(leaving, TLS_ALERT)
            elif len(leaving.head) >= CALLING_AE_TITLE.stop:
                self._answer(leaving, leaving.answer)

    def _answer(self, leaving: _Leaving, answer: bytes) -> None:
        leaving.answer = b""
        leaving.say(_calling_ae_title(leaving.head))
        with suppress(OSError):  # it has gone
            leaving.connection.send(answer)
        _say_no_more(leaving.connection)

    def _hang_up(self, leaving: _Leaving) -> None:
        if leaving.answer:  # it never said a word
            leaving.say("")
        del self._leaving[leaving]
        self._selector.unregister(leaving.connection)
        leaving.connection.close()


def _say_no_more(connection: socket.socket) -> None:
    with suppress(OSError):  # it has gone
        connection.shutdown(socket.SHUT_WR)


def _calling_ae_title(head: bytearray) -> str:
    if head[0] == TLS_HANDSHAKE:
        return ""
    return head[CALLING_AE_TITLE].decode("ascii", "replace").strip()
