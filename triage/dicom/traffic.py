"""The associations that are open: what each has done, when one is overdue, how all of them end."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

from triage import logs
from triage.dicom.peer import peer_of

# Seconds after an answer: a sender with nothing more to send releases the association itself,
# and one that was aborted before it could would report a failure over an object that is safe.
TIME_TO_RELEASE = 0.5

log = logs.get(__name__)


@dataclass
class Deeds:
    """What an association has done; touched by its own thread, read by `Traffic`."""

    opened: float = field(default_factory=time.monotonic)
    accepted: bool = False  # of a sender; it was refused, or nothing was asked for, otherwise
    stored: int = 0
    failed: int = 0
    storing: bool = False
    # When the first answer since we were told to stop was sent, on the monotonic clock.
    answered_while_stopping: float | None = None
    dropped: bool = False


class Traffic:
    """Keeps the books of the open associations."""

    def __init__(self) -> None:
        self._open: dict[Association, Deeds] = {}
        self._stopping = threading.Event()

    def handlers(self) -> list[Any]:
        """Return the event handlers to bind."""
        return [
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_PDU_SENT, self._on_sent),
        ]

    def of(self, association: Association) -> Deeds:
        """Return what *association* has done; of one that has gone, nothing that anybody reads."""
        return self._open.get(association) or Deeds()

    def drop_overdue(self) -> None:
        """Close what nothing comes from any more, so that its place is free again."""
        for association, deeds in self._open_ones():
            connection = association.dul.socket
            if not deeds.storing and not deeds.dropped and (reason := connection.overdue()):
                deeds.dropped = True
                log.warning(
                    "association_dropped", check="silence", reason=reason, **peer_of(association)
                )
                connection.drop()

    def stop(self) -> None:
        """From now on, associations end once they have had their answer."""
        self._stopping.set()

    def end(self, patience: float) -> None:
        """Let each finish its object, for *patience* seconds together; then close the rest."""
        give_up = time.monotonic() + patience
        while (open_ones := self._open_ones()) and time.monotonic() < give_up:
            for association, deeds in open_ones:
                if not deeds.storing:
                    _end_when_idle(association, deeds)
            time.sleep(0.05)
        for association, _ in self._open_ones():
            association.dul.socket.drop()

    def _open_ones(self) -> list[tuple[Association, Deeds]]:
        """Return the associations that live; a thread that died said no farewell."""
        for association in list(self._open):
            if association.ident is not None and not association.is_alive():
                self._forget(association)
        return list(self._open.items())

    def _on_open(self, event: Event) -> None:
        self._open[event.assoc] = Deeds()

    def _on_accepted(self, event: Event) -> None:
        # Not our check of ourselves: it comes every few seconds, and is nobody's traffic.
        self.of(event.assoc).accepted = (
            bool(event.assoc.accepted_contexts) and not event.assoc.dul.socket.own
        )

    def _on_close(self, event: Event) -> None:
        if event.assoc.requestor.primitive is None:
            # Its thread would hold the place for pynetdicom's 30 s, waiting for a request.
            event.assoc.dul.to_user_queue.put(None)
        self._forget(event.assoc)

    def _forget(self, association: Association) -> None:
        """Take a closed association off the books, with a word on what it has done."""
        deeds = self._open.pop(association, None)
        if deeds is None or not deeds.accepted:
            return
        log.info(
            "association_ended",
            stored=deeds.stored,
            failed=deeds.failed + _is_cut_off(association),
            seconds=round(time.monotonic() - deeds.opened, 3),
            **peer_of(association),
        )

    def _on_sent(self, event: Event) -> None:
        if not self._stopping.is_set() or not isinstance(event.pdu, P_DATA_TF):
            return
        deeds = self.of(event.assoc)
        if deeds.answered_while_stopping is None:
            deeds.answered_while_stopping = time.monotonic()


def _is_cut_off(association: Association) -> bool:
    """Say whether the connection has ended in the middle of an object, which nobody answers."""
    return association.dimse.message is not None or association.dul.socket.half_a_pdu


def _end_when_idle(association: Association, deeds: Deeds) -> None:
    """Abort some time after an answer, or after a silence; nothing of this waits for the peer."""
    now = time.monotonic()
    silent = now - association.dul.socket.last
    answered = deeds.answered_while_stopping
    if association.requestor.primitive is None or silent > 1:
        # There is nothing to abort yet, or the thread waits for the rest of a PDU.
        association.dul.socket.drop()
    elif silent > 0.5 or (answered is not None and now - answered > TIME_TO_RELEASE):
        association.abort(block=False)
