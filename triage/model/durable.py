"""A file that is there as a whole or not at all, whatever happens meanwhile."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a stream whose bytes take the place of *path* when the block ends without an error.

    They, and the name, survive a power cut then; else the former file stays as
    it was. Raises OSError.
    """
    partial = partial_of(path)
    try:
        with partial.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def partial_of(path: Path) -> Path:
    """Return where the bytes are until they are whole; a kill leaves it behind."""
    return path.with_name(f".{path.name}.partial")
