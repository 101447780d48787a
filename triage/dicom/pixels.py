"""One view of a stored DICOM object, as the 8-bit grey image that a viewer would export.

The network was trained on such exports (MURA's PNGs), so serving must show it
the same: the same image as PNG and as DICOM object gives the same array.
Decoding may exhaust memory or crash in a codec; call it in a process that may die.
"""

import re
import warnings
import zlib
from dataclasses import replace
from io import SEEK_END, BufferedIOBase, BufferedReader, BytesIO, FileIO
from mmap import ACCESS_READ, mmap
from os import fstat
from pathlib import Path
from struct import unpack

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.pixels import get_decoder
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

from triage.core.reasons import Code
from triage.dicom import codecs, presentation
from triage.dicom.excerpt import MOST_ELEMENTS, read_excerpt
from triage.dicom.fileformat import read_meta
from triage.dicom.imagepixel import KEYWORDS, MAX_EXPANDED, ImagePixel, describe
from triage.dicom.lookup import Grey, Integers
from triage.errors import ViewUnreadable

_META = 4096  # bytes in which the transfer syntax stands; file meta information has some 300
UNDEFINED_LENGTH = 0xFFFFFFFF  # PS3.5 7.1.1: what encapsulated pixel data has
PIXEL_DATA = (0x7FE0, 0x0010)
FLOAT_PIXEL_DATA = ((0x7FE0, 0x0008), (0x7FE0, 0x0009))  # single and double precision

_READ = [
    Tag(keyword)
    for keyword in (
        *KEYWORDS,
        *presentation.KEYWORDS,
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
    )
]
# What pydicom and the codecs repair they warn of; a site that makes warnings errors must not
# lose a view by it.
_QUIET = ("ignore", None, Warning, re.compile(r"pydicom|PIL|gdcm|jpeg_ls|libjpeg|openjpeg|rle"), 0)


def read_view(path: Path, frame: int = 1) -> Grey:
    """Return one frame of the DICOM file, (H, W) uint8, 0 black; frames count from 1.

    The chain of PS3.3 C.11: stored values, Modality LUT, VOI LUT or window,
    presentation. Colours become grey. Only the wanted frame is read.

    Raises `ViewUnreadable` and nothing else, whatever the file holds.
    """
    try:
        _quieten()
        with np.errstate(all="ignore"):
            return _read_view(path, frame)
    except (ViewUnreadable, KeyboardInterrupt, SystemExit):
        raise
    except InvalidDicomError as error:
        raise ViewUnreadable(Code.NOT_AN_IMAGE, "The file is not a DICOM file (PS3.10)") from error
    except MemoryError as error:
        raise ViewUnreadable(
            Code.TOO_LARGE, "There is not enough memory to decode the image"
        ) from error
    except BaseException as error:  # a panic in Rust (RLE) is no Exception
        cause = " ".join(str(error).split())[:300] or type(error).__name__
        raise ViewUnreadable(
            Code.UNDECODABLE, f"The pixel data cannot be decoded ({cause})"
        ) from error


class _File(BufferedReader):
    """A file of which no more is read than there is.

    Python reserves memory for what it is asked to read, and a damaged length asks for 4 GiB.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Read *size* bytes or what is left."""
        if size is not None and size > _META:
            size = max(0, min(size, fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


def _quieten() -> None:
    """Ignore the libraries' warnings from now on; `catch_warnings` is not safe among threads."""
    if not warnings.filters or warnings.filters[0] != _QUIET:
        warnings.filterwarnings("ignore", module=_QUIET[3].pattern)


def _read_view(path: Path, frame: int) -> Grey:
    try:
        file = _File(FileIO(path))
    except OSError as error:
        raise ViewUnreadable(
            Code.FILE_MISSING, f"The file cannot be opened ({error.strerror}): {path}"
        ) from error
    with file:
        stream = _inflated(file)
        _check_length(stream)
        header = dcmread(stream, stop_before_pixels=True, specific_tags=_READ)
        vr, length = _pixel_data(stream, header)
        image = describe(header)
        if not 1 <= frame <= image.frames:
            raise ViewUnreadable(
                Code.UNDECODABLE, f"Frame {frame} was asked for; the object has {image.frames}"
            )
        image, samples = _read_frame(stream, header, image, vr, length, frame)
    return presentation.show(samples, header, image)


def _inflated(file: BufferedReader) -> BufferedIOBase:
    """Return the file, or what a deflated one expands to (PS3.5 A.5), within the limit."""
    start = file.read(_META)
    file.seek(0)
    if DeflatedExplicitVRLittleEndian.encode() not in start:  # parsing takes its time
        return file
    meta = read_meta(file)
    file.seek(0)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return file
    # Preamble and prefix, the element that holds the length of the group, the group (PS3.10 7.1).
    head = file.read(132 + 12 + meta.FileMetaInformationGroupLength)
    expanded = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), MAX_EXPANDED + 1)
    if len(expanded) > MAX_EXPANDED:
        raise ViewUnreadable(
            Code.TOO_LARGE, f"The deflated data set expands to more than {MAX_EXPANDED} bytes"
        )
    deflated, plain = (
        uid.encode() for uid in (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian)
    )
    return BytesIO(head.replace(deflated, plain.ljust(len(deflated), b"\0")) + expanded)


