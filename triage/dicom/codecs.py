"""Which transfer syntaxes this installation can decode, and the decoding of one frame.

What cannot be decoded is refused at negotiation, so that the sender transcodes
it or reports the failure, instead of an image being stored that nothing reads.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders import JPEGExtended12BitDecoder
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from triage.core.reasons import Code
from triage.dicom.imagepixel import ImagePixel
from triage.errors import ViewUnreadable

Samples = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class _Codec:
    """The one decoder that a compressed transfer syntax is given to.

    One, not a chain of fall-backs: what was tested is what runs, and a damaged
    image fails the same way everywhere.
    """

    plugin: str  # its name in pydicom's registry
    package: str  # what installs it


# gdcm (Apache-2.0) is the only permissively licensed reader of lossless JPEG;
# pylibjpeg-libjpeg would read all of JPEG too, but is GPL. Baseline goes to
# Pillow (MIT-CMU), which takes a third of gdcm's time. CharLS (pyjpegls, MIT) takes two
# thirds of gdcm's for JPEG-LS and has no trouble with 6 and 7 bits; OpenJPEG
# (pylibjpeg-openjpeg, MIT) is what gdcm and Pillow contain as well, but here it
# honours precision and sign of the codestream; RLE in Rust (pylibjpeg-rle, MIT)
# takes a fifth of pydicom's time. The last three are kept up by pydicom's own
# maintainers.
_PILLOW = _Codec("pillow", "pillow")
_GDCM = _Codec("gdcm", "python-gdcm")
_CHARLS = _Codec("pyjpegls", "pyjpegls")
_OPENJPEG = _Codec("pylibjpeg", "pylibjpeg-openjpeg")
_RLE = _Codec("pylibjpeg", "pylibjpeg-rle")
_EXTENDED = _Codec("triage", "python-gdcm")  # see `_decode_frame`

# In order of preference: what costs nothing to decode, what is lossless by the
# time that decoding takes, then what has lost something already. Big endian is
# retired, and old archives still send it.
_SYNTAXES: dict[str, _Codec | None] = {
    ExplicitVRLittleEndian: None,
    ImplicitVRLittleEndian: None,
    RLELossless: _RLE,
    DeflatedExplicitVRLittleEndian: None,
    JPEGLSLossless: _CHARLS,
    JPEGLosslessSV1: _GDCM,
    JPEGLossless: _GDCM,
    JPEG2000Lossless: _OPENJPEG,
    JPEGBaseline8Bit: _PILLOW,
    JPEGExtended12Bit: _EXTENDED,
    JPEGLSNearLossless: _CHARLS,
    JPEG2000: _OPENJPEG,
    ExplicitVRBigEndian: None,
}


def negotiable() -> tuple[str, ...]:
    """Return the UIDs of the transfer syntaxes that can be decoded here, preferred ones first."""
    absent = missing()
    return tuple(str(uid) for uid in _SYNTAXES if uid not in absent)


def missing() -> dict[str, str]:
    """Return {UID: what to install} for the transfer syntaxes that cannot be decoded here."""
    return {
        str(uid): f"{UID(uid).name} cannot be decoded: install {codec.package}"
        for uid, codec in _SYNTAXES.items()
        if codec and codec.plugin not in get_decoder(uid).available_plugins
    }


def decode(frame: bytes, image: ImagePixel) -> tuple[Samples, str]:
    """Decode one compressed frame.

    Returns the samples, (H, W) or (H, W, 3), in containers of Bits Allocated,
    and the photometric interpretation that they have after decoding. JPEG-LS
    and JPEG 2000 samples have the sign that the header gives them; in the
    others the bits outside Bits Stored are as the encoder left them.
    """
    codec = _SYNTAXES[image.transfer_syntax_uid]
    if codec is None:
        raise ValueError("a native transfer syntax has no codec")
    if image.transfer_syntax_uid != RLELossless:
        _check_codestream(frame, image)
    known = options(image)
    array, properties = get_decoder(image.transfer_syntax_uid).as_array(
        _one_fragment(frame),
        index=0,
        raw=True,
        decoding_plugin=codec.plugin,
        number_of_frames=1,
        pixel_keyword="PixelData",
        **known,
    )
    if "correct_unused_bits" not in known:
        array = _within_bits_stored(array, image)
    return array, str(properties["photometric_interpretation"])


def options(image: ImagePixel) -> dict[str, Any]:
    """Return what pydicom's decoders want to know of the samples."""
    own_sign = {*JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes}
    return {
        "rows": image.rows,
        "columns": image.columns,
        "samples_per_pixel": image.samples,
        "photometric_interpretation": image.photometric,
        "planar_configuration": image.planar,
        "bits_allocated": image.bits_allocated,
        "bits_stored": image.bits_stored,
        "pixel_representation": int(image.signed),
        # The bits that are not the value are masked with the other steps (grey.py).
        **({} if image.transfer_syntax_uid in own_sign else {"correct_unused_bits": False}),
    }


