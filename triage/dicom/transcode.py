"""Our own images in other transfer syntaxes, to measure their decoding with."""

from dataclasses import dataclass
from pathlib import Path

import gdcm
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from triage.dicom import codecs

# HTJ2K is decoded too, and not here: no encoder of it comes with the package.
SYNTAXES = (RLELossless, JPEGLSLossless, JPEGLosslessSV1, JPEGExtended12Bit, JPEG2000Lossless)


@dataclass(frozen=True)
class Transcoded:
    """An image in a transfer syntax."""

    uid: str
    name: str  # of the transfer syntax, PS3.6 annex A, without its remarks
    path: Path


def transcode(source: Path, folder: Path) -> list[Transcoded]:
    """Write *source*, a native image of 12 bits, into *folder* in each of SYNTAXES.

    *source* itself comes first; what cannot be made or decoded here is left out.
    """
    decoded = codecs.negotiable()
    found = [_entry(ExplicitVRLittleEndian, source)]
    for uid in SYNTAXES:
        target = folder / f"{uid}.dcm"
        if uid in decoded and _write(source, uid, target):
            found.append(_entry(uid, target))
    return found


def _entry(uid: UID, path: Path) -> Transcoded:
    return Transcoded(str(uid), uid.name.partition(" (")[0], path)


def _write(source: Path, uid: UID, target: Path) -> bool:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    if not reader.Read():
        return False
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(uid))))
    change.SetInput(reader.GetImage())
    if not change.Change():
        return False
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(target))
    return bool(writer.Write())
