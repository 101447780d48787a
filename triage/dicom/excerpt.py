"""The few elements of a data set that somebody asks for, read at a bounded cost whatever the bytes.

Reception reads headers in the thread that serves the peers. pydicom builds all
that an element holds before it can be asked how much that is: a million empty
items cost it 20 seconds. So what stands before Pixel Data is walked over here
(PS3.5 7.1), what nobody asks for is stepped over, and pydicom converts the rest.
What is longer than any honest value is left out as if it were not there.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import SEEK_CUR, BytesIO
from struct import Struct
from typing import Protocol

from pydicom.charset import convert_encodings
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

MOST_ELEMENTS = 50_000  # that are stepped over; an honest header has some hundred
MOST_READ = 16 * 2**20  # bytes that are not stepped over, kept or not
MOST_BYTES = 128 * 1024  # of all the values that are kept; honest ones have some thousand
MOST_SEQUENCE = 64 * 1024  # bytes of a sequence
MOST_VALUE = 4096  # bytes of any other value
MOST_VALUES = 256  # of an element, between backslashes
MOST_ITEMS = 1000  # of all the sequences that are kept, nested ones counted
MOST_INFLATED = 256 * 2**20  # bytes of a deflated data set that are looked at

UNDEFINED = 0xFFFFFFFF  # PS3.5 7.1.1
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD  # PS3.5 7.5
_DELIMITER = 0xFFFE  # their group, whose elements have no VR in any encoding
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_CHARACTER_SET = 0x00080005
_KNOWN = {vr.encode() for vr in VR}
_LONG = {vr.encode() for vr in EXPLICIT_VR_LENGTH_32}
_CHUNK = 64 * 1024  # bytes that are inflated or stepped over at a time


class Source(Protocol):
    """Where a data set is read from, forwards: bytes, a file, or what a deflated one expands to."""

    def read(self, size: int, /) -> bytes:
        """Read *size* bytes or what is left."""

    def seek(self, offset: int, whence: int, /) -> int:
        """Step over *offset* bytes, which may be more than are left; *whence* is SEEK_CUR."""


class TooMuch(Exception):
    """A bound was reached, or the bytes make no sense: nothing is read beyond."""


class TooLong(TooMuch):
    """More stands before Pixel Data than in any honest object."""


class Inflated:
    """What a deflated data set expands to (PS3.5 A.5), a chunk in memory at a time.

    Reading raises `TooMuch` beyond the limit.
    """

    def __init__(self, deflated: Source) -> None:
        self._deflated = deflated
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._ready = BytesIO()
        self._left = MOST_INFLATED

    def read(self, size: int, /) -> bytes:
        """Read *size* bytes or what is left."""
        parts = []
        while size and (part := self._part(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def seek(self, offset: int, _whence: int, /) -> int:
        """Step over *offset* bytes; there is no other way to go than on."""
        while offset and (part := self._part(offset)):
            offset -= len(part)
        return offset

    def _part(self, size: int) -> bytes:
        """Read at least one byte and *size* at most; none at the end."""
        while not (part := self._ready.read(size)) and not self._inflater.eof:
            # A small piece at a time: what is not consumed yet is copied at each call.
            piece = self._inflater.unconsumed_tail or self._deflated.read(_CHUNK)
            expanded = self._inflater.decompress(piece, _CHUNK)
            if not piece and not expanded:
                break
            self._left -= len(expanded)
            if self._left < 0:
                raise TooMuch
            self._ready = BytesIO(expanded)
        return part


@dataclass(frozen=True)
class Excerpt:
    """What was asked for of a data set, as far as it is there and of a sensible length."""

    dataset: Dataset
    whole: bool  # Pixel Data or the end was reached
    too_long: bool  # it was not, for all that stands before
    pixels: int | None  # length of Pixel Data's value, at which the source stands; None before it


def read_excerpt(source: Source, *, little_endian: bool, wanted: Mapping[int, str]) -> Excerpt:
    """Read the elements whose tags are *wanted*, each with its VR, up to Pixel Data."""
    walk = _Walk(source, little_endian, wanted)
    whole, too_long, pixels = True, False, None
    try:
        pixels = walk.to_pixels()
    except EOFError:
        pass
    except TooMuch as error:
        whole, too_long = False, isinstance(error, TooLong)
    return Excerpt(walk.dataset(), whole, too_long, pixels)


class _Walk:
    """One way through a data set, from its start towards Pixel Data."""

    def __init__(self, source: Source, little_endian: bool, wanted: Mapping[int, str]) -> None:
        order = "<" if little_endian else ">"
        self._source, self._little_endian, self._wanted = source, little_endian, wanted
        self._tag, self._short, self._length = (Struct(order + form) for form in ("HH", "H", "L"))
        self._item = self._tag.pack(_ITEM >> 16, _ITEM & 0xFFFF)
        self._implicit: bool | None = None
        self._elements = MOST_ELEMENTS
        self._items = MOST_ITEMS
        self._left = MOST_READ
        self._bytes = MOST_BYTES
        self._copy: bytearray | None = None  # of the sequence of undefined length that is passed
        self._kept: dict[BaseTag, RawDataElement] = {}

    def to_pixels(self) -> int:
        """Return the length of Pixel Data's value, where the source then stands."""
        while True:
            tag, vr, length, self._implicit = self._element(self._implicit)
            if tag in _PIXELS:
                return length
            if tag >> 16 == _DELIMITER:
                raise TooMuch
            known = self._wanted.get(tag)
            if length == UNDEFINED:
                value = self._sequence(bool(self._implicit), copied=known is not None)
                vr = "SQ" if vr else None
            elif known is not None and length <= self._most(known):
                value = self._read(length)
            else:
                self._skip(length)
                continue
            if known is not None and value is not None and self._affordable(known, value):
                self._kept[BaseTag(tag)] = RawDataElement(
                    BaseTag(tag),
                    vr,
                    len(value),
                    value,
                    0,
                    bool(self._implicit),
                    self._little_endian,
                )

    def dataset(self) -> Dataset:
        """Return what was kept, its texts in the data set's character set."""
        found = Dataset(self._kept)
        try:
            encodings = convert_encodings(found.get("SpecificCharacterSet"))
        except Exception:  # whatever pydicom makes of the bytes
            encodings = convert_encodings(None)
        found.set_original_encoding(bool(self._implicit), self._little_endian, encodings)
        return found

    def _most(self, vr: str) -> int:
        return MOST_SEQUENCE if vr == "SQ" else MOST_VALUE

    def _affordable(self, vr: str, value: bytes) -> bool:
        items = value.count(self._item)
        if (
            len(value) > min(self._most(vr), self._bytes)
            or items > self._items
            or (vr != "SQ" and value.count(b"\\") >= MOST_VALUES)
        ):
            return False
        self._bytes -= len(value)
        self._items -= items
        return True

    def _element(self, implicit: bool | None) -> tuple[int, str | None, int, bool | None]:
        """Read up to a value: (tag, VR, length, whether the VRs are implicit).

        The first element of a data set or an item tells how it is encoded,
        whatever was agreed upon: some devices mistake one for the other.
        """
        self._elements -= 1
        if self._elements < 0:
            raise TooLong
        head = self._read(8)
        group, number = self._tag.unpack_from(head)
        tag, written = group << 16 | number, head[4:6]
        if group != _DELIMITER:
            if implicit is None:
                implicit = not (written.isalpha() and written.isupper())
            if not implicit:
                if written in _LONG:
                    length: int = self._length.unpack(self._read(4))[0]
                    return tag, written.decode(), length, implicit
                # As pydicom reads them: an unknown VR has a short length, rubbish is none.
                if written in _KNOWN or b"AA" <= written <= b"ZZ":
                    length = self._short.unpack_from(head, 6)[0]
                    return tag, written.decode("latin-1"), length, implicit
        return tag, None, self._length.unpack_from(head, 4)[0], implicit

    def _sequence(self, implicit: bool, *, copied: bool) -> bytes | None:
        """Pass a sequence of undefined length; return its items where *copied* and not too long."""
        self._copy = bytearray() if copied else None
        # The levels that are open: whether it is an item, and whether its VRs are implicit.
        levels: list[tuple[bool, bool | None]] = [(False, implicit)]
        while levels:
            in_item, encoding = levels[-1]
            tag, _, length, encoding = self._element(encoding)
            levels[-1] = in_item, encoding
            if tag == (_ITEM_END if in_item else _SEQUENCE_END):
                levels.pop()
            elif (tag == _ITEM) is in_item:
                raise TooMuch
            elif length == UNDEFINED:
                # In an explicit data set, an item may be implicit (PS3.5 6.2.2).
                levels.append((not in_item, encoding if in_item else encoding or None))
            else:
                self._skip(length)
        copy, self._copy = self._copy, None
        return None if copy is None else bytes(copy[:-8])

    def _read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise TooLong
        read = self._source.read(size)
        if len(read) < size:
            raise EOFError
        if self._copy is not None:
            self._copy += read
        return read

    def _skip(self, length: int) -> None:
        if self._copy is not None and len(self._copy) + length <= MOST_SEQUENCE:
            self._read(length)
        else:
            self._copy = None
            self._source.seek(length, SEEK_CUR)
