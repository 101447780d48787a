"""The same image in every lossless transfer syntax, by encoders that are not the decoders under test where others exist."""

import copy
import subprocess
from pathlib import Path

import imagecodecs
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

# DCMTK's programs with their options.
_DCMTK = {
    ExplicitVRLittleEndian: ("dcmconv", "+te"),
    ImplicitVRLittleEndian: ("dcmconv", "+ti"),
    ExplicitVRBigEndian: ("dcmconv", "+tb"),
    DeflatedExplicitVRLittleEndian: ("dcmconv", "+td"),
    RLELossless: ("dcmcrle",),
    JPEGLosslessSV1: ("dcmcjpeg", "+e1"),
    JPEGLossless: ("dcmcjpeg", "+el"),
    JPEGLSLossless: ("dcmcjpls", "+el"),
}
LOSSLESS = (*_DCMTK, JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL)


def encoded(source: Path, syntax: str, target: Path) -> Dataset:
    """Write the native image *source* into *target* in a lossless transfer syntax; return it."""
    if syntax in _DCMTK:
        program, *options = _DCMTK[syntax]
        keep_uid = ["+un"] if program in ("dcmcjpeg", "dcmcjpls", "dcmcrle") else []
        subprocess.run([program, *options, *keep_uid, str(source), str(target)], check=True)
        return dcmread(target)
    dataset = copy.deepcopy(dcmread(source))
    if syntax == JPEG2000Lossless:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        frame = imagecodecs.htj2k_encode(dataset.pixel_array, reversible=True)
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(target, enforce_file_format=True)
    return dataset
