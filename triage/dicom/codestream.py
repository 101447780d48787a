"""What a compressed frame says of itself, looked at before a decoder sees it.

Decoders trust a codestream: they allocate what it asks for, paint what is
missing grey and report success, or end the process.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pydicom.uid import JPEG2000TransferSyntaxes

from triage.core.reasons import Code
from triage.dicom.imagepixel import ImagePixel
from triage.errors import ViewUnreadable

# Markers of JPEG and JPEG-LS (ISO/IEC 10918-1 B.1.1.3, 14495-1 C.1.1).
DHT, SOS, SOF2, SOF3, SOF55 = 0xC4, 0xDA, 0xC2, 0xC3, 0xF7
FRAME_HEADERS = {*range(0xC0, 0xD0), SOF55} - {DHT, 0xC8, 0xCC}
SOC_SIZ = b"\xff\x4f\xff\x51"  # what every codestream of JPEG 2000 begins with


def check(frame: bytes, image: ImagePixel) -> None:
    """Refuse a frame that was cut off, or that unpacks to another size than the header's."""
    if b"\xff\xd9" not in frame[-1024:]:  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
        raise ViewUnreadable(
            Code.UNDECODABLE, "The compressed image ends before its end-of-image marker"
        )
    if image.transfer_syntax_uid in JPEG2000TransferSyntaxes:
        rows, columns = jpeg_2000_size(frame)[:2]
    else:
        rows, columns, precision = jpeg_frame_header(frame)
        _check_precision(precision, image)
    if (rows, columns) != (image.rows, image.columns):
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"The compressed image has {rows} rows and {columns} columns, "
            f"its header says {image.rows} and {image.columns}",
        )


def _check_precision(precision: int, image: ImagePixel) -> None:
    """Refuse samples that are wider than their containers: gdcm writes past its buffer."""
    allocated = image.bits_allocated
    if not 2 <= precision <= allocated or allocated not in (8, 16):
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"The compressed image has {precision} bits, its header allocates {allocated}",
        )


class Size(NamedTuple):
    """The SIZ segment of JPEG 2000 (ISO/IEC 15444-1 A.5.1); the first component speaks for all."""

    rows: int
    columns: int
    components: int
    precision: int  # bits
    signed: bool


def jpeg_2000_size(frame: bytes) -> Size:
    """Return the SIZ segment, which follows SOC at once, in HTJ2K too (ISO/IEC 15444-15)."""
    start = frame.find(SOC_SIZ)
    if start < 0 or len(frame) < start + 43:
        raise ViewUnreadable(Code.UNDECODABLE, "The compressed image is not JPEG 2000")
    right, bottom, left, top = (
        int.from_bytes(frame[at : at + 4], "big") for at in range(start + 8, start + 24, 4)
    )
    components = int.from_bytes(frame[start + 40 : start + 42], "big")
    depth = frame[start + 42]
    return Size(bottom - top, right - left, components, (depth & 0x7F) + 1, depth > 0x7F)


def jpeg_frame_header(frame: bytes) -> tuple[int, int, int]:
    """Return (rows, columns, precision) of the frame header (ISO/IEC 10918-1 B.2.2).

    Every segment up to the scan must be in its place, and every Huffman table
    that the scan names must be there and whole: gdcm ends the whole process
    when libjpeg finds them damaged.
    """
    found: tuple[int, int, int] | None = None
    dc_alone = jpeg_ls = False
    tables: set[int] = set()
    for marker, segment in _segments(frame):
        if marker == DHT:
            tables |= _huffman_tables(segment)
        elif marker == SOS:
            if found is None or not (jpeg_ls or _tables_named(segment, dc_alone) <= tables):
                break
            return found
        elif marker in FRAME_HEADERS and len(segment) >= 5:
            rows, columns = segment[1:3], segment[3:5]
            found = int.from_bytes(rows, "big"), int.from_bytes(columns, "big"), segment[0]
            # A lossless scan has no AC coefficients, nor has the first progressive one.
            dc_alone, jpeg_ls = marker in (SOF2, SOF3), marker == SOF55
    raise ViewUnreadable(Code.UNDECODABLE, "The compressed image has damaged JPEG headers")


def _segments(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """Give each marker segment, its marker and what follows its length, as long as they are whole."""
    at = 2
    while frame[:2] == b"\xff\xd8" and frame[at : at + 1] == b"\xff" and len(frame) >= at + 4:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if length < 2 or len(frame) < at + 2 + length:
            return
        yield marker, frame[at + 4 : at + 2 + length]
        at += 2 + length


def _huffman_tables(segment: bytes) -> set[int]:
    """Return class and number, one byte, of the tables in a DHT segment (B.2.4.2)."""
    tables = set()
    at = 0
    while len(segment) >= at + 17:
        codes = sum(segment[at + 1 : at + 17])
        tables.add(segment[at])
        at += 17 + codes
    if at != len(segment):
        raise ViewUnreadable(Code.UNDECODABLE, "The compressed image has a damaged Huffman table")
    return tables


def _tables_named(segment: bytes, dc_alone: bool) -> set[int]:
    """Return the Huffman tables that a scan header names (B.2.3)."""
    named = set()
    for selector in segment[2 : 1 + 2 * (segment[0] if segment else 0) : 2]:
        named.add(selector >> 4)
        if not dc_alone:
            named.add(0x10 | (selector & 0x0F))
    return named
