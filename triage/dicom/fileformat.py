"""The DICOM file format (PS3.10 7.1): what stands before the data set of a file."""

from io import BufferedIOBase
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble


def read_meta(file: BinaryIO | BufferedIOBase) -> Dataset:
    """Read the file meta information; *file* then stands at its data set.

    Raises whatever pydicom makes of a file that is none of DICOM's.
    """
    read_preamble(file, False)
    return read_dataset(
        file,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, *_: tag.group != 2,
    )


def read_transfer_syntax(file: BinaryIO) -> str:
    """Likewise; return the transfer syntax of what follows. Raises where none is named, too."""
    return str(read_meta(file).TransferSyntaxUID)
