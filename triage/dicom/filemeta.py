"""File Meta Information (PS3.10 7.1) of an object that came by C-STORE, as bytes.

pynetdicom and pydicom make a data set of it and encode that, which takes longer than the
disk's name for a small object.
"""

import struct

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from triage.errors import BadInstance

PREFIX = bytes(128) + b"DICM"  # PS3.10 7.1: preamble and prefix
_VERSION = struct.pack("<HH2sHL", 2, 1, b"OB", 0, 2) + b"\0\1"  # (0002,0001)


def preamble(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return what makes a PS3.10 file of an encoded data set: all that goes before it.

    Raises BadInstance for a UID that is not of ASCII.
    """
    elements = _VERSION + b"".join(
        (
            _element(0x0002, b"UI", sop_class_uid),
            _element(0x0003, b"UI", sop_instance_uid),
            _element(0x0010, b"UI", transfer_syntax_uid),
            _IMPLEMENTATION,
        )
    )
    return PREFIX + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(elements)) + elements


def _element(number: int, vr: bytes, value: str) -> bytes:
    """Encode an element of group 0002 in Explicit VR Little Endian (PS3.5 7.1.2)."""
    try:
        encoded = value.encode("ascii")
    except UnicodeEncodeError as error:
        raise BadInstance("a UID of the request has other characters than ASCII's") from error
    if len(encoded) % 2:  # PS3.5 6.2: a UID ends with a null, text with a space
        encoded += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, number, vr, len(encoded)) + encoded


_IMPLEMENTATION = _element(0x0012, b"UI", PYNETDICOM_IMPLEMENTATION_UID) + _element(
    0x0013, b"SH", PYNETDICOM_IMPLEMENTATION_VERSION
)
