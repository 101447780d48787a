"""Sending: C-STORE and C-ECHO to a peer (PS3.4 annexes B and A)."""

import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom import _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.sop_class import Verification

from triage.dicom import tls
from triage.dicom.caller import Caller
from triage.errors import AssociationRejected, NobodyListens, SendFailed

SUCCESS, SOP_CLASS_NOT_SUPPORTED = 0x0000, 0x0122  # PS3.7 annex C
WARNINGS = frozenset({0xB000, 0xB006, 0xB007})  # PS3.4 B.2.3: stored all the same
ANSWER_WAIT = 60.0  # seconds for the answer to one object
CONNECT_WAIT = 10.0  # seconds for the connection, and for the answer to the request
MOST_CONTEXTS = 128  # PS3.8 9.3.2.2: odd identifiers below 256

# A file goes out as the bytes that it holds, a piece at a time, never decoded.
_config.STORE_SEND_CHUNKED_DATASET = True


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Where to send to, and as whom."""

    host: str
    port: int
    called_ae_title: str = "TRIAGE"
    calling_ae_title: str = "TRIAGE-SCU"

    def __str__(self) -> str:
        return f"{self.called_ae_title} at {self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of one object."""

    source: Path | None  # None: it was sent from memory
    sop_instance_uid: str
    status: int  # of the C-STORE response
    reason: str = ""  # the peer's comment, or why it was not sent

    @property
    def stored(self) -> bool:
        """Whether the peer has it now."""
        return self.status == SUCCESS or self.status in WARNINGS


@dataclass(frozen=True)
class _Head:
    sop_class_uid: UID
    sop_instance_uid: UID
    transfer_syntax_uid: UID


def send(
    objects: Iterable[Path | Dataset],
    *,
    host: str,
    port: int,
    called_ae_title: str = "TRIAGE",
    calling_ae_title: str = "TRIAGE-SCU",
    on_sent: Callable[[Sent], None] | None = None,
) -> list[Sent]:
    """Send *objects* in one association, each in its own transfer syntax, and say what became of them.

    A DICOM file is streamed from the disk. *on_sent* hears of each object as
    soon as it is answered. What the peer answers with a failure stands in the
    result; SendFailed is raised when a file is not DICOM, when there is no
    association, or when it breaks.
    """
    peer = Peer(
        host=host, port=port, called_ae_title=called_ae_title, calling_ae_title=calling_ae_title
    )
    items = [(item, _head(item)) for item in objects]
    offers = sorted({(head.sop_class_uid, head.transfer_syntax_uid) for _, head in items})
    if len(offers) > MOST_CONTEXTS:
        raise SendFailed(
            f"{len(offers)} kinds of objects are more than one association can offer "
            f"({MOST_CONTEXTS}); send them in several goes"
        )
    sent: list[Sent] = []
    if not items:
        return sent
    with _association(peer, [build_context(sop, syntax) for sop, syntax in offers]) as association:
        for number, (item, head) in enumerate(items):
            answer = _store(association, item, head, number)
            if answer is None:
                raise SendFailed(
                    f"{peer} broke the association or gave no answer within {ANSWER_WAIT:.0f} s, "
                    f"after {number} of {len(items)} objects; see its log, and send the rest again"
                )
            sent.append(answer)
            if on_sent is not None:
                on_sent(answer)
    return sent


def echo(
    *,
    host: str,
    port: int,
    called_ae_title: str = "TRIAGE",
    calling_ae_title: str = "TRIAGE-SCU",
    context: ssl.SSLContext | None = None,
) -> None:
    """Ask the peer whether it is there (C-ECHO), over TLS where there is a *context*.

    Raises SendFailed when it is not, and CertificateWanted when it speaks TLS and
    wants a certificate that it trusts.
    """
    peer = Peer(
        host=host, port=port, called_ae_title=called_ae_title, calling_ae_title=calling_ae_title
    )
    with _association(peer, [build_context(Verification)], context) as association:
        if not association.accepted_contexts:
            raise SendFailed(f"{peer} does not offer Verification (C-ECHO)")
        status = association.send_c_echo().get("Status")
    if status != SUCCESS:
        answer = "no answer" if status is None else f"status 0x{status:04X}"
        raise SendFailed(f"{peer} was asked for an echo and gave {answer}; see its log")


