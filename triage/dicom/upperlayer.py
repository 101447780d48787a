"""An association's upper layer (PS3.8) as pynetdicom has it, woken by what happens.

pynetdicom reads a connection in one thread and serves its messages in another, and each of
them looks a thousand times a second whether there is something for it. That makes every
answer wait a millisecond or two, and all associations together keep a core busy. Here the
threads sleep until the peer or the other thread has something for them. The fragments of
an object are handed on as they come (`triage.dicom.dataset`).
"""

import os
import queue
import struct
import threading
from typing import Any

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_CANCEL_RQ, DIMSEMessage
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_items import PresentationDataValueItem
from pynetdicom.pdu_primitives import P_DATA

from triage import logs
from triage.dicom import command
from triage.dicom.dataset import LEAST_KEPT, DataSet
from triage.dicom.peer import peer_of

log = logs.get(__name__)

# Seconds after which a thread looks all the same: for pynetdicom's timers, and for what
# another thread says without a queue (that the association is to end).
LOOK = 0.1

MESSAGES = 0x04  # PS3.8 9.3.5: the type of the PDUs that carry messages
_RECEIVED = "Evt10"  # PS3.8 table 9-10: such a PDU was received
HEADER = 6  # bytes before the items of a PDU
_INVALID = "Evt19"  # likewise: an unrecognised or invalid PDU, which is answered by an abort
_OF_A_COMMAND, LAST = 0x01, 0x02  # PS3.8 annex E.2: the bits of a fragment's first byte
_COMMAND = b"\x03"  # PS3.8 annex E.2: the last fragment of a command
_ITEM = struct.Struct(">LB")  # PS3.8 9.3.5.1: the item's length, which counts what follows it


class Bell:
    """Ends another thread's wait for a file; it may be rung before that wait and after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._file: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int | None:
        """Return the file that can be read once the bell was rung; None when it is closed."""
        return self._file

    def ring(self) -> None:
        """Wake whoever waits, or will wait next."""
        with self._lock:  # else the file might be closed, and its number another's
            if self._file is not None:
                os.eventfd_write(self._file, 1)

    def hush(self) -> None:
        """Be ready for the next ring."""
        with self._lock:
            if self._file is not None:
                try:
                    os.eventfd_read(self._file)
                except BlockingIOError:  # nobody rang
                    return

    def close(self) -> None:
        """Give the file back; nobody waits any more."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None


class _Announced(queue.Queue[Any]):
    """A queue that says when something was put into it."""

    def __init__(self, say: Any) -> None:
        super().__init__()
        self._say = say

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._say()


class _Inbox(_Announced):
    """The messages of an association; asked without patience, it still waits for some news.

    That is how pynetdicom's `Association` asks, between two looks at whether the peer has
    released or aborted it. Either is news too.
    """

    def __init__(self, news: threading.Event) -> None:
        super().__init__(news.set)
        self._news = news

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not block:
            if self.empty():
                self._news.wait(LOOK)
            # Cleared before the look: what is said from here on is there at the next one.
            self._news.clear()
        return super().get(block, timeout)


