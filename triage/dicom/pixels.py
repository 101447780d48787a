"""One view of a stored DICOM object, as the 8-bit grey image that a viewer would export.

The network was trained on such exports (MURA's PNGs), so serving must show it
the same: the same image as PNG and as DICOM object gives the same array.
Decoding may exhaust memory or crash in a codec; call it in a process that may die.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from io import SEEK_END, BytesIO
from pathlib import Path
from struct import unpack
from typing import BinaryIO
from warnings import catch_warnings, simplefilter

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import apply_color_lut, get_decoder
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from triage.core.reasons import Code
from triage.dicom import codecs, grey
from triage.dicom.grey import Grey
from triage.dicom.imagepixel import GREY, MAX_EXPANDED, ImagePixel, describe, number, value, whole
from triage.errors import ViewUnreadable

UNDEFINED_LENGTH = 0xFFFFFFFF  # PS3.5 7.1.1: what encapsulated pixel data has
PIXEL_DATA = (0x7FE0, 0x0010)

_READ = [
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "PresentationLUTShape"),
    *(
        f"{segmented}{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for segmented, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
    ),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
]


def read_view(path: Path, frame: int = 1) -> Grey:
    """Return one frame of the DICOM file, (H, W) uint8, 0 black; frames count from 1.

    The chain of PS3.3 C.11: stored values, Modality LUT, VOI LUT or window,
    presentation. Colours become grey. Only the wanted frame is read.

    Raises `ViewUnreadable` and nothing else, whatever the file holds.
    """
    try:
        # pydicom warns of what it repairs; a site that makes warnings errors must not lose a view.
        with catch_warnings(), np.errstate(all="ignore"):
            simplefilter("ignore")
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


def _read_view(path: Path, frame: int) -> Grey:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ViewUnreadable(
            Code.FILE_MISSING, f"The file cannot be opened ({error.strerror}): {path}"
        ) from error
    with file:
        stream = _inflated(file, path)
        header = dcmread(stream, stop_before_pixels=True, specific_tags=list(_READ))
        vr, length = _pixel_data(stream, header)
        image = describe(header)
        if not 1 <= frame <= image.frames:
            raise ViewUnreadable(
                Code.UNDECODABLE, f"Frame {frame} was asked for; the object has {image.frames}"
            )
        image, samples = _read_frame(stream, header, image, vr, length, frame)
    if image.photometric in GREY:
        return grey.render(
            samples, image.bits_stored, image.high_bit, image.signed, rendering(header, image)
        )
    return _grey_of_colours(samples, header, image)


def _inflated(file: BinaryIO, path: Path) -> BinaryIO:
    """Return the file, or what a deflated one expands to (PS3.5 A.5), within the limit."""
    meta = read_file_meta_info(path)
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


def _pixel_data(stream: BinaryIO, header: Dataset) -> tuple[str, int]:
    """Return VR and length of Pixel Data; *stream*, at its tag, then stands at its value."""
    syntax = UID(header.file_meta.get("TransferSyntaxUID", ""))
    if syntax not in codecs.negotiable():
        named = f"The transfer syntax {syntax.name} is not supported" if syntax else None
        why = codecs.missing().get(syntax, named or "The file names no transfer syntax")
        raise ViewUnreadable(Code.UNDECODABLE, why)
    order = "<" if syntax.is_little_endian else ">"
    size = 8 if syntax.is_implicit_VR else 12
    start = stream.read(size)
    if len(start) < size or unpack(f"{order}HH", start[:4]) != PIXEL_DATA:
        raise ViewUnreadable(Code.NOT_AN_IMAGE, "The object has no Pixel Data (7FE0,0010)")
    vr = "OW" if syntax.is_implicit_VR else start[4:6].decode("ascii", "replace")
    return vr, int(unpack(f"{order}L", start[-4:])[0])


def _read_frame(
    stream: BinaryIO, header: Dataset, image: ImagePixel, vr: str, length: int, frame: int
) -> tuple[ImagePixel, grey.Integers]:
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


def _check_native_length(stream: BinaryIO, image: ImagePixel, length: int) -> None:
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


def rendering(header: Dataset, image: ImagePixel) -> grey.Rendering:
    """Return how the header wants the stored values shown (PS3.3 C.11.1, C.11.2, C.11.6)."""
    modality = _table(header, "ModalityLUTSequence", image) or grey.Rescale(
        number(header, "RescaleSlope") or 1, number(header, "RescaleIntercept") or 0
    )
    shape = str(value(header, "PresentationLUTShape") or "").strip().upper()
    return grey.Rendering(
        modality=modality,
        voi=_table(header, "VOILUTSequence", image) or _window(header),
        # Either says that the lowest value is white; together they say it once.
        inverted=image.photometric == "MONOCHROME1" or shape == "INVERSE",
        padding=_padding(header, image),
    )


def _window(header: Dataset) -> grey.Window | None:
    """Return the first of the windows (PS3.3 C.11.2.1.2)."""
    centre, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    if centre is None or width is None:
        return None
    name = str(value(header, "VOILUTFunction") or "").strip().upper()
    known = name in grey.Function.__members__
    return grey.Window(centre, width, grey.Function(name) if known else grey.Function.LINEAR)


def _padding(header: Dataset, image: ImagePixel) -> tuple[int, int] | None:
    """Return the stored values that are padding, inclusive (PS3.3 C.7.5.1.1.2)."""
    if number(header, "PixelPaddingValue") is None:
        return None
    one = whole(header, "PixelPaddingValue", 0)
    other = whole(header, "PixelPaddingRangeLimit", one)
    first, last = sorted(_signed(end) if image.signed else end for end in (one, other))
    return first, last


def _signed(word: int) -> int:
    """Read 16 bits as two's complement: US or SS is easily written wrong."""
    return word - (1 << 16) if word >= 1 << 15 else word


