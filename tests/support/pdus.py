"""A peer made of bytes: PDUs as PS3.8 9.3 has them, and some as it has not."""

import socket
from io import BytesIO
from typing import Any

from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

COMPUTED_RADIOGRAPHY = b"1.2.840.10008.5.1.4.1.1.1"
EXPLICIT_LITTLE_ENDIAN = b"1.2.840.10008.1.2.1"
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA_TF = 1, 2, 3, 4  # PS3.8 9.3, PDU types
RELEASE_RQ, ABORT = 5, 7
# PS3.8 9.3.4: rejected transient, by the presentation related provider, local limit exceeded.
LOCAL_LIMIT_EXCEEDED = bytes([ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, 2, 3, 2])
# Rejected permanent, by the service user, calling AE title not recognised.
NOT_RECOGNISED = bytes([ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, 1, 1, 3])


def item(kind: int, value: bytes) -> bytes:
    """Return an item of an A-ASSOCIATE PDU, PS3.8 9.3.2."""
    return bytes([kind, 0]) + len(value).to_bytes(2, "big") + value


def pdu(kind: int, value: bytes, *, claimed: int | None = None) -> bytes:
    """Return a PDU; what it *claimed* to be long may be a lie."""
    length = len(value) if claimed is None else claimed
    return bytes([kind, 0]) + length.to_bytes(4, "big") + value


def request(
    *,
    calling: bytes = b"PEER",
    called: bytes = b"TRIAGE",
    version: int = 1,
    sop_class: bytes = COMPUTED_RADIOGRAPHY,
    syntax: bytes = EXPLICIT_LITTLE_ENDIAN,
) -> bytes:
    """Return an A-ASSOCIATE-RQ PDU with one presentation context."""
    context = bytes([1, 0, 0, 0]) + item(0x30, sop_class) + item(0x40, syntax)
    user = item(0x51, (16384).to_bytes(4, "big")) + item(0x52, b"1.2.3.4")
    return pdu(
        ASSOCIATE_RQ,
        version.to_bytes(2, "big")
        + bytes(2)
        + called.ljust(16)
        + calling.ljust(16)
        + bytes(32)
        + item(0x10, b"1.2.840.10008.3.1.1.1")
        + item(0x20, context)
        + item(0x50, user),
    )


def store_request(data_set: bytes) -> list[bytes]:
    """Return the PDUs of a C-STORE request."""
    primitive = C_STORE()
    primitive.MessageID = 1
    primitive.AffectedSOPClassUID = COMPUTED_RADIOGRAPHY.decode()
    primitive.AffectedSOPInstanceUID = "1.2.3"
    primitive.Priority = 0
    primitive.DataSet = BytesIO(data_set)
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    return [encoded(P_DATA_TF, fragment) for fragment in message.encode_msg(1, 16384)]


def message(
    elements: dict[int, bytes], *, data_set: bytes | None = None, context_id: int = 1
) -> bytes:
    """Return the PDUs of a message whose command set is *elements*, (0000,xxxx), and no others."""
    body = b"".join(
        bytes(2) + tag.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value
        for tag, value in sorted(elements.items())
    )
    command = bytes(4) + (4).to_bytes(4, "little") + len(body).to_bytes(4, "little") + body
    sent = fragment(context_id, 3, command)
    return sent if data_set is None else sent + fragment(context_id, 2, data_set)


def fragment(context_id: int, control: int, value: bytes) -> bytes:
    """Return a P-DATA-TF PDU of one fragment; *control* as in PS3.8 annex E.2."""
    return pdu(DATA_TF, (len(value) + 2).to_bytes(4, "big") + bytes([context_id, control]) + value)


def elements_of(answer: bytes) -> dict[int, bytes]:
    """Return the elements of a P-DATA-TF PDU that holds a whole command set."""
    rest, found = answer[12:], {}
    while rest:
        end = 8 + int.from_bytes(rest[4:8], "little")
        found[int.from_bytes(rest[2:4], "little")] = rest[8:end]
        rest = rest[end:]
    return found


def encoded(kind: Any, primitive: Any) -> bytes:
    """Return the bytes of a primitive's PDU."""
    unit = kind()
    unit.from_primitive(primitive)
    return bytes(unit.encode())


def answer_of(peer: socket.socket) -> bytes:
    """Return the next PDU that the peer was sent, or nothing at the connection's end."""
    try:
        header = _exactly(peer, 6)
        return header + _exactly(peer, int.from_bytes(header[2:], "big"))
    except ConnectionResetError:
        return b""


def is_closed(peer: socket.socket) -> bool:
    """Say whether the connection ends, whatever is still sent before."""
    while data := answer_of(peer):
        assert data[0] != DATA_TF
    return True


def _exactly(peer: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length and (piece := peer.recv(length - len(received))):
        received += piece
    return received
