"""What names a received object's file: the SHA-256 of its transfer syntax and its data set.

The file meta information is left out, which is ours and not the sender's.
"""

import hashlib
from pathlib import Path

from triage.dicom.fileformat import blaming, read_transfer_syntax

_PIECE = 1 << 20  # bytes read at a time


def begin(transfer_syntax_uid: str) -> "hashlib._Hash":
    """Return a digest to be fed with an encoded data set, piece by piece as it comes."""
    return hashlib.sha256(transfer_syntax_uid.encode() + b"\0")


def of_file(path: Path) -> str:
    """Return the digest of what a PS3.10 file holds.

    Raises BadInstance where it is none, OSError for the file itself, and MemoryError.
    """
    with path.open("rb") as file:
        with blaming(path):
            found = begin(read_transfer_syntax(file))
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()