def _check_length(stream: BufferedIOBase) -> None:
    """Refuse a header that would keep pydicom busy: each element takes its time, however small.

    What is large and not asked for is stepped over, and costs nothing.
    """
    little_endian = read_meta(stream).get("TransferSyntaxUID") != ExplicitVRBigEndian
    if read_excerpt(stream, little_endian=little_endian, wanted={}).too_long:
        raise ViewUnreadable(
            Code.TOO_LARGE,
            f"More than {MOST_ELEMENTS} elements stand before the pixel data",
        )
    stream.seek(0)


def _pixel_data(stream: BufferedIOBase, header: Dataset) -> tuple[str, int]:
    """Return VR and length of Pixel Data; *stream*, at its tag, then stands at its value."""
    syntax = UID(header.file_meta.get("TransferSyntaxUID", ""))
    if syntax not in codecs.negotiable():
        named = f"The transfer syntax {syntax.name} is not supported" if syntax else None
        why = codecs.missing().get(syntax, named or "The file names no transfer syntax")
        raise ViewUnreadable(Code.UNDECODABLE, why)
    order = "<" if syntax.is_little_endian else ">"
    size = 8 if syntax.is_implicit_VR else 12
    start = stream.read(size)
    tag = unpack(f"{order}HH", start[:4]) if len(start) == size else None
    if tag in FLOAT_PIXEL_DATA:
        raise ViewUnreadable(
            Code.UNDECODABLE, "Pixel data of floating-point numbers (7FE0,0008) is not supported"
        )
    if tag != PIXEL_DATA:
        raise ViewUnreadable(Code.NOT_AN_IMAGE, "The object has no Pixel Data (7FE0,0010)")
    vr = "OW" if syntax.is_implicit_VR else start[4:6].decode("ascii", "replace")
    return vr, int(unpack(f"{order}L", start[-4:])[0])


def _read_frame(
    stream: BufferedIOBase, header: Dataset, image: ImagePixel, vr: str, length: int, frame: int
) -> tuple[ImagePixel, Integers]:
    """Return the samples of one frame, (H, W) or (H, W, 3), and what describes them now."""
    if image.encapsulated:
        if length != UNDEFINED_LENGTH:
            raise ViewUnreadable(Code.UNDECODABLE, "The compressed pixel data has no fragments")
        tables = [header.get(f"ExtendedOffsetTable{part}") for part in ("", "Lengths")]
        encoded = get_frame(
            stream,
            frame - 1,
            number_of_frames=image.frames,
            extended_offsets=(tables[0], tables[1]) if all(tables) else None,
        )
        samples, photometric = codecs.decode(encoded, image)
        return replace(image, photometric=photometric), samples
    _check_native_length(stream, image, length)
    # Of 8 bits two to a word, in big endian, the second comes first (PS3.5 8.1.1).
    in_order = image.little_endian or vr == "OB" or image.bits_allocated > 8
    if image.samples == 1 and image.bits_allocated > 1 and in_order:
        return image, _native(stream, image, frame)
    samples, properties = get_decoder(image.transfer_syntax_uid).as_array(
        stream,
        index=frame - 1,
        raw=True,
        view_only=True,
        number_of_frames=image.frames,
        pixel_keyword="PixelData",
        pixel_vr=vr,
        **codecs.options(image),
    )
    return replace(image, photometric=str(properties["photometric_interpretation"])), samples


def _native(stream: BufferedIOBase, image: ImagePixel, frame: int) -> Integers:
    """Return one frame of native samples, (H, W), where they lie in the file: nothing is copied.

    The file is mapped into memory; that it is long enough was checked before.
    One that is cut off meanwhile ends the process, as a codec may.
    """
    order = "<" if image.little_endian else ">"
    samples = np.dtype(f"{order}u{image.bits_allocated // 8}")
    shape = image.rows, image.columns
    start = stream.tell() + (frame - 1) * shape[0] * shape[1] * samples.itemsize
    whole = (
        stream.getbuffer()
        if isinstance(stream, BytesIO)
        else mmap(stream.fileno(), 0, access=ACCESS_READ)
    )
    return np.ndarray(shape, samples, whole, start)


def _check_native_length(stream: BufferedIOBase, image: ImagePixel, length: int) -> None:
    """Refuse pixel data whose length contradicts the header: the picture would be sheared."""
    start = stream.tell()
    there = min(length, stream.seek(0, SEEK_END) - start)
    stream.seek(start)
    expected = (image.frame_bits * image.frames + 7) // 8
    row = max(image.frame_bits // image.rows // 8, 2)
    padding = there - expected
    if padding >= row:
        stream.seek(start + expected)
        padding = 0 if not any(stream.read(padding)) else padding
        stream.seek(start)
    if not 0 <= padding < row:
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"The pixel data has {there} bytes where the header asks for {expected}",
        )
