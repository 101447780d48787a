"""Receiving: objects to durable rows, with nobody scoring them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from triage.bench import objects
from triage.bench.sending import send
from triage.quickstart.daemon import Daemon

COUNTS = {"small": 240, "large": 24}  # objects of a measurement
SENDERS = (1, 8)


@dataclass(frozen=True, kw_only=True)
class Received:
    """Objects of one size, sent over so many associations at once."""

    objects: str  # small or large
    bytes: int  # of one object's file
    senders: int
    count: int
    seconds: float  # from the first request to the last answer

    @property
    def per_second(self) -> float:
        """Objects a second."""
        return self.count / self.seconds


def measure(daemon: Daemon, folder: Path) -> Iterator[Received]:
    """Send small and large objects by one and by several senders; yield each measurement."""
    pixels: dict[str, objects.Pixels] = {
        "small": objects.small_pixels(),
        "large": objects.large_pixels(),
    }
    for name, count in COUNTS.items():
        for senders in SENDERS:
            sent = folder / "objects"
            files = list(objects.write(pixels[name], sent, count))
            size = files[0].stat().st_size
            answers = send(files, daemon.port, senders)
            shutil.rmtree(sent)
            yield Received(
                objects=name, bytes=size, senders=senders, count=count, seconds=answers.seconds
            )
