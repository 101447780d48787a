"""Training runs in little: a dozen pictures of 32 pixels, steps of four."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from tests.support.daemon import environment
from tests.support.mura import Listed, make_dataset
from tests.support.waiting import wait_until
from triage.core.studytype import StudyType
from triage.research import plan
from triage.research.mura import read_dataset
from triage.research.plan import Pace, Run, Wish
from triage.research.processes import Processes
from triage.research.recipe import recipe_from
from triage.research.resume import place_of

HAND, WRIST = StudyType.HAND, StudyType.WRIST
# Thirteen images to learn from, of twelve studies: hand 5 normal, 2 abnormal; wrist 2 and 4.
STUDIES = (
    *(Listed(patient=number, study_type=HAND) for number in range(1, 6)),
    *(Listed(patient=number, study_type=HAND, abnormal=True) for number in range(6, 8)),
    *(Listed(patient=number, study_type=WRIST) for number in range(8, 10)),
    *(Listed(patient=number, study_type=WRIST, abnormal=True) for number in range(10, 12)),
    Listed(patient=12, study_type=WRIST, abnormal=True, images=2),
    *(Listed(patient=number, split="valid", abnormal=number % 2 == 0) for number in range(20, 25)),
)
LITTLE = {"epochs": 2, "batch": 4, "image_size": 32, "init": "none"}
PACE = Pace(workers=2)
ALONE = Processes()
OPTIONS = (
    "--epochs=2",
    "--batch=4",
    "--image-size=32",
    "--init=none",
    "--device=cpu",
    "--threads=1",
)


def little_set(folder: Path) -> Path:
    """Write the studies above."""
    return make_dataset(folder, STUDIES, called="MURA-v1.1")


def prepared(
    root: Path,
    out: Path,
    *,
    pace: Pace = PACE,
    processes: Processes = ALONE,
    restart: bool = False,
    skip_unreadable: bool = False,
    **recipe: Any,
) -> Run:
    """Prepare a run on *root*, little where *recipe* does not say otherwise."""
    wanted = LITTLE | recipe
    wish = Wish(
        dataset=read_dataset(root),
        train="train",
        valid="valid",
        out=out,
        init=wanted.pop("init"),
        recipe=recipe_from(wanted),
        pace=pace,
        card={"name": "little", "version": "1", "licence": "CC0"},
        restart=restart,
        skip_unreadable=skip_unreadable,
    )
    return plan.prepare(wish, processes)


def command(root: Path, out: Path, *options: str, little: bool = True) -> list[str]:
    """Return the command line that trains."""
    sized = OPTIONS if little else ()
    return [
        *(sys.executable, "-m", "triage", "train", str(root), "--out", str(out)),
        *sized,
        *options,
    ]


@contextmanager
def started(arguments: list[str], **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process with its output in pipes; it does not outlive the context."""
    with subprocess.Popen(
        arguments,
        env=environment() | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(arguments: list[str], **variables: str) -> tuple[int, str, str]:
    """Run a process to its end: (exit code, standard output, standard error)."""
    with started(arguments, **variables) as process:
        output, errors = process.communicate(timeout=1800)
    return process.returncode, output, errors


def until(out: Path, epoch: int, step: int, *, seconds: float = 300) -> None:
    """Wait until the state of the run that makes *out* is this far."""

    def far_enough() -> bool:
        with suppress(FileNotFoundError):
            state = torch.load(place_of(out), mmap=True, weights_only=True)
            return (state["epoch"], state["step"]) >= (epoch, step)
        return False

    wait_until(far_enough, f"epoch {epoch}, step {step} of {out}", seconds=seconds, every=0.1)


def torchrun(root: Path, out: Path, *options: str) -> list[str]:
    """Return the command line that trains in two processes on this machine alone."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    local = ["--master-addr=127.0.0.1", f"--master-port={20000 + os.getpid() % 20000}"]
    return [*launcher, *local, *command(root, out, *options)[1:]]
