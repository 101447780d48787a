"""The requests that are served, and the answer to all others (PS3.7 chapter 9 and annex C).

pynetdicom drops a request that lacks an argument without an answer, chooses its handler by
the SOP class that a request names, whatever was agreed upon, and ends an association without
a word in the log. Here every request is looked at first; what is not served is logged.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import current_thread
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu import A_ABORT_RQ

from triage import logs
from triage.dicom.dataset import DataSet
from triage.dicom.peer import peer_of
from triage.dicom.sopclasses import VERIFICATION, is_stored, name_of
from triage.dicom.traffic import Traffic

# PS3.7 annex C.5, which 9.1.1.1.9 and 9.1.5.1.4 name for C-STORE and C-ECHO.
UNRECOGNISED_OPERATION = 0x0211
MISTYPED_ARGUMENT = 0x0212

_PROVIDER = 2  # PS3.8 9.3.8: the source of an A-ABORT that the state machine sends by itself

# How DIMSE-C and some of DIMSE-N call the SOP class and instance of a request, and how the rest.
_WHOSE = ("Affected", "Requested")
# What an LO may not hold (PS3.5 6.2), and what its character set lacks: peers name anything.
_NO_TEXT = re.compile(r"[^ -\[\]-~]")

log = logs.get(__name__)

Serve = Callable[[Any, int], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a request is not served."""

    status: int | None  # None: it cannot be answered, and its association is aborted
    check: str  # which refused it
    reason: str
    action: str  # what mends it, at the sender


class Requests:
    """Stands between an association and pynetdicom's services."""

    def __init__(self, traffic: Traffic) -> None:
        """Note in *traffic* the objects that were refused."""
        self._traffic = traffic

    def handlers(self) -> list[Any]:
        """Return the event handlers to bind."""
        return [(evt.EVT_CONN_OPEN, self._on_open), (evt.EVT_PDU_SENT, self._on_sent)]

    def _on_open(self, event: Event) -> None:
        serve = event.assoc._serve_request
        event.assoc._serve_request = partial(self._serve, event.assoc, serve)

    def _serve(self, association: Association, serve: Serve, request: Any, context_id: int) -> None:
        if current_thread().ident != association.ident:
            # pynetdicom has a thread of its own for an N-EVENT-REPORT; answers go in turn.
            association.dimse.msg_queue.put((context_id, request))
            return
        self._serve_one(association, serve, request, context_id)
        # pynetdicom would look again for this in a millisecond, and the next is often there before.
        while association.is_established and not _is_aborted(association):
            next_id, following = association.dimse.get_msg(block=False)
            if following is None:
                return
            self._serve_one(association, serve, following, next_id)

    def _serve_one(
        self, association: Association, serve: Serve, request: Any, context_id: int
    ) -> None:
        try:
            self._serve_or_refuse(association, serve, request, context_id)
        finally:
            # pynetdicom keeps the request in hand until we return, and its parts each other.
            if isinstance(data_set := getattr(request, "DataSet", None), DataSet):
                data_set.let_go()

    def _serve_or_refuse(
        self, association: Association, serve: Serve, request: Any, context_id: int
    ) -> None:
        fault = find_fault(request, association, context_id)
        if fault is None:
            serve(request, context_id)
            return
        self._traffic.of(association).failed += isinstance(request, C_STORE)
        peer = peer_of(association)
        told = {"check": fault.check, "reason": fault.reason, "action": fault.action}
        if fault.status is None:
            log.warning("association_dropped", **told, **peer)
            association.abort()
        else:
            log.warning("request_refused", status=f"{fault.status:04X}", **told, **peer)
            association.dimse.send_msg(_answer(request, fault), context_id)

    def _on_sent(self, event: Event) -> None:
        """Tell that pynetdicom could not read what came in an association."""
        connection = event.assoc.dul.socket
        established = event.assoc.requestor.primitive is not None
        if not isinstance(event.pdu, A_ABORT_RQ) or event.pdu.source != _PROVIDER:
            return
        if established and not connection.refused:
            connection.refused = True
            log.warning(
                "association_dropped",
                check="message",
                reason="what came is no valid PDU or message, or none that may come now",
                action="at the sender: see what it sent; it breaks PS3.7 or PS3.8",
                **peer_of(event.assoc),
            )


