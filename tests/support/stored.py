"""Images as DICOM objects of stored values, to be written in the transfer syntax of choice."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)


def image(
    array: np.ndarray, bits: int | None = None, *, syntax: str | None = None, **attributes: Any
) -> Dataset:
    """Return stored values, (H, W) or (H, W, 3), as an object; *attributes* set or, if None, drop.

    A native *syntax* is written as it is, into any other it is compressed; big
    endian words are the caller's, but for the pixels.
    """
    native = syntax is None or not syntax.startswith(("1.2.840.10008.1.2.4", "1.2.840.10008.1.2.5"))
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = (native and syntax) or ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.Rows, ds.Columns = array.shape[:2]
    ds.SamplesPerPixel = 1 if array.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2" if array.ndim == 2 else "RGB"
    if array.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = array.dtype.itemsize * 8
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(array.dtype.kind == "i")
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    ds.PixelData = data + bytes(len(data) % 2)
    ds["PixelData"].VR = "OB" if array.dtype.itemsize == 1 else "OW"
    if not native:
        ds.compress(syntax, generate_instance_uid=False)
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def write(ds: Dataset, path: Path) -> Path:
    """Write the object as a file in the transfer syntax that it names."""
    ds.save_as(path, enforce_file_format=True)
    return path


def lut(first: int, entries: Any, bits: int, order: str = "<") -> list[Dataset]:
    """Return the sequence of a Modality or VOI LUT."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item.LUTData = np.asarray(entries).astype(f"{order}u2").tobytes()
    return [item]
