"""The DICOM file format (PS3.10 7.1): what stands before the data set of a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset, read_preamble

from triage.errors import BadInstance


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


@contextmanager
def blaming(path: Path) -> Iterator[None]:
    """Raise BadInstance for whatever pydicom makes of the bytes of a file.

    What the file is not to blame for goes on as it is: MemoryError, and OSError of the disk.
    """
    try:
        yield
    except BadInstance as error:
        raise BadInstance(f"{path}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # else pydicom's own
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise BadInstance(f"{path} is not a DICOM file that can be read") from error
