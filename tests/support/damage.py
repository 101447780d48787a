"""Damaged objects: small sound ones, and what a bad disk, sender or enemy makes of them."""

import random
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom.data
from pydicom import Dataset, dcmread
from pydicom.uid import JPEG2000, JPEGLSNearLossless

from tests.support.encoders import LOSSLESS, encoded
from tests.support.mutations import MUTATIONS, Seed
from tests.support.studies import picture
from triage.dicom import codecs, radiograph

LARGEST = 70_000  # bytes of a seed: a small file is tried many times a second


@dataclass(frozen=True)
class Damaged:
    """What became of a seed; the same for the same number."""

    seed: Seed
    done: str  # the mutations
    data: bytes


def seeds(folder: Path) -> list[Seed]:
    """Return objects of every transfer syntax and photometric interpretation, sorted by name."""
    for name, dataset in _own().items():
        radiograph.save(dataset, folder / f"{name}-native.dcm")
        for syntax in LOSSLESS:
            if syntax in codecs.negotiable() and not _foreign(name, syntax):
                encoded(folder / f"{name}-native.dcm", syntax, folder / f"{name}-{syntax}.dcm")
    _lossy(folder)
    foreign = Path(pydicom.data.__file__).parent.rglob("*.dcm")
    files = [*folder.glob("*.dcm"), *foreign]
    found = (_seed(path) for path in files if path.stat().st_size <= LARGEST)
    return sorted((seed for seed in found if seed), key=lambda seed: seed.name)


def damaged(sound: list[Seed], number: int) -> Damaged:
    """Return damaged object *number*."""
    chance = random.Random(number)  # noqa: S311  a reproducible one
    seed = sound[number % len(sound)]
    data, done = bytearray(seed.data), []
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        mutation = chance.choice(MUTATIONS)
        mutation(data, seed, chance)
        done.append(mutation.__name__.strip("_"))
    return Damaged(seed, "+".join(done), bytes(data))


def _foreign(name: str, syntax: str) -> bool:
    """Say whether an encoder does not know this kind of image."""
    if name in ("signed", "colour"):
        return syntax.startswith("1.2.840.10008.1.2.4.20")
    return name == "palette" and syntax.startswith("1.2.840.10008.1.2.4")


def _own() -> dict[str, Dataset]:
    """Return small objects that use every attribute of the grey pipeline."""
    grey = picture(1)[:40, :36]
    deep = (grey.astype(np.uint16) << 4) + 7
    header = radiograph.StudyHeader(
        study_instance_uid=radiograph.uid("damaged"), study_type=None, patient_name="A^B"
    )
    made = {
        name: radiograph.digital_radiograph(pixels, header, sop_instance_uid=radiograph.uid(name))
        for name, pixels in {
            "plain": grey,
            "window": deep,
            "signed": deep,
            "lut": deep,
            "field": deep,
            "colour": grey,
            "palette": grey,
        }.items()
    }
    made["signed"].PixelRepresentation = 1
    for keyword in ("WindowCenter", "WindowWidth"):
        del made["lut"][keyword], made["field"][keyword]
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [4096, 0, 12], np.arange(4096, dtype="<u2").tobytes()
    made["lut"].VOILUTSequence = [item]
    made["lut"].PhotometricInterpretation = "MONOCHROME1"
    _bound(made["field"])
    made["colour"].SamplesPerPixel, made["colour"].PlanarConfiguration = 3, 0
    made["colour"].PhotometricInterpretation = "RGB"
    made["colour"].PixelData = np.repeat(grey, 3).tobytes()
    made["palette"].PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        keyword = f"{colour}PaletteColorLookupTable"
        setattr(made["palette"], f"{keyword}Descriptor", [256, 0, 16])
        setattr(made["palette"], f"{keyword}Data", np.arange(0, 65536, 256, "<u2").tobytes())
    return made


def _bound(dataset: Dataset) -> None:
    """Give the object padding and an exposed field of every shape."""
    dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 0, 20
    dataset["PixelPaddingValue"].VR = dataset["PixelPaddingRangeLimit"].VR = "US"
    dataset.ShutterShape = ["RECTANGULAR", "CIRCULAR", "POLYGONAL"]
    dataset.ShutterLeftVerticalEdge, dataset.ShutterRightVerticalEdge = 3, 18
    dataset.ShutterUpperHorizontalEdge, dataset.ShutterLowerHorizontalEdge = 2, 22
    dataset.CenterOfCircularShutter, dataset.RadiusOfCircularShutter = [12, 10], 9
    dataset.VerticesOfThePolygonalShutter = [1, 1, 1, 20, 24, 10]
    dataset.CollimatorShape = "CIRCULAR"
    dataset.CenterOfCircularCollimator, dataset.RadiusOfCircularCollimator = [12, 10], 10


def _lossy(folder: Path) -> None:
    for syntax in (JPEGLSNearLossless, JPEG2000):
        dataset = dcmread(folder / "plain-native.dcm")
        options = {"jls_error": 2} if syntax == JPEGLSNearLossless else {"j2k_psnr": [60]}
        dataset.compress(syntax, **options)
        radiograph.save(dataset, folder / f"lossy-{syntax}.dcm")
    for name, option in (("plain", "+eb"), ("plain", "+ee"), ("window", "+ee"), ("colour", "+eb")):
        target = folder / f"lossy-{name}{option}.dcm"
        subprocess.run(
            ["dcmcjpeg", option, folder / f"{name}-native.dcm", target],
            check=True,
            capture_output=True,
        )


def _seed(path: Path) -> Seed | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = path.read_bytes()
        if data[128:132] != b"DICM" or data[132:140] != b"\x02\0\0\0UL\x04\0":
            return None
        try:
            syntax = dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
        except Exception:  # some of pydicom's own files are broken on purpose
            return None
    start = 144 + int.from_bytes(data[140:144], "little")
    return Seed(path.name, data, str(syntax), start)
