"""Radiographs that end the process that decodes them."""

import subprocess
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from tests.support import studies

# Bytes of what DCMTK writes as lossless JPEG, from its SOI: offset and a value that nobody expects.
JFIF_VERSION = 11, 9  # gdcm meets an error where it expects none, and aborts
APPLICATION_SEGMENT = 3, 0  # its marker is none: likewise


def codec_killer(folder: Path, dataset: Dataset, damage: tuple[int, int]) -> studies.Sample:
    """Write *dataset* as lossless JPEG with one damaged byte, over which gdcm ends."""
    sample = studies.write(folder, dataset)
    subprocess.run(["dcmcjpeg", "+e1", str(sample.file), str(sample.file)], check=True)
    data = bytearray(sample.file.read_bytes())
    offset, value = damage
    data[data.index(b"\xff\xd8\xff\xe0") + offset] = value
    sample.file.write_bytes(data)
    return sample


def memory_eater(path: Path, dataset: Dataset | None = None) -> Path:
    """Write 100 million pixels in colour, a few megabytes of RLE: more than a decoder may take."""
    made = dataset or studies.make("HUGE", studies.picture(1))
    plane = b"\x81\x00" * (10_000 * 10_000 // 128)  # PS3.5 G.3.1: 128 times the byte 0
    offsets = [64 + len(plane) * number for number in range(3)]
    header = b"".join(number.to_bytes(4, "little") for number in (3, *offsets, *[0] * 12))
    made.Rows = made.Columns = 10_000
    made.SamplesPerPixel, made.PlanarConfiguration = 3, 0
    made.PhotometricInterpretation = "RGB"
    made.PixelData = encapsulate([header + plane * 3])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.file_meta.TransferSyntaxUID = RLELossless
    made.save_as(path, enforce_file_format=True)
    return path