def _table(header: Dataset, keyword: str, image: ImagePixel) -> grey.Table | None:
    """Return the first look-up table of a sequence; None where there is none that can be used."""
    item = value(header, keyword)
    descriptor, data = (
        (item.get("LUTDescriptor"), item.get("LUTData")) if item is not None else (None, None)
    )
    if not descriptor or not data:
        return None
    size, first, bits = (int(entry) & 0xFFFF for entry in descriptor)
    size = size or 1 << 16
    words = _words(data, image)
    if words.size == (size + 1) // 2 and bits <= 8:  # two entries of 8 bits to a word
        words = words.astype("<u2").view(np.uint8).astype(np.uint16)
    if words.size < size:
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"A look-up table has {words.size} entries where its descriptor says {size}",
        )
    entries = words[:size].astype(np.float64)
    # More bits than the descriptor admits are there all the same.
    bits = max(bits, int(entries.max()).bit_length(), 1)
    return grey.Table(_signed(first) if image.signed else first, entries, bits)


def _words(data: bytes | Sequence[int] | int, image: ImagePixel) -> npt.NDArray[np.uint16]:
    """Return LUT Data, US or OW, as words in the byte order of this machine."""
    if isinstance(data, bytes):
        order = "<" if UID(image.transfer_syntax_uid).is_little_endian else ">"
        return np.frombuffer(data, f"{order}u2").astype(np.uint16)
    return np.atleast_1d(np.asarray(data, np.int64)).astype(np.uint16)


def _grey_of_colours(samples: grey.Integers, header: Dataset, image: ImagePixel) -> Grey:
    """Return the grey image of colours, (H, W, 3), or of indices into a palette, (H, W)."""
    bits, high_bit = image.bits_stored, image.high_bit
    if bits > 16:  # the upper 16 are more than enough
        samples, bits, high_bit = samples >> (high_bit - 15), 16, 15
    domain, index = grey.stored_values(samples, bits, high_bit, image.signed)
    if image.photometric == "PALETTE COLOR":
        if not UID(image.transfer_syntax_uid).is_little_endian:
            raise ViewUnreadable(
                Code.UNDECODABLE, "A palette in big endian byte order is not supported"
            )
        colours = apply_color_lut(domain, header)[..., :3]
        depth = 8 * colours.dtype.itemsize
        return np.asarray(grey.luma(colours, depth)[index])
    if image.photometric.startswith("YBR"):
        # The Y of YBR_FULL is the luma that grey would be computed from (PS3.3 C.7.6.3.1.2).
        return grey.luma(np.repeat(index[..., :1], 3, axis=-1), bits)
    return grey.luma(index, bits)
