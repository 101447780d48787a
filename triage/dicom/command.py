"""The answer to a C-STORE as bytes (PS3.7 9.3.1.2).

pynetdicom makes a data set of every answer and encodes that, twice for its length: a tenth of
what a small object takes.
"""

import struct
from typing import Any

from pynetdicom.dimse_primitives import C_STORE

_RESPONSE = b"\x01\x80"  # (0000,0100): C-STORE-RSP
_NO_DATA_SET = b"\x01\x01"  # (0000,0800)
_SHORT = struct.Struct("<H")


def store_response(primitive: Any) -> bytes | None:
    """Return the command set of a C-STORE response with nothing but a status.

    None for any other message; pynetdicom has to encode it.
    """
    if not isinstance(primitive, C_STORE) or primitive.MessageIDBeingRespondedTo is None:
        return None
    uids = [primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID]
    if primitive.ErrorComment or primitive.OffendingElement or not all(map(_is_plain, uids)):
        return None
    elements = b"".join(
        (
            _element(0x0002, _padded(uids[0])),
            _element(0x0100, _RESPONSE),
            _element(0x0120, _SHORT.pack(primitive.MessageIDBeingRespondedTo)),
            _element(0x0800, _NO_DATA_SET),
            _element(0x0900, _SHORT.pack(primitive.Status)),
            _element(0x1000, _padded(uids[1])),
        )
    )
    return _element(0x0000, len(elements).to_bytes(4, "little")) + elements


def _is_plain(uid: str | None) -> bool:
    return bool(uid) and str(uid).isascii()


def _padded(uid: str) -> bytes:
    encoded = str(uid).encode("ascii")
    return encoded + b"\0" * (len(encoded) % 2)  # PS3.5 9.1


def _element(number: int, value: bytes) -> bytes:
    """Encode an element of group 0000 in Implicit VR Little Endian (PS3.7 6.3.1)."""
    return struct.pack("<HHL", 0, number, len(value)) + value
