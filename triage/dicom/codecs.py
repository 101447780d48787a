"""Which transfer syntaxes this installation can decode, and the decoding of one frame.

What cannot be decoded is refused at negotiation, so that the sender transcodes
it or reports the failure, instead of an image being stored that nothing reads.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders import JPEGExtended12BitDecoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
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

from triage.dicom import codestream
from triage.dicom.imagepixel import ImagePixel

Samples = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class _Codec:
    """A decoder."""

    plugin: str  # its name in pydicom's registry
    package: str  # what installs it


# The permissively licensed decoders as of 2026-11 (pylibjpeg-libjpeg is GPL). Milliseconds
# for one image of 2500 x 2000 noisy samples of 12 bits, baseline of 8; the least of 12 runs
# on 2 cores; + with both of them. All that read a syntax agree on every sample. * is chosen.
#
#                                               JPEG                        JPEG
#                                          RLE  base  ext.  lossless   -LS  2000  HTJ2K
#   pydicom 3.0.2             MIT   2026    80
#   pylibjpeg-rle 2.2.0       MIT   2025   *22
#   pillow 13.0.0         MIT-CMU   2026          *8                       *298+
#   python-gdcm 3.2.6  Apache-2.0   2026          33  *128      *144   154  365+
#   pyjpegls 1.5.1            MIT   2024                               *94
#   pylibjpeg-openjpeg 2.6.0  MIT   2026                                   *530     *55
#   imagecodecs 2026.3.6    BSD-3   2026           6    33        29    86  270+     27
#
# JPEG 2000 is OpenJPEG everywhere. gdcm's is of 2017 (2.3.0), and a damaged SIZ segment ends
# the process in it; pylibjpeg's has no threads; Pillow's has, and pylibjpeg's reads what
# Pillow does not (`_codec`). imagecodecs has no plugin for pydicom: sign, precision and
# colours would be ours to get right, and targets are met without it. gdcm, CharLS and OpenJPEG
# hold the interpreter while they decode: only processes decode several images at once.
_PILLOW = _Codec("pillow", "pillow")
_GDCM = _Codec("gdcm", "python-gdcm")
_CHARLS = _Codec("pyjpegls", "pyjpegls")
_OPENJPEG = _Codec("pylibjpeg", "pylibjpeg-openjpeg")
_RLE = _Codec("pylibjpeg", "pylibjpeg-rle")
_EXTENDED = _Codec("triage", "python-gdcm")  # see `_decode_frame`

# The threads that Pillow's OpenJPEG shares one image among. It reads this for every image.
os.environ.setdefault("OPJ_NUM_THREADS", str(min(4, len(os.sched_getaffinity(0)))))

_MOST_PIXELS = 64_000_000  # of JPEG 2000 that Pillow is given; the largest radiographs have 60

# In order of preference: what costs nothing to decode, what is lossless by the
# time that decoding takes, then what has lost something already. Big endian is
# retired, and old archives still send it.
#
# One decoder a syntax, not a chain of fall-backs: what was tested is what runs,
# and a damaged image fails the same way everywhere. JPEG 2000 has two, and the
# image says which (`_codec`).
_SYNTAXES: dict[str, tuple[_Codec, ...]] = {
    ExplicitVRLittleEndian: (),
    ImplicitVRLittleEndian: (),
    RLELossless: (_RLE,),
    DeflatedExplicitVRLittleEndian: (),
    HTJ2KLossless: (_OPENJPEG,),
    HTJ2KLosslessRPCL: (_OPENJPEG,),
    JPEGLSLossless: (_CHARLS,),
    JPEGLosslessSV1: (_GDCM,),
    JPEGLossless: (_GDCM,),
    JPEG2000Lossless: (_PILLOW, _OPENJPEG),
    JPEGBaseline8Bit: (_PILLOW,),
    HTJ2K: (_OPENJPEG,),
    JPEGLSNearLossless: (_CHARLS,),
    JPEGExtended12Bit: (_EXTENDED,),
    JPEG2000: (_PILLOW, _OPENJPEG),
    ExplicitVRBigEndian: (),
}


def negotiable() -> tuple[str, ...]:
    """Return the UIDs of the transfer syntaxes that can be decoded here, preferred ones first."""
    absent = missing()
    return tuple(str(uid) for uid in _SYNTAXES if uid not in absent)


def missing() -> dict[str, str]:
    """Return {UID: what to install} for the transfer syntaxes that cannot be decoded here."""
    absent = {
        str(uid): [
            codec.package
            for codec in codecs
            if codec.plugin not in get_decoder(uid).available_plugins
        ]
        for uid, codecs in _SYNTAXES.items()
    }
    return {
        uid: f"{UID(uid).name} cannot be decoded: install {' and '.join(names)}"
        for uid, names in absent.items()
        if names
    }


def packages(uid: str) -> tuple[str, ...]:
    """Return the packages that decode a negotiable transfer syntax."""
    return tuple(codec.package for codec in _SYNTAXES[uid]) or ("pydicom",)


def decode(frame: bytes, image: ImagePixel) -> tuple[Samples, str]:
    """Decode one compressed frame.

    Returns the samples, (H, W) or (H, W, 3), in containers of Bits Allocated,
    and the photometric interpretation that they have after decoding. JPEG-LS
    and JPEG 2000 samples have the sign that the header gives them; in the
    others the bits outside Bits Stored are as the encoder left them.
    """
    codec = _codec(frame, image)
    if image.transfer_syntax_uid != RLELossless:
        codestream.check(frame, image)
    known = options(image)
    if codec is _GDCM:
        # gdcm aborts where the header has fewer bits than the codestream.
        known["bits_stored"] = codestream.jpeg_frame_header(frame)[2]
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


def _codec(frame: bytes, image: ImagePixel) -> _Codec:
    """Return the decoder that this frame is given to.

    Pillow reads JPEG 2000 with several threads, but only grey of up to 16 bits,
    and rightly only where header and codestream agree on the sign. It takes a
    seventh more memory, which the largest images cannot afford.
    """
    codecs = _SYNTAXES[image.transfer_syntax_uid]
    if not codecs:
        raise ValueError("a native transfer syntax has no codec")
    if len(codecs) == 1:
        return codecs[0]
    grey, any_other = codecs
    size = codestream.jpeg_2000_size(frame)
    plain = (
        frame.startswith(codestream.SOC_SIZ)
        and size.rows * size.columns <= _MOST_PIXELS
        and size.components == 1
        and size.precision <= 16
        and size.signed == image.signed
    )
    return grey if plain else any_other


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

    precision = codestream.jpeg_frame_header(source)[2]
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
