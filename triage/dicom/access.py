"""Who may open an association, and what the log says of those who may not."""

from ipaddress import ip_address
from typing import Any

from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ

from triage import logs
from triage.dicom.transport import peer_of
from triage.settings import DicomSettings, Peer

# PS3.8 table 9-21: (result, source, reason) of A-ASSOCIATE-RJ.
CALLING_AE_TITLE_NOT_RECOGNISED = (1, 1, 3)
LISTED = 10  # UIDs of one refusal that the log names

log = logs.get(__name__)


def is_allowed(allow: tuple[Peer, ...], ae_title: str, address: str) -> bool:
    """Say whether a peer may associate; an empty list admits this machine alone."""
    peer = ip_address(address.partition("%")[0])
    mapped = getattr(peer, "ipv4_mapped", None)
    peer = mapped or peer
    if not allow:
        return peer.is_loopback
    return any(
        entry.ae_title in (None, ae_title) and (entry.network is None or peer in entry.network)
        for entry in allow
    )


class Access:
    """Turns peers away, or sees pynetdicom do it; no refusal goes without a log event."""

    def __init__(self, settings: DicomSettings, check_title: str) -> None:
        """Admit, besides the allow-list, the AE title by which the daemon checks itself."""
        self._settings = settings
        self._check_title = check_title

    def handlers(self) -> list[Any]:
        """Return the event handlers to bind."""
        return [
            (evt.EVT_PDU_SENT, self._on_sent),
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_REJECTED, self._on_rejected),
            (evt.EVT_ACCEPTED, self._on_accepted),
        ]

    def _on_sent(self, event: Event) -> None:
        """pynetdicom could not read the request: a bad AE title, a wrong version, noise."""
        connection = event.assoc.dul.socket
        unread = event.assoc.requestor.primitive is None and not connection.refused
        if unread and isinstance(event.pdu, A_ABORT_RQ | A_ASSOCIATE_RJ):
            connection.refused = True  # of noise, pynetdicom aborts every six bytes anew
            action = "at the sender: check its AE titles; what it sends is no valid request"
            _log_refusal(event, check="request", action=action)

    def _on_request(self, event: Event) -> None:
        """Refuse a peer that is not on the allow-list, and say what would admit it."""
        peer = peer_of(event.assoc)
        if peer["calling_ae_title"] == self._check_title or is_allowed(
            self._settings.allow, peer["calling_ae_title"], peer["address"]
        ):
            return
        entry = f'{{ae_title = "{peer["calling_ae_title"]}", address = "{peer["address"]}"}}'
        _log_refusal(event, check="dicom.allow", action=f"add {entry} to dicom.allow")
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
        _log_refusal(event, check=check, action=action)

    def _on_accepted(self, event: Event) -> None:
        """Log a sender that may come in and send nothing, for it offers nothing we take."""
        if event.assoc.accepted_contexts:
            return
        asked = event.assoc.requestor.primitive.presentation_context_definition_list
        sop_classes = {str(context.abstract_syntax) for context in asked}
        syntaxes = {str(uid) for context in asked for uid in context.transfer_syntax}
        _log_refusal(
            event,
            check="sop_class",
            action="at the sender: offer a SOP class and a transfer syntax that INSTALL.md lists",
            sop_classes=sorted(sop_classes)[:LISTED],
            transfer_syntaxes=sorted(syntaxes)[:LISTED],
        )


def _log_refusal(event: Event, **fields: Any) -> None:
    log.warning("association_refused", **fields, **peer_of(event.assoc))
