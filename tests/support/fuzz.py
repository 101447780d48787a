"""Reading damaged objects in child processes, which a codec may crash, hang or fill.

``python -m tests.support.fuzz SEEDS FIRST LAST`` is the child: one line an
object on standard output, ``number outcome``. What has no line ended the process.
"""

import pickle
import resource
import signal
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.support.damage import Damaged, damaged, seeds
from tests.support.requirements import REPOSITORY

MEMORY = 3 << 30  # bytes of address space of a child
SECONDS = 10  # for one object; the signal ends the process even inside a codec
FAILED = "FAILED"


@dataclass
class Findings:
    """What became of the damaged objects."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)  # errors that are not ours, hangs
    crashes: list[str] = field(default_factory=list)  # of a native codec

    def __str__(self) -> str:
        """Show the figures, and for every crash and failure the number that reproduces it."""
        figures = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.most_common())
        return "\n".join([figures, *self.crashes, *self.failures])


def run(folder: Path, first: int, last: int) -> Findings:
    """Read damaged objects *first* to *last*, starting a new child whenever one ends."""
    sound = seeds(folder)
    file = folder / "seeds.pickle"
    file.write_bytes(pickle.dumps(sound))
    findings = Findings()
    while first <= last:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fuzz", str(file), str(first), str(last)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said, erred = child.communicate()
        for line in said.splitlines():
            number, outcome = line.split(" ", 1)
            first = int(number) + 1
            findings.outcomes[outcome.split(":")[0]] += 1
            if outcome.startswith(FAILED):
                findings.failures.append(f"{_about(sound, int(number))}: {outcome}")
        if child.returncode > 0 and "Traceback" in erred:
            raise RuntimeError(erred)
        if child.returncode:
            code = child.returncode
            ended = signal.Signals(-code).name if code < 0 else f"exit {code}"
            kind = findings.failures if ended == "SIGALRM" else findings.crashes
            kind.append(f"{_about(sound, first)}: {ended}")
            findings.outcomes[ended] += 1
            first += 1
    return findings


def _about(sound: list, number: int) -> str:
    what = damaged(sound, number)
    return f"{number} {what.seed.name} {what.done}"


def read(what: Damaged, path: Path) -> str:
    """Read one damaged object as the receiver and the scorer do; return the outcome."""
    from triage.dicom.header import read_header
    from triage.dicom.pixels import read_view
    from triage.errors import BadInstance, ViewUnreadable

    step = "read_header"
    try:
        try:
            read_header(what.data[what.seed.start :], transfer_syntax_uid=what.seed.syntax)
        except BadInstance as error:
            str(error)
        step = "read_view"
        path.write_bytes(what.data)
        view = read_view(path)
    except ViewUnreadable as error:
        if isinstance(error.__cause__, MemoryError):
            return f"{FAILED}: small as it is, it wanted more than {MEMORY >> 30} GiB of memory"
        return str(error.code)
    except BaseException as error:
        return f"{FAILED}: {step}: {type(error).__name__}: {' '.join(str(error).split())}"
    good = view.ndim == 2 and view.dtype == np.uint8 and view.size
    return "view" if good else f"{FAILED}: {view.shape} {view.dtype}"


def main() -> None:
    file, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")  # none may escape
    sound = pickle.loads(file.read_bytes())  # noqa: S301  our parent wrote it
    path = file.with_suffix(".dcm")
    for number in range(first, last + 1):
        signal.alarm(SECONDS)
        print(number, read(damaged(sound, number), path), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
