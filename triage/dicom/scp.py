"""The storage SCP: associations in, objects handed on, an honest status back.

pynetdicom's handlers translate; what keeps an object is passed in.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pynetdicom
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from triage import logs
from triage.dicom import tls
from triage.dicom.access import Access
from triage.dicom.certificate import files_of
from triage.dicom.connection import Limits, limits_of
from triage.dicom.dimse import Requests
from triage.dicom.filemeta import preamble
from triage.dicom.gate import Gate
from triage.dicom.peer import peer_of
from triage.dicom.selfcheck import SelfCheck
from triage.dicom.sopclasses import offer
from triage.dicom.traffic import Traffic
from triage.dicom.transport import Door, Server
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
    calling_address: str  # as the log and the allow-list write it
    fragments: tuple[bytes | bytearray | memoryview, ...]  # the encoded data set, in pieces
    digest: str  # of transfer syntax and data set, see `triage.dicom.digest`
    preamble: bytes  # what makes a PS3.10 file of it: preamble, prefix, file meta information


EVERYBODY = 10**6  # for pynetdicom, which counts later and less than the gate does

Keep = Callable[[Arrival], None]


class Receiver:
    """The SCP of the daemon. `start` returns once associations are accepted."""

    def __init__(self, settings: DicomSettings, keep: Keep, limits: Limits | None = None) -> None:
        """Prepare the application entity; *keep* makes an object durable or raises.

        Raises ConfigurationError when the files of DICOM TLS are not usable.
        """
        self._settings = settings
        self._keep = keep
        files = files_of(settings)
        self._door = Door(
            limits=limits or limits_of(settings),
            allow=settings.allow,
            gate=Gate(
                at_once=settings.max_associations,
                per_peer=settings.max_associations_per_peer,
                per_second=settings.max_associations_per_second,
            ),
            certificates=tls.Certificates(files) if files else None,
            self_check=SelfCheck(),
        )
        self._traffic = Traffic()
        self._server: Server | None = None

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
        entity.maximum_associations = EVERYBODY
        entity.network_timeout = None  # a connection knows better when it is overdue
        entity.maximum_pdu_size = self._settings.max_pdu_size
        entity.require_called_aet = self._settings.check_called_ae_title
        for sop_class, syntaxes in offer():
            entity.add_supported_context(sop_class, syntaxes)
        try:
            self._server = entity.make_server(
                (host, port),
                evt_handlers=self._handlers(),
                server_class=Server,
                door=self._door,
                look_after=self._traffic.drop_overdue,
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
        self._traffic.stop()
        self._server.shutdown()
        self._traffic.end(patience)

    def answers(self, timeout: float = 5) -> bool:
        """Say whether the port still accepts an association of the daemon's own."""
        return self._door.self_check.answers(
            self._settings.host,
            self.port,
            self._settings.ae_title,
            tls.client_context() if self._door.certificates else None,
            timeout,
        )

    def _handlers(self) -> list[Any]:
        return [
            *Access(self._settings).handlers(),
            *self._traffic.handlers(),
            *Requests(self._traffic).handlers(),
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_C_STORE, self._on_store),
        ]

    def _on_store(self, event: Event) -> Dataset:
        # A peer that has gone is no longer listed; what it sent is stored all the same.
        deeds = self._traffic.of(event.assoc)
        deeds.storing = True
        try:
            status, comment = self._store(event)
        finally:
            event.assoc.dul.socket.last = time.monotonic()  # it waited for us
            deeds.storing = False
        deeds.stored += status == SUCCESS
        deeds.failed += status != SUCCESS
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
        except MemoryError:
            log.exception("memory_exhausted", sop_instance_uid=uid)
            return OUT_OF_RESOURCES, "out of memory; send it again later"
        except Exception:
            log.exception("store_failed", sop_instance_uid=uid)
            return CANNOT_UNDERSTAND, "internal error; see the log of the receiver"
        else:
            return SUCCESS, ""
        log.warning(
            "instance_refused", status=f"{status:04X}", reason=reason, sop_instance_uid=uid,
            **peer_of(event.assoc),
        )  # fmt: skip
        return status, reason


def _arrival(event: Event) -> Arrival:
    request = event.request
    if not request.DataSet.fragments:
        raise BadInstance("the request has no data set")
    peer = peer_of(event.assoc)
    sop_class_uid = str(request.AffectedSOPClassUID)
    sop_instance_uid = str(request.AffectedSOPInstanceUID)
    transfer_syntax_uid = str(event.context.transfer_syntax)
    return Arrival(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        calling_ae_title=peer["calling_ae_title"],
        calling_address=peer["address"],
        fragments=request.DataSet.fragments,
        digest=request.DataSet.digest,
        preamble=preamble(sop_class_uid, sop_instance_uid, transfer_syntax_uid),
    )
