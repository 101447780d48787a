"""The received bytes on disk.

A file is named by the digest of what arrived, so a peer's identifiers never
become a path, the same object twice is one file, and every file can be checked
by its name. It appears under its name only when it is whole and durable:
temporary name, fsync, rename, fsync of the folder.
"""

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from triage.errors import SpoolFull, SpoolReadOnly, SpoolUnavailable

_KINDS = {errno.ENOSPC: SpoolFull, errno.EDQUOT: SpoolFull, errno.EROFS: SpoolReadOnly}
ABANDONED = 3600  # seconds after which an unfinished file belongs to nobody
FOLDERS = tuple(f"{number:02x}" for number in range(256))  # by the first digits of the digest
_NAME = re.compile(r"([0-9a-f]{64})\.dcm")
_PIECE = 1 << 20  # bytes compared at a time

Bytes = bytes | bytearray | memoryview
Approved = Callable[[], object]  # raises where what was written is not to be kept


@dataclass(frozen=True)
class SpooledFile:
    """A file as it lies in the spool."""

    digest: str  # by its name; only its content tells whether that is true
    size: int  # bytes
    written_at: float  # seconds since 1970
    inode: int  # another one, once something else has its name


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What was found where an object was to be kept."""

    at: datetime  # before it was looked for
    whole: bool  # those very bytes were there, and nothing was written
    found: int | None  # bytes of the file that was there; None where there was none


class Spool:
    """A folder of received objects; any number of daemons may share it."""

    def __init__(self, directory: Path, min_free: int) -> None:
        self.directory = directory.absolute()
        self._min_free = min_free
        self._incoming = self.directory / "incoming"
        self._quarantine = self.directory / "quarantine"

    def prepare(self) -> None:
        """Make the folders durable, so that no store has to; drop what a killed daemon left.

        So are those that it lies in: an earlier start may have made them and been killed.
        One that is another's, and that we may not open, was there before. Raises SpoolUnavailable.
        """
        with self._translated():
            above = self.directory.parents
            ours = {self.directory.parent, *(one.parent for one in above if not one.exists())}
            for folder in self._inner():
                folder.mkdir(parents=True, exist_ok=True)
            _sync_folder(self.directory)
            for folder in above:
                try:
                    _sync_folder(folder)
                except OSError:
                    if folder in ours:
                        raise
        self.drop_abandoned()

    def drop_abandoned(self) -> None:
        """Delete what killed daemons have left half written. Raises SpoolUnavailable."""
        too_old = time.time() - ABANDONED
        with self._translated():
            for unfinished in self._incoming.iterdir():
                with suppress(FileNotFoundError):  # another daemon has just finished it
                    if unfinished.stat().st_mtime < too_old:
                        unfinished.unlink()

    def folders(self) -> list[Path]:
        """Return the folders that hold objects and nothing else, the outermost first."""
        inner = self._inner()
        shared = self.directory.is_dir() and not set(self.directory.iterdir()) <= set(inner)
        return inner if shared else [self.directory, *inner]

    def _inner(self) -> list[Path]:
        return [self._incoming, self._quarantine, *(self.directory / name for name in FOLDERS)]

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

    def keep(
        self, digest: str, parts: Sequence[Bytes], check: Callable[[], Approved] = lambda: _nothing
    ) -> Kept:
        """Write *parts* as the object *digest*, durable on return, unless that is there already.

        A file of that name with other bytes, cut short or decayed, is replaced. *check* is called
        when the bytes are written, to begin what can be done while the disk makes them safe; what
        it returns is called when they are, and have no name yet. What either raises leaves nothing
        behind.

        Raises SpoolFull below `spool.min_free` or on a full disk, and
        SpoolUnavailable for what else a disk can do. Nothing is left behind then, unless the
        folder's fsync failed: the file is whole by then, and keeps its name.
        """
        size = sum(map(len, parts))
        begun = datetime.now(UTC)
        free = self.free()
        if free - size < self._min_free:
            raise SpoolFull(
                f"{self.directory}: {free} bytes free, and spool.min_free keeps {self._min_free}; "
                "make room or lower it"
            )
        final = self.path(digest)
        with self._translated():
            found = self.find(digest)
            size_found = None if found is None else found.size
            if size_found == size and _consists_of(final, parts):
                check()()
                # Whoever wrote it may have been killed between rename and fsync.
                _sync_folder(final.parent)
                return Kept(at=begun, whole=True, found=size)
            try:
                self._place(digest, parts, check)
            except FileNotFoundError:  # somebody has removed a folder of ours
                self._mend_folders()
                self._place(digest, parts, check)
        return Kept(at=begun, whole=False, found=size_found)

    def _place(self, digest: str, parts: Sequence[Bytes], check: Callable[[], Approved]) -> None:
        """Write the file, and give it its name once it is safe."""
        final = self.path(digest)
        temporary = self._incoming / f"{digest}.{secrets.token_hex(4)}"
        try:
            approved = _write(temporary, parts, check)
            approved()
            temporary.rename(final)
            _sync_folder(final.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _mend_folders(self) -> None:
        """Make those again that are missing; where all are, the disk is gone and not a folder."""
        missing = [folder for folder in self._inner() if not folder.is_dir()]
        if len(missing) == len(self._inner()):
            raise SpoolUnavailable(
                f"{self.directory}: holds none of its folders; is its disk mounted? A restart makes "
                "them again"
            )
        for folder in missing:
            folder.mkdir(exist_ok=True)
        _sync_folder(self.directory)

    def holds(self, digest: str, size: int) -> bool:
        """Say whether the object has a file of *size* bytes; its content is not looked at."""
        found = self.find(digest)
        return found is not None and found.size == size

    def find(self, digest: str) -> SpooledFile | None:
        """Return the file of the object, if it has one. Raises SpoolUnavailable."""
        with self._translated():
            try:
                return _file(digest, self.path(digest).lstat())
            except FileNotFoundError:
                return None

    def files(self, folder: str) -> Iterator[SpooledFile]:
        """Yield the objects' files of one of `FOLDERS`; what has another name is not ours.

        Raises SpoolUnavailable.
        """
        with self._translated(self.directory / folder):
            try:
                with os.scandir(self.directory / folder) as entries:
                    for entry in entries:
                        if not _is_ours(entry, folder):
                            continue
                        with suppress(FileNotFoundError):  # deleted since it was listed
                            digest = entry.name.removesuffix(".dcm")
                            yield _file(digest, entry.stat(follow_symlinks=False))
            except FileNotFoundError:  # the folder: nothing was ever received
                return

    def delete(self, digest: str) -> None:
        """Delete the object's file, if it has one. Raises SpoolUnavailable."""
        with self._translated():
            self.path(digest).unlink(missing_ok=True)

    def set_aside(self, file: SpooledFile) -> Path | None:
        """Move a file that is no received object into quarantine; return where it lies then.

        None when another file has its name by now. Raises SpoolUnavailable.
        """
        with self._translated():
            self._quarantine.mkdir(exist_ok=True)
            path = self.path(file.digest)
            target = self._quarantine / path.name
            if target.exists():
                target = target.with_suffix(f".{secrets.token_hex(4)}.dcm")
            now = self.find(file.digest)
            if now != file:
                return None
            return path.rename(target)

    def foreign(self) -> list[Path]:
        """Return what lies among the objects and is none of them. Raises SpoolUnavailable."""
        with self._translated():
            if not self.directory.is_dir():  # nothing was ever received
                return []
            own = set(self._inner())
            found = [path for path in self.directory.iterdir() if path not in own]
            for name in FOLDERS:
                # One that cannot be listed is named by whoever looks for the objects in it.
                with suppress(OSError), os.scandir(self.directory / name) as entries:
                    found += [Path(entry.path) for entry in entries if not _is_ours(entry, name)]
        return found

    def quarantined(self) -> int:
        """Count the files in quarantine. Raises SpoolUnavailable."""
        with self._translated():
            return sum(1 for _ in self._quarantine.iterdir()) if self._quarantine.is_dir() else 0

    @contextmanager
    def _translated(self, place: Path | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = _KINDS.get(error.errno or 0, SpoolUnavailable)
            raise kind(f"{place or self.directory}: {error.strerror or error}") from error


def _is_ours(entry: os.DirEntry[str], folder: str) -> bool:
    """Say whether it may be an object: a pipe would be waited for, a link leads elsewhere."""
    named = _NAME.fullmatch(entry.name) is not None and entry.name.startswith(folder)
    return named and entry.is_file(follow_symlinks=False)


def _file(digest: str, status: os.stat_result) -> SpooledFile:
    return SpooledFile(digest, status.st_size, status.st_mtime, status.st_ino)


def _consists_of(path: Path, parts: Sequence[Bytes]) -> bool:
    """Say whether the file's bytes are *parts*; one that cannot be read has lost them."""
    try:
        with path.open("rb", buffering=0) as file:
            for part in parts:
                rest = memoryview(part)
                while rest:
                    piece = file.read(min(len(rest), _PIECE))
                    if not piece or piece != rest[: len(piece)]:
                        return False
                    rest = rest[len(piece) :]
            return not file.read(1)
    except OSError:
        return False


def _write(
    path: Path, parts: Sequence[Bytes], check: Callable[[], Approved] = lambda: _nothing
) -> Approved:
    """Write a new file, durable on return; return what *check* has begun meanwhile."""
    with path.open("xb", buffering=0) as file:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[file.write(rest) :]
        approved = check()
        os.fsync(file.fileno())
    return approved


def _nothing() -> None:
    """Approve of everything."""


def _sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
