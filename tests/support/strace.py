"""strace on a running process: what it asks of the kernel, and a kill or an error where it asks."""

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Call:
    """One system call of a thread; *begun* and *ended* are lines of the trace."""

    name: str
    arguments: str  # with the paths of its files
    result: str  # "" when it never returned
    begun: int
    ended: int

    def is_on(self, name: str, file: str) -> bool:
        """Say whether this is such a call with this in its arguments."""
        return self.name == name and file in self.arguments


class Trace:
    """What strace has written so far."""

    def __init__(self, output: Path, tracer: subprocess.Popen[str]) -> None:
        self._output = output
        self._tracer = tracer

    def calls(self) -> list[Call]:
        """Return the calls in the order in which they began."""
        found: list[Call] = []
        open_calls: dict[str, int] = {}  # by thread, the place in *found*
        for number, line in enumerate(self._output.read_text("utf-8", "replace").splitlines()):
            thread, _, said = line.partition(" ")
            if match := re.match(r" *(\w+)\((.*?)(?:\) += (.*)| <unfinished \.\.\.>)$", said):
                name, arguments, result = match.groups(default="")
                open_calls[thread] = len(found)
                found.append(Call(name, arguments, result, number, number))
            elif match := re.match(r" *<\.\.\. \w+ resumed>(.*?)\) += (.*)$", said):
                place = open_calls[thread]
                begun = found[place]
                found[place] = replace(
                    begun, arguments=begun.arguments + match[1], result=match[2], ended=number
                )
        return found

    def wait_for_kill(self, call: str) -> str:
        """Wait until `killing` has killed the process; return the arguments of the call."""
        self._tracer.wait(120)  # it ends with the process
        assert "+++ killed by SIGKILL +++" in self._output.read_text("utf-8", "replace")
        cut_off = [
            found for found in self.calls() if found.name == call and found.result in ("", "?")
        ]
        assert cut_off, f"killed, and not in {call}"
        return cut_off[-1].arguments


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
