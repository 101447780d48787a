"""The received bytes on disk.

A file is named by the digest of what arrived, so a peer's identifiers never
become a path, the same object twice is one file, and every file can be checked
by its name. It appears under its name only when it is whole and durable:
temporary name, fsync, rename, fsync of the folder.
"""

import errno
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from triage.errors import SpoolFull, SpoolUnavailable

_FULL = {errno.ENOSPC, errno.EDQUOT}
ABANDONED = 3600  # seconds after which an unfinished file belongs to nobody


class Spool:
    """A folder of received objects; any number of daemons may share it."""

    def __init__(self, directory: Path, min_free: int) -> None:
        self.directory = directory.absolute()
        self._min_free = min_free
        self._incoming = self.directory / "incoming"

    def prepare(self) -> None:
        """Make the folders durable, so that no store has to; drop what a killed daemon left.

        Raises SpoolUnavailable.
        """
        with self._translated():
            for folder in self._inner():
                folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self.directory)
            _sync_folder(self.directory.parent)
            too_old = time.time() - ABANDONED
            for unfinished in self._incoming.iterdir():
                if unfinished.stat().st_mtime < too_old:
                    unfinished.unlink(missing_ok=True)

    def folders(self) -> list[Path]:
        """Return the folders that hold objects and nothing else, the outermost first."""
        inner = self._inner()
        shared = self.directory.is_dir() and not set(self.directory.iterdir()) <= set(inner)
        return inner if shared else [self.directory, *inner]

    def _inner(self) -> list[Path]:
        numbered = [self.directory / f"{number:02x}" for number in range(256)]
        return [self._incoming, *numbered]

    def path(self, digest: str) -> Path:
        """Return where the object with this digest lies."""
        return self.directory / digest[:2] / f"{digest}.dcm"

    def free(self) -> int:
        """Return the bytes that are left for us. Raises SpoolUnavailable."""
        with self._translated():
            status = os.statvfs(self.directory)
            return status.f_bavail * status.f_frsize

    def try_writing(self) -> None:
        """Write and remove a small file. Raises SpoolUnavailable."""
        trial = self._incoming / f"trial.{secrets.token_hex(4)}"
        with self._translated():
            self._incoming.mkdir(exist_ok=True)
            _write(trial, [b"trial"])
            trial.unlink()

    def keep(self, digest: str, parts: Sequence[bytes]) -> int:
        """Write *parts* as the object *digest*; durable on return. Returns its size in bytes.

        Raises SpoolFull below `spool.min_free` or on a full disk, and
        SpoolUnavailable for what else a disk can do; nothing is left behind then.
        """
        size = sum(map(len, parts))
        free = self.free()
        if free - size < self._min_free:
            raise SpoolFull(
                f"{self.directory}: {free} bytes free, and spool.min_free keeps {self._min_free}; "
                "make room or lower it"
            )
        final = self.path(digest)
        with self._translated():
            if final.is_file() and final.stat().st_size == size:
                # Whoever wrote it may have been killed between rename and fsync.
                _sync_folder(final.parent)
                return size
            temporary = self._incoming / f"{digest}.{secrets.token_hex(4)}"
            try:
                _write(temporary, parts)
                temporary.rename(final)
                _sync_folder(final.parent)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        return size

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = SpoolFull if error.errno in _FULL else SpoolUnavailable
            raise kind(f"{self.directory}: {error.strerror or error}") from error


def _write(path: Path, parts: Sequence[bytes]) -> None:
    with path.open("xb", buffering=0) as file:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