def _one_fragment(frame: bytes) -> bytes:
    """Return the frame as encapsulated pixel data, its offset table empty (PS3.5 A.4)."""
    item, end = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
    size = len(frame).to_bytes(4, "little")
    return b"".join((item, bytes(4), item, size, frame, end, bytes(4)))


def _within_bits_stored(array: Samples, image: ImagePixel) -> Samples:
    """Clip what lies beyond Bits Stored.

    A codestream may have more precision than the header. Loss then overshoots,
    and masking would wrap white round to black.
    """
    lowest = -(1 << (image.bits_stored - 1)) if image.signed else 0
    highest = lowest + (1 << image.bits_stored) - 1
    if array.min() < lowest or array.max() > highest:
        return np.clip(array, lowest, highest)
    return array


def _check_codestream(frame: bytes, image: ImagePixel) -> None:
    """Refuse a frame that was cut off, or that unpacks to another size than the header's.

    Decoders allocate what the codestream asks for, and libjpeg paints what is
    missing grey and reports success.
    """
    if b"\xff\xd9" not in frame[-1024:]:  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
        raise ViewUnreadable(
            Code.UNDECODABLE, "The compressed image ends before its end-of-image marker"
        )
    if image.transfer_syntax_uid in JPEG2000TransferSyntaxes:
        rows, columns = _jpeg_2000_size(frame)
    else:
        rows, columns, _ = _jpeg_frame_header(frame)
    if (rows, columns) != (image.rows, image.columns):
        raise ViewUnreadable(
            Code.UNDECODABLE,
            f"The compressed image has {rows} rows and {columns} columns, "
            f"its header says {image.rows} and {image.columns}",
        )


def _jpeg_2000_size(frame: bytes) -> tuple[int, int]:
    """Return (rows, columns) of the SIZ segment (ISO/IEC 15444-1 A.5.1)."""
    start = frame.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(frame) < start + 24:
        raise ViewUnreadable(Code.UNDECODABLE, "The compressed image is not JPEG 2000")
    right, bottom, left, top = (
        int.from_bytes(frame[at : at + 4], "big") for at in range(start + 8, start + 24, 4)
    )
    return bottom - top, right - left


def _jpeg_frame_header(frame: bytes) -> tuple[int, int, int]:
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


# A decoder plugin in pydicom's sense: JPEG extended (process 2 and 4). pydicom
# keeps 12-bit samples away from gdcm, whose 12-bit libjpeg decodes them as
# DCMTK does, bit for bit, once it is told that 12 bits are allocated.
DECODER_DEPENDENCIES = {JPEGExtended12Bit: ("gdcm>=3.0.10",)}


def is_available(uid: str) -> bool:
    """Say whether the plugin can decode *uid* (asked by pydicom's registry)."""
    return uid == JPEGExtended12Bit and "gdcm" in JPEGExtended12BitDecoder.available_plugins


def _decode_frame(source: bytes, runner: Any) -> bytes:
    """Decode one frame of JPEG extended; the interface is that of pydicom's plugins."""
    import gdcm

    precision = _jpeg_frame_header(source)[2]
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(source)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    photometric = gdcm.PhotometricInterpretation.GetPIType(str(runner.photometric_interpretation))
    syntax = gdcm.TransferSyntax.GetTSType(str(JPEGExtended12Bit))
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(photometric))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    image.SetPixelFormat(
        gdcm.PixelFormat(runner.samples_per_pixel, precision, precision, precision - 1, 0)
    )
    runner.set_option("bits_allocated", 8 if precision == 8 else 16)
    decoded: str = image.GetBuffer()
    return decoded.encode("utf-8", "surrogateescape")


if "triage" not in JPEGExtended12BitDecoder.available_plugins:
    JPEGExtended12BitDecoder.add_plugin("triage", (__name__, "_decode_frame"))
