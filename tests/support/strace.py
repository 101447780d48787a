"""strace on a running process: what it asks of the kernel, and a kill or an error where it asks."""

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Call:
    """One system call of a thread, with the paths of its files."""

    thread: int
    name: str
    text: str  # the whole line


class Trace:
    """What strace has written so far."""

    def __init__(self, output: Path, tracer: subprocess.Popen[str]) -> None:
        self._output = output
        self._tracer = tracer

    def calls(self) -> list[Call]:
        """Return the calls in the order in which they began."""
        lines = self._output.read_text("utf-8", "replace").splitlines()
        begun = ((re.match(r"(\d+) +(\w+)\(", line), line) for line in lines)
        return [Call(int(match[1]), match[2], line) for match, line in begun if match]

    def wait_for_kill(self, call: str) -> str:
        """Wait until `killing` has killed the process; return the line of the call that it began."""
        self._tracer.wait(30)  # it ends with the process
        assert "+++ killed by SIGKILL +++" in self._output.read_text("utf-8", "replace")
        cut_off = [
            found.text
            for found in self.calls()
            if found.name == call and re.search(r"(<unfinished \.\.\.>|= \?)$", found.text)
        ]
        assert cut_off, f"killed, and not in {call}"
        return cut_off[-1]


@contextmanager
def attached(pid: int, output: Path, *options: str) -> Iterator[Trace]:
    """Trace the threads of *pid*, and those that they start; yield when all are held.

    On leaving, the process goes on without a tracer, if it is still there.
    """
    with subprocess.Popen(
        ["strace", "-f", "-y", "-o", str(output), "-p", str(pid), *options],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        assert "attached" in said, said
        # It says more, of each thread, and must not wait for a full pipe.
        listener = threading.Thread(target=tracer.stderr.read)
        listener.start()
        try:
            yield Trace(output, tracer)
        finally:
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGINT)
            tracer.wait(30)
            listener.join()


@contextmanager
def killing(
    pid: int, output: Path, call: str, *, when: int = 1, path: Path | None = None
) -> Iterator[Trace]:
    """Kill *pid* when one of its threads begins its *when*-th such *call*, which is not carried out.

    With *path*, calls on that file alone count.
    """
    options = [f"--trace={call}", f"--inject={call}:signal=KILL:when={when}"]
    if path is not None:
        options += ["-P", str(path)]
    with attached(pid, output, *options) as trace:
        yield trace
