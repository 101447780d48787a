"""An encoded data set in the pieces that it came in, read as if they were one.

A radiograph comes in a hundred fragments. To put them together would copy all its bytes once
more, and keep them twice meanwhile.
"""

from collections.abc import Sequence


class Fragments:
    """Reads pieces forwards; a `triage.dicom.excerpt.Source`."""

    def __init__(self, pieces: Sequence[bytes | bytearray | memoryview]) -> None:
        self._pieces = [memoryview(piece) for piece in pieces if len(piece)]
        self._next = 0  # of the pieces
        self._at = 0  # the byte of that piece

    def read(self, size: int, /) -> bytes:
        """Read *size* bytes or what is left."""
        if self._next < len(self._pieces):
            piece = self._pieces[self._next]
            end = self._at + size
            if end < len(piece):  # as nearly always
                found = piece[self._at : end]
                self._at = end
                return bytes(found)
        return b"".join(self._take(size))

    def seek(self, offset: int, _whence: int, /) -> int:
        """Step over *offset* bytes; return by how many there were too few."""
        return offset - sum(map(len, self._take(offset)))

    def _take(self, size: int) -> list[memoryview]:
        """Pass *size* bytes or what is left; return them."""
        found = []
        while size and self._next < len(self._pieces):
            piece = self._pieces[self._next]
            part = piece[self._at : self._at + size]
            found.append(part)
            size -= len(part)
            self._at += len(part)
            if self._at == len(piece):
                self._next, self._at = self._next + 1, 0
        return found