def check(path: Path) -> None:
    """Raise SendFailed unless the file at *path* is a DICOM file that `send` can send."""
    _head(path)


def _head(item: Path | Dataset) -> _Head:
    if not isinstance(item, Path):
        return _Head(item.SOPClassUID, item.SOPInstanceUID, item.file_meta.TransferSyntaxUID)
    try:
        meta = read_file_meta_info(item)
        return _Head(
            meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID
        )
    except (OSError, InvalidDicomError, AttributeError, ValueError, EOFError) as error:
        raise SendFailed(f"{item} is not a DICOM file that can be sent ({error})") from error


def _store(association: Association, item: Path | Dataset, head: _Head, number: int) -> Sent | None:
    """Send one object; None when the association is gone."""
    source = item if isinstance(item, Path) else None
    if not association.is_established:
        return None
    try:
        answer = association.send_c_store(item, msg_id=number % 0xFFFF + 1)
    except RuntimeError:  # it went away between the question above and now
        return None
    except ValueError as error:
        accepted = {
            (context.abstract_syntax, context.transfer_syntax[0])
            for context in association.accepted_contexts
        }
        if (head.sop_class_uid, head.transfer_syntax_uid) in accepted:
            reason = f"could not be encoded ({error})"
        else:
            reason = (
                f"the peer does not accept {head.sop_class_uid.name} "
                f"in {head.transfer_syntax_uid.name}"
            )
        return Sent(
            source=source,
            sop_instance_uid=str(head.sop_instance_uid),
            status=SOP_CLASS_NOT_SUPPORTED,
            reason=reason,
        )
    if "Status" not in answer:
        return None
    return Sent(
        source=source,
        sop_instance_uid=str(head.sop_instance_uid),
        status=int(answer.Status),
        reason=str(answer.get("ErrorComment", "")),
    )


@contextmanager
def _association(
    peer: Peer, contexts: Sequence[Any], context: ssl.SSLContext | None = None
) -> Iterator[Association]:
    """Open an association and release it; raises SendFailed saying who refused, and why."""
    entity = Caller(peer.calling_ae_title)
    entity.connection_timeout = entity.acse_timeout = CONNECT_WAIT
    entity.dimse_timeout = entity.network_timeout = ANSWER_WAIT
    connected: list[Any] = []
    association = None
    try:
        association = entity.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.called_ae_title,
            tls_args=None if context is None else (context, peer.host),
            evt_handlers=[(evt.EVT_CONN_OPEN, connected.append)],
        )
        if not association.is_established:
            if context is not None and not association.is_rejected:
                tls.knock(peer.host, peer.port, context)
            raise _refusal(peer, association, connected=bool(connected))
        yield association
    except (KeyboardInterrupt, SystemExit):
        # There is no time for a farewell, and the thread under the association,
        # left alone, would keep the process from ending.
        association = None
        _kill_threads(entity)
        raise
    finally:
        if association is not None and association.is_established:
            association.release()
        entity.shutdown()


def _kill_threads(entity: Caller) -> None:
    for thread in threading.enumerate():
        if isinstance(thread, DULServiceProvider) and thread.assoc.ae is entity:
            thread.kill_dul()


def _refusal(peer: Peer, association: Association, *, connected: bool) -> SendFailed:
    if not connected:
        return NobodyListens(
            f"{peer.host}:{peer.port} accepts no connection; check that the daemon runs, "
            "and dicom.host and dicom.port in its triage.toml"
        )
    if association.is_rejected:
        answer = association.acceptor.primitive  # A-ASSOCIATE-RJ, PS3.8 9.3.4
        return AssociationRejected(
            f"{peer} rejected the association of {peer.calling_ae_title}: {answer.reason_str}; "
            "check the AE titles, dicom.allow and dicom.max_associations in its triage.toml"
        )
    if association.acceptor.primitive is not None and not association.accepted_contexts:
        return SendFailed(
            f"{peer} accepts none of the objects' SOP classes in their transfer syntaxes"
        )
    return SendFailed(f"{peer} broke off the association of {peer.calling_ae_title}; see its log")
