"""Who may open an association, and what the log says of those who may not."""

import json
from ipaddress import ip_address
from typing import Any

from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ

from triage import logs
from triage.dicom.peer import peer_of, plain_address
from triage.settings import DicomSettings, Peer

# PS3.8 table 9-21: (result, source, reason) of A-ASSOCIATE-RJ.
CALLING_AE_TITLE_NOT_RECOGNISED = (1, 1, 3)
DOCTOR = "TRIAGE-DOCTOR"  # the AE title by which `triage doctor` calls
LISTED = 10  # UIDs of one refusal that the log names

log = logs.get(__name__)


def is_allowed(allow: tuple[Peer, ...], ae_title: str, address: str) -> bool:
    """Say whether a peer may associate; an empty list admits this machine alone."""
    if not allow:
        return may_be_allowed(allow, address)
    named = tuple(entry for entry in allow if entry.ae_title in (None, ae_title))
    return bool(named) and may_be_allowed(named, address)


def may_be_allowed(allow: tuple[Peer, ...], address: str) -> bool:
    """Say whether some AE title would be admitted from *address*: all that is known at the door."""
    peer = ip_address(plain_address(address))
    if not allow:
        return peer.is_loopback
    return any(entry.network is None or peer in entry.network for entry in allow)


def what_admits(ae_title: str, address: str) -> str:
    """Say what admits a peer: an entry of its address alone where it named no valid AE title."""
    fields = {"ae_title": ae_title, "address": address}
    try:
        Peer.model_validate(fields)
    except ValueError:
        del fields["ae_title"]
    entry = ", ".join(f"{key} = {_quoted(value)}" for key, value in fields.items())
    return f"add {{{entry}}} to dicom.allow, and restart the daemon"


def _quoted(text: str) -> str:
    """Quote *text* for TOML, to be copied out of a JSON log: there a " stands behind a backslash."""
    return json.dumps(text) if "'" in text else f"'{text}'"


class Access:
    """Turns peers away, or sees pynetdicom do it; no refusal goes without a log event."""

    def __init__(self, settings: DicomSettings) -> None:
        """Admit by the allow-list of *settings*, and the daemon's check of itself."""
        self._settings = settings

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
            if connection.speaks_tls:
                action = "it speaks TLS: turn that off at the sender, or set dicom.tls_certificate"
            else:
                action = "at the sender: check its AE titles; what it sends is no valid request"
            _log_refusal(event, check="request", action=action)

    def _on_request(self, event: Event) -> None:
        """Refuse a peer that is not on the allow-list, and say what would admit it."""
        peer = peer_of(event.assoc)
        own = event.assoc.dul.socket.own
        if own or is_allowed(self._settings.allow, peer["calling_ae_title"], peer["address"]):
            return
        action = what_admits(peer["calling_ae_title"], peer["address"])
        _log_refusal(event, check="dicom.allow", action=action)
        event.assoc.acse.send_reject(*CALLING_AE_TITLE_NOT_RECOGNISED)
        event.assoc.kill()

    def _on_rejected(self, event: Event) -> None:
        """pynetdicom refused it, for the only thing that is left to it: the called AE title."""
        _log_refusal(
            event,
            check="dicom.check_called_ae_title",
            action=f"at the sender: call {self._settings.ae_title}; or set dicom.ae_title to what "
            "it calls, if all senders do; or dicom.check_called_ae_title = false, and restart the "
            "daemon",
            called_ae_title=event.assoc.requestor.primitive.called_ae_title.strip(),
        )

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


def tell_refusal(*, from_here: bool, calling_ae_title: str, **fields: Any) -> None:
    """Log that a peer was turned away.

    Our own `triage doctor` is no peer: the refusal is an answer to it, and no warning to
    whoever watches the log. It is known by its name, from this machine alone.
    """
    if from_here and calling_ae_title == DOCTOR:
        log.info("doctor_refused", calling_ae_title=calling_ae_title, **fields)
    else:
        log.warning("association_refused", calling_ae_title=calling_ae_title, **fields)


def _log_refusal(event: Event, **fields: Any) -> None:
    tell_refusal(from_here=event.assoc.dul.socket.from_here, **fields, **peer_of(event.assoc))