def _is_aborted(association: Association) -> bool:
    return bool(association._sent_abort or association.acse.is_aborted())


def find_fault(request: Any, association: Association, context_id: int) -> Fault | None:
    """Return why a request, made in a presentation context, is not served; None if it is."""
    operation = f"{request.msg_type}-RQ"
    context = association._accepted_cx.get(context_id)
    if context is None:
        return Fault(
            status=None,
            check="presentation context",
            reason=f"{operation} in {_not_accepted(association, context_id)}",
            action="at the sender: use no presentation context that was not accepted",
        )
    if request.MessageID is None:
        answers = request.MessageIDBeingRespondedTo is not None
        return Fault(
            status=None,
            check="Message ID",
            reason=f"{request.msg_type}-RSP, and nothing was requested"
            if answers
            else f"{operation} without Message ID (0000,0110), so that there is no answer to it",
            action="at the sender: it breaks PS3.7 9.3",
        )
    agreed, named = context.abstract_syntax, request.AffectedSOPClassUID
    if isinstance(request, C_STORE):
        return _fault_of_store(request, agreed, named)
    if not isinstance(request, C_ECHO):
        return _operation(operation, agreed)
    if named is None:
        return _argument(f"{operation} without Affected SOP Class UID (0000,0002)")
    # In whatever context: peers ask so whether an association is still alive.
    return None if named == VERIFICATION else _operation(operation, named)


def _fault_of_store(request: C_STORE, agreed: str, named: str | None) -> Fault | None:
    if agreed == VERIFICATION:
        return _operation("C-STORE-RQ", agreed)
    if named is None:
        return _argument("C-STORE-RQ without Affected SOP Class UID (0000,0002)")
    if request.AffectedSOPInstanceUID is None:
        return _argument("C-STORE-RQ without Affected SOP Instance UID (0000,1000)")
    if not is_stored(named):
        return _argument(f"C-STORE-RQ of {name_of(named)} in a context of {name_of(agreed)}")
    return None


def _operation(operation: str, sop_class_uid: str) -> Fault:
    return Fault(
        status=UNRECOGNISED_OPERATION,
        check="operation",
        reason=f"{operation} is no operation of {name_of(sop_class_uid)} here",
        action="at the sender: objects are sent by C-STORE, in a context of their SOP class; "
        "nothing else is served but C-ECHO",
    )


def _argument(reason: str) -> Fault:
    return Fault(
        status=MISTYPED_ARGUMENT,
        check="argument",
        reason=reason,
        action="at the sender: name the SOP class that was agreed upon, and the instance "
        "(PS3.7 9.3.1, 9.3.5)",
    )


def _not_accepted(association: Association, context_id: int) -> str:
    """Name a presentation context that there is not."""
    for proposed in association.requestor.primitive.presentation_context_definition_list:
        if proposed.context_id == context_id:
            return (
                f"presentation context {context_id}, which was not accepted "
                f"({name_of(proposed.abstract_syntax)})"
            )
    return f"presentation context {context_id}, which was not proposed"


def _answer(request: Any, fault: Fault) -> Any:
    """Return the response to a request: what it named, the status, and in short why."""
    answer = type(request)()
    answer.MessageIDBeingRespondedTo = request.MessageID
    answer.Status = fault.status
    for kind in ("Class", "Instance"):
        named = (getattr(request, f"{whose}SOP{kind}UID", None) for whose in _WHOSE)
        uid = next(filter(None, named), None)
        if uid is not None and hasattr(answer, f"AffectedSOP{kind}UID"):
            setattr(answer, f"AffectedSOP{kind}UID", uid)
    answer.ErrorComment = _NO_TEXT.sub("?", fault.reason)[:64]  # LO, PS3.7 annex C
    return answer