class _Messages(DIMSEServiceProvider):  # type: ignore[misc]  # pynetdicom ships no types
    """Puts messages together (PS3.7 6.3) from their fragments."""

    def __init__(self, association: Association, news: threading.Event) -> None:
        super().__init__(association)
        self.msg_queue = _Inbox(news)
        self._context: int | None = None  # of the message, once its command is whole

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take in what a PDU brought; one that is no part of a message ends the association."""
        if not self._follows(primitive):
            log.warning(
                "association_dropped",
                check="order of fragments",
                reason="a data set before its command, or in another presentation context",
                **peer_of(self.assoc),
            )
            self.dul.socket.refused = True
            self.dul.event_queue.put(_INVALID)
            return
        if self.message is None:
            self.message: DIMSEMessage | None = DIMSEMessage()
            self.message.data_set = DataSet(self.assoc, self.message)
        message = self.message
        try:
            super().receive_primitive(primitive)
        except MemoryError:
            raise
        except Exception:  # whatever pynetdicom makes of a command that is none
            self.dul.event_queue.put(_INVALID)
            return
        if self.message is None:  # it is whole
            cancels = isinstance(message, C_CANCEL_RQ)
            if cancels:
                # Nothing that we do can be cancelled (PS3.7 9.3.2.3). pynetdicom keeps ten for
                # whoever asks; what is beyond would come among the requests, and has no answer.
                self.cancel_req.clear()
            self.dul.socket.completed(answered=not cancels)

    def _follows(self, primitive: P_DATA) -> bool:
        """Say whether data sets come after their commands, and in the same presentation context."""
        if self.message is None:
            self._context = None
        for context_id, fragment in primitive.presentation_data_value_list:
            if not fragment[0] & _OF_A_COMMAND:
                if context_id != self._context:
                    return False
            elif fragment[0] & LAST:
                self._context = context_id
        return True

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a message; the answer to a C-STORE is put into bytes without a data set of its own."""
        small = 0 < self.maximum_pdu_size < LEAST_KEPT  # the peer wants it in fragments
        answer = None if small else command.store_response(primitive)
        if answer is None:
            super().send_msg(primitive, context_id)
            return
        data = P_DATA()
        data.presentation_data_value_list.append([context_id, _COMMAND + answer])
        self.dul.send_pdu(data)


class UpperLayer(DULServiceProvider):  # type: ignore[misc]  # pynetdicom ships no types
    """The thread that reads and writes one connection."""

    def __init__(self, association: Association) -> None:
        """Take the place of *association*'s own, before either of its threads was started."""
        super().__init__(association)
        self._run_loop_delay = 0  # it sleeps in `_is_transport_event`
        self._bell: Bell | None = None
        self._news = threading.Event()
        self.to_provider_queue = _Announced(self._ring)
        self.to_user_queue = _Announced(self._news.set)
        self.artim_timer.timeout = association.acse_timeout
        self._idle_timer.timeout = association.network_timeout
        association.dimse = _Messages(association, self._news)
        association.dul = self

    def run_reactor(self) -> None:
        """Serve the connection until it ends; the thread's whole life."""
        self._bell = Bell()
        try:
            super().run_reactor()
        finally:
            self._bell.close()
            self._news.set()

    def kill_dul(self) -> None:
        """Have the thread end."""
        super().kill_dul()
        self._ring()

    def stop_dul(self) -> bool:
        """End the thread if its connection has ended; say whether that is so."""
        if self.state_machine.current_state != "Sta1":  # PS3.8 table 9-5: idle
            return False
        self.kill_dul()
        if self.is_alive():
            self.join()
        return True

    def _ring(self) -> None:
        if self._bell is not None:  # else the thread has not looked into its queue yet
            self._bell.ring()

    def _is_transport_event(self) -> bool:
        """Wait for the peer or the other thread, and read a PDU if there is one."""
        # In Sta13 there is nothing to wait for: what the peer still says is read, then it ends.
        if self.event_queue.empty() and self.state_machine.current_state != "Sta13":
            self.socket.wait(LOOK, self._bell)
        return bool(super()._is_transport_event())

    def _decode_pdu(self, bytestream: bytearray) -> tuple[Any, str]:
        """Return a PDU and what it means to the state machine.

        That a PDU with a part of a message has come is no event to bind a handler to.
        """
        if bytestream[0] != MESSAGES:
            pdu, meaning = super()._decode_pdu(bytestream)
            return pdu, meaning
        pdu = P_DATA_TF()
        pdu.presentation_data_value_items = fragments(memoryview(bytestream))
        return pdu, _RECEIVED


def fragments(pdu: memoryview) -> list[PresentationDataValueItem]:
    """Return the fragments of messages in a P-DATA-TF PDU (PS3.8 9.3.5).

    Raises ValueError or struct.error where its items do not fill it.
    """
    found = []
    start = HEADER
    while start < len(pdu):
        length, context_id = _ITEM.unpack_from(pdu, start)
        end = start + 4 + length
        if length < 2 or end > len(pdu):
            raise ValueError(f"an item of {length} bytes, {len(pdu) - start} from the PDU's end")
        item = PresentationDataValueItem()
        item.presentation_context_id = context_id
        item.presentation_data_value = pdu[start + _ITEM.size : end]
        found.append(item)
        start = end
    return found
