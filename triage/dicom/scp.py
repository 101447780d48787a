"""The storage SCP: associations in, objects handed on, an honest status back.

pynetdicom's handlers translate; what keeps an object is passed in.
"""

import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pynetdicom
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

from triage import logs
from triage.dicom.access import is_allowed
from triage.dicom.sopclasses import offer
from triage.errors import (
    BadInstance,
    DatabaseUnavailable,
    ReceiverUnavailable,
    SpoolUnavailable,
    WrongSopClass,
)
from triage.settings import DicomSettings

# PS3.4 table B.2-1 and PS3.7 annex C.
SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000
# PS3.8 table 9-21: (result, source, reason) of A-ASSOCIATE-RJ.
CALLING_AE_TITLE_NOT_RECOGNISED = (1, 1, 3)

log = logs.get(__name__)

# pynetdicom's own handlers would format every PDU for a log that nobody keeps.
pynetdicom._config.LOG_HANDLER_LEVEL = "none"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One object as it came, before anybody has looked into it."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    data: bytes  # the encoded data set
    preamble: bytes  # what makes a PS3.10 file of it: preamble, prefix, file meta information


Keep = Callable[[Arrival], None]


@dataclass
class _Traffic:
    """What an association has done; touched by its own thread, read by `Receiver.stop`."""

    stored: int = 0
    failed: int = 0
    last: float = field(default_factory=time.monotonic)
    storing: bool = False
    answered_while_stopping: bool = False


