"""What a compressed frame says of itself, looked at before a decoder sees it.

Decoders trust a codestream: they allocate what it asks for, paint what is
missing grey and report success, or end the process.
"""

from typing import NamedTuple

from pydicom.uid import JPEG2000TransferSyntaxes

from triage.core.reasons import Code
from triage.dicom.imagepixel import ImagePixel
from triage.errors import ViewUnreadable

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
        rows, columns, _ = jpeg_frame_header(frame)
    if (rows, columns) != (image.rows, image.columns):
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"The compressed image has {rows} rows and {columns} columns, "
            f"its header says {image.rows} and {image.columns}",
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

    Every segment up to the scan must be in its place: gdcm ends the whole
    process when libjpeg finds them damaged.
    """
    found: tuple[int, int, int] | None = None
    tables = False
    at = 2
    while frame[:2] == b"\xff\xd8" and frame[at : at + 1] == b"\xff" and len(frame) >= at + 9:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xDA and found and tables:
            return found
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = frame[at + 5 : at + 7], frame[at + 7 : at + 9]
            found = int.from_bytes(rows, "big"), int.from_bytes(columns, "big"), frame[at + 4]
        # Huffman tables; JPEG-LS (SOF55) has none
        tables = tables or marker in (0xC4, 0xF7)
        at += 2 + length
    raise ViewUnreadable(Code.UNDECODABLE, "The compressed image has damaged JPEG headers")
