"""DCMTK as the sender, and as another receiver."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.daemon import HOST, free_port
from tests.support.waiting import wait_until


def storescu(
    port: int, files: Sequence[Path], *options: str, called: str = "TRIAGE"
) -> subprocess.CompletedProcess[str]:
    """Send *files* in one association; return what storescu said."""
    return subprocess.run(
        ["storescu", *options, "-aec", called, HOST, str(port), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def store_each(port: int, files: Sequence[Path], *options: str) -> dict[Path, str]:
    """Send *files* in one association; return what was answered for each that was answered.

    That is storescu's word for the status: "Success", "Refused: OutOfResources".
    """
    ran = storescu(port, files, "-v", "-R", "-nh", *options)
    answers: dict[Path, str] = {}
    file = None
    for line in (ran.stdout + ran.stderr).splitlines():
        if match := re.search(r"Sending file: (.*)", line):
            file = Path(match[1])
        elif (match := re.search(r"Received Store Response \((.*)\)", line)) and file:
            answers[file] = match[1]
    return answers


def echoscu(port: int, *options: str, called: str = "TRIAGE") -> subprocess.CompletedProcess[str]:
    """Ask whether the daemon is there; return what echoscu said."""
    return subprocess.run(
        ["echoscu", *options, "-aec", called, HOST, str(port)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def storescu_in_parallel(port: int, files: Sequence[Path], associations: int) -> None:
    """Send *files* over several associations at once; each must be acknowledged."""
    with ExitStack() as stack:
        senders = [
            stack.enter_context(
                subprocess.Popen(
                    ["storescu", "-aec", "TRIAGE", HOST, str(port), *map(str, part)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            for part in (files[start::associations] for start in range(associations))
        ]
        for sender in senders:
            said, _ = sender.communicate(timeout=120)
            assert sender.returncode == 0, said


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """Run DCMTK's own receiver, which writes into *folder*; yields its port."""
    folder.mkdir()
    port = free_port()
    process = subprocess.Popen(
        ["storescp", *options, "-od", str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: echoscu(port).returncode == 0, "storescp answers")
        yield port
    finally:
        process.terminate()
        process.wait(30)