class _Server(ThreadedAssociationServer):  # type: ignore[misc]  # pynetdicom ships no types
    request_queue_size = 128  # a burst of senders waits in the kernel, not in time-outs

    def shutdown(self) -> None:
        """Stop listening; pynetdicom's own wants to have started the server itself."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()


class Receiver:
    """The SCP of the daemon. `start` returns once associations are accepted."""

    def __init__(self, settings: DicomSettings, keep: Keep) -> None:
        """Prepare the application entity; *keep* makes an object durable or raises."""
        self._settings = settings
        self._keep = keep
        self._traffic: dict[Association, _Traffic] = {}
        self._stopping = threading.Event()
        self._server: _Server | None = None
        # Known to this process alone: by it the daemon's check of itself passes the allow-list.
        self._check_title = f"CHECK{secrets.token_hex(5)}".upper()

    @cached_property
    def port(self) -> int:
        """The port that is listened on."""
        if self._server is None:
            raise ReceiverUnavailable("the receiver has not been started")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen. Raises ReceiverUnavailable when the address cannot be had."""
        host, port = self._settings.host, self._settings.port
        entity = AE(self._settings.ae_title)
        entity.maximum_associations = self._settings.max_associations
        entity.maximum_pdu_size = self._settings.max_pdu_size
        entity.require_called_aet = self._settings.check_called_ae_title
        for sop_class, syntaxes in offer():
            entity.add_supported_context(sop_class, syntaxes)
        try:
            self._server = entity.make_server(
                (host, port), evt_handlers=self._handlers(), server_class=_Server
            )
        except OSError as error:
            raise ReceiverUnavailable(
                f"dicom.host={host}, dicom.port={port}: {error.strerror or error}; "
                "another program has the port, or the address is not this machine's"
            ) from error
        threading.Thread(target=self._server.serve_forever, name="dicom", daemon=True).start()

    def stop(self, patience: float = 20) -> None:
        """Accept no more, finish the objects in flight, close the rest.

        An object that is half-way here within *patience* seconds is still stored
        and answered; a sender that goes on gets an abort and sends the rest later.
        """
        if self._server is None:
            return
        self._stopping.set()
        self._server.shutdown()
        give_up = time.monotonic() + patience
        while (open_ones := list(self._traffic.items())) and time.monotonic() < give_up:
            for association, traffic in open_ones:
                silent = time.monotonic() - traffic.last > 0.5
                if not traffic.storing and (silent or traffic.answered_while_stopping):
                    association.abort()
            time.sleep(0.05)
        for association, _ in list(self._traffic.items()):
            association.abort()

    def answers(self, timeout: float = 5) -> bool:
        """Say whether the port answers an association request with a word of DICOM.

        A refusal is an answer too: 64 busy senders are no reason to restart.
        """
        host = self._settings.host
        if host in ("0.0.0.0", "::", ""):  # noqa: S104  where it listens, not where it connects
            host = "::1" if host == "::" else "127.0.0.1"
        entity = AE(self._check_title)
        entity.connection_timeout = entity.acse_timeout = entity.network_timeout = timeout
        entity.add_requested_context(Verification)
        association = entity.associate(host, self.port, ae_title=self._settings.ae_title)
        if association.is_established:
            association.send_c_echo()
            association.release()
            return True
        return bool(association.is_rejected)

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_DATA_RECV, self._on_data),
            (evt.EVT_DATA_SENT, self._on_data),
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_REJECTED, self._on_rejected),
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_C_STORE, self._on_store),
        ]

    def _on_open(self, event: Event) -> None:
        self._traffic[event.assoc] = _Traffic()
        _acknowledge_at_once(event.assoc)

    def _on_data(self, event: Event) -> None:
        if (traffic := self._traffic.get(event.assoc)) is not None:
            traffic.last = time.monotonic()
        _acknowledge_at_once(event.assoc)

    def _on_close(self, event: Event) -> None:
        traffic = self._traffic.pop(event.assoc, None)
        if traffic is not None and (traffic.stored or traffic.failed):
            log.info(
                "association_ended",
                stored=traffic.stored,
                failed=traffic.failed,
                **_peer(event.assoc),
            )

    def _on_request(self, event: Event) -> None:
        """Refuse a peer that is not on the allow-list, and say what would admit it."""
        peer = _peer(event.assoc)
        if peer["calling_ae_title"] == self._check_title or is_allowed(
            self._settings.allow, peer["calling_ae_title"], peer["address"]
        ):
            return
        entry = f'{{ae_title = "{peer["calling_ae_title"]}", address = "{peer["address"]}"}}'
        log.warning(
            "association_refused", check="dicom.allow", action=f"add {entry} to dicom.allow", **peer
        )
        event.assoc.acse.send_reject(*CALLING_AE_TITLE_NOT_RECOGNISED)
        event.assoc.kill()

    def _on_rejected(self, event: Event) -> None:
        """pynetdicom refused it: too many associations, or a wrong called AE title."""
        request = event.assoc.requestor.primitive
        called = request.called_ae_title if request else ""
        if self._settings.check_called_ae_title and called.strip() != self._settings.ae_title:
            check, action = "dicom.check_called_ae_title", f"call {self._settings.ae_title}"
        else:
            check, action = "dicom.max_associations", "send again later, or raise it"
        log.warning("association_refused", check=check, action=action, **_peer(event.assoc))

    def _on_store(self, event: Event) -> Dataset:
        traffic = self._traffic.setdefault(event.assoc, _Traffic())
        traffic.storing = True
        try:
            status, comment = self._store(event)
        finally:
            traffic.storing = False
            traffic.answered_while_stopping = self._stopping.is_set()
        traffic.stored += status == SUCCESS
        traffic.failed += status != SUCCESS
        answer = Dataset()
        answer.Status = status
        if comment:
            answer.ErrorComment = comment[:64]  # LO, PS3.7 annex C
        return answer

    def _store(self, event: Event) -> tuple[int, str]:
        """Answer one C-STORE: success promises that the row and the bytes are safe."""
        request = event.request
        uid = str(request.AffectedSOPInstanceUID)
        try:
            self._keep(_arrival(event))
        except WrongSopClass as error:
            status, reason = DOES_NOT_MATCH, str(error)
        except BadInstance as error:
            status, reason = CANNOT_UNDERSTAND, str(error)
        except SpoolUnavailable as error:
            log.error("spool_unavailable", reason=str(error), sop_instance_uid=uid)
            return OUT_OF_RESOURCES, "the spool cannot take the object; send it again later"
        except DatabaseUnavailable as error:
            log.error("database_unavailable", reason=str(error), sop_instance_uid=uid)
            return OUT_OF_RESOURCES, "the database is not available; send it again later"
        except Exception:
            log.exception("store_failed", sop_instance_uid=uid)
            return CANNOT_UNDERSTAND, "internal error; see the log of the receiver"
        else:
            return SUCCESS, ""
        log.warning(
            "instance_refused", status=f"{status:04X}", reason=reason, sop_instance_uid=uid,
            **_peer(event.assoc),
        )  # fmt: skip
        return status, reason


def _arrival(event: Event) -> Arrival:
    request = event.request
    if request.DataSet is None:
        raise BadInstance("the request has no data set")
    return Arrival(
        sop_class_uid=str(request.AffectedSOPClassUID),
        sop_instance_uid=str(request.AffectedSOPInstanceUID),
        transfer_syntax_uid=str(event.context.transfer_syntax),
        calling_ae_title=event.assoc.requestor.ae_title.strip(),
        data=request.DataSet.getvalue(),
        preamble=b"\0" * 128 + b"DICM" + encode_file_meta(event.file_meta),
    )


def _peer(association: Association) -> dict[str, str]:
    request = association.requestor.primitive
    return {
        "calling_ae_title": request.calling_ae_title.strip() if request else "",
        "address": association.requestor.address or "",
    }


def _acknowledge_at_once(association: Association) -> None:
    """Ask for TCP_QUICKACK again: Linux forgets it, and 40 ms of delay an object come back."""
    transport = association.dul.socket
    if transport is not None and transport.socket is not None and hasattr(socket, "TCP_QUICKACK"):
        try:
            transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:  # the peer is gone; the association's own thread will notice
            return
