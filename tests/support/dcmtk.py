"""DCMTK as the sender."""

import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.support.daemon import HOST


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
