"""Small file systems that can be filled, remounted, and cut off from their power."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def tmpfs(folder: Path, size: int) -> Iterator[Path]:
    """Mount a file system of *size* bytes at *folder*."""
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    try:
        yield folder
    finally:
        _run("umount", "--lazy", folder)


@contextmanager
def ext4(image: Path, folder: Path) -> Iterator[Path]:
    """Mount the file system in *image* at *folder*; it writes by itself only after ten minutes."""
    folder.mkdir()
    _run("mount", "-o", "loop,commit=600", image, folder)
    try:
        yield folder
    finally:
        _run("umount", "--lazy", folder)


def make_ext4(image: Path, size: int) -> None:
    """Make an empty file system in a file."""
    with image.open("xb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", image)


def remount(folder: Path, options: str) -> None:
    """Change the options of a mounted file system."""
    _run("mount", "-o", f"remount,{options}", folder)


def fill(file: Path) -> None:
    """Take all the space that is left; removing *file* gives it back."""
    with file.open("xb", buffering=0) as filler:
        for piece in (2**20, 2**12, 1):
            try:
                while filler.write(bytes(piece)) == piece:
                    pass
            except OSError:  # no space for a piece of this size
                continue


def cut_power(image: Path, copy: Path) -> None:
    """Copy what has reached the disk by now; what the mounted file system only remembers is lost.

    Nobody may write meanwhile; two equal copies in a row show that nobody did.
    """
    again = copy.with_suffix(".again")
    shutil.copyfile(image, copy)
    while not _are_equal(shutil.copyfile(image, again), copy):
        again.replace(copy)
    again.unlink()


def _are_equal(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "--silent", one, other], check=False).returncode == 0


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
