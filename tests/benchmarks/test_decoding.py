"""From file to network input, against the plain way to the pixels. See README.md for the figures."""

import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace

import imagecodecs
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless

from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.dicom import radiograph
from triage.dicom.pixels import read_view
from triage.model.card import Preprocessing
from triage.model.preprocess import prepare
from triage.research.phantoms import expose, hand

pytestmark = [pytest.mark.benchmark, pytest.mark.dcmtk]

ROUNDS = 15
# How many times as long as `pydicom.dcmread(path).pixel_array` it may take, to the network's input.
TARGETS = {
    "native": 2.0,
    "RLE": None,
    "JPEG lossless": 1.2,
    "JPEG-LS": 1.2,
    "JPEG 2000": 1.2,
    "HTJ2K": None,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A wrist of 2500 x 2000 pixels and 12 bits, by transfer syntax."""
    folder = tmp_path_factory.mktemp("decoding")
    view = expose(
        replace(hand.wrist_pa(), size=(200.0, 250.0), pixel=0.1), Side.RIGHT, seed=(0, 0, 0)
    )
    assert view.pixels.shape == (2500, 2000)
    header = radiograph.StudyHeader(
        study_instance_uid=radiograph.uid("study", "decoding"), study_type=StudyType.WRIST
    )
    native = folder / "native.dcm"
    radiograph.save(radiograph.digital_radiograph(view.pixels, header), native)
    files = {"native": native}
    for name, *command in (
        ("RLE", "dcmcrle"),
        ("JPEG lossless", "dcmcjpeg", "+e1"),
        ("JPEG-LS", "dcmcjpls", "+el"),
    ):
        files[name] = folder / f"{name}.dcm"
        subprocess.run([*command, native, files[name]], check=True)
    for name, syntax, frame in (
        (
            "JPEG 2000",
            JPEG2000Lossless,
            imagecodecs.jpeg2k_encode(
                view.pixels, codecformat="j2k", reversible=True, bitspersample=12, level=0
            ),
        ),
        ("HTJ2K", HTJ2KLossless, imagecodecs.htj2k_encode(view.pixels, reversible=True)),
    ):
        ds = dcmread(native)
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].VR = "OB"
        files[name] = folder / f"{name}.dcm"
        ds.save_as(files[name], enforce_file_format=True)
    return files


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@pytest.mark.parametrize("name", TARGETS)
def test_decoding_keeps_pydicoms_pace(name, files, report_figure):
    path, preprocessing = files[name], Preprocessing()
    plain, whole = [], []
    for _ in range(ROUNDS):  # in turn, so that other work on the machine meets both
        plain.append(seconds(lambda: dcmread(path).pixel_array))
        whole.append(seconds(lambda: prepare(read_view(path), preprocessing)))

    theirs, ours = statistics.median(plain), statistics.median(whole)
    target = TARGETS[name]
    report_figure(
        f"decoding {name:13}  pixel_array {theirs * 1000:6.1f} ms   "
        f"to the network's input {ours * 1000:6.1f} ms   ratio {ours / theirs:4.2f}"
        + (f", at most {target}" if target else "")
    )
    assert target is None or ours <= target * theirs
