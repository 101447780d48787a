"""Sending to a throw-away daemon from processes of their own, all at the same moment."""

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from triage.errors import SendFailed

SEND_WAIT = 300.0  # seconds for a sender's next word


@dataclass(frozen=True)
class Answers:
    """When the objects were answered."""

    begun: float  # seconds since the epoch
    at: dict[str, float]  # by SOP Instance UID, likewise

    @property
    def seconds(self) -> float:
        """From the beginning to the last answer."""
        return max(self.at.values()) - self.begun


class _Sender:
    """A process that sends some files in one association."""

    def __init__(self, files: Sequence[Path], port: int) -> None:
        connection, its = socket.socketpair()
        connection.settimeout(SEND_WAIT)
        with connection, its:
            self._words = connection.makefile("rw")
            self._process = subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-m", "triage.bench.sender", str(its.fileno()), str(port), *files],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )

    def start(self) -> None:
        self._words.write("go\n")
        self._words.flush()

    def hear(self) -> str:
        """Return its next line; raises SendFailed with its last words when there is none."""
        try:
            line = self._words.readline()
        except TimeoutError as error:
            raise SendFailed(f"a sender said nothing for {SEND_WAIT:.0f} s") from error
        if not line:
            said = self._process.communicate()[1].strip().splitlines()[-1:]
            raise SendFailed(f"a sender ended: {''.join(said) or self._process.returncode}")
        return line

    def end(self) -> None:
        self._words.close()
        self._process.kill()
        self._process.communicate()


def send(files: Sequence[Path], port: int, senders: int) -> Answers:
    """Send *files* over as many associations as there are *senders*.

    Raises SendFailed when a sender fails or an object is refused.
    """
    running: list[_Sender] = []
    try:
        running += [_Sender(files[number::senders], port) for number in range(senders)]
        for sender in running:
            sender.hear()
        for sender in running:
            sender.start()
        said = [json.loads(sender.hear()) for sender in running]
    finally:
        for sender in running:
            sender.end()
    refused = [status for one in said for _, _, status in one["answers"] if status]
    if refused:
        raise SendFailed(f"the daemon refused {len(refused)} objects, with 0x{refused[0]:04X}")
    return Answers(
        begun=min(one["begun"] for one in said),
        at={uid: at for one in said for uid, at, _ in one["answers"]},
    )
