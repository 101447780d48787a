"""The processes that train together, one a GPU, as torchrun starts them.

Each has its part of every batch. After each step gradients and the running
statistics of BatchNorm are averaged, so that all hold the same network; what is
normalised by is each process's own part. One process is the case of size 1.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from triage.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Who we are among them."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # on this machine
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Say whether this is the process that writes and shows."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over all processes, in place."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, all in one exchange."""
        if self.size == 1:
            return
        parts = list(tensors)
        flat = torch.cat([part.reshape(-1) for part in parts])
        distributed.all_reduce(flat)
        means = torch.split(flat / self.size, [part.numel() for part in parts])
        for part, mean in zip(parts, means, strict=True):
            part.copy_(mean.view(part.shape))

    def agree(self, value: T) -> T:
        """Return the value that the leading process has."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]


def announced() -> Processes:
    """Return what torchrun's environment says; raises UsageError where it is not whole."""

    def number(name: str, default: int) -> int:
        text = os.environ.get(name, str(default))
        if not text.isdecimal():
            raise UsageError(f"environment: {name}={text}: is no number; start with torchrun")
        return int(text)

    if number("WORLD_SIZE", 1) > 1 and not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= {*os.environ}:
        raise UsageError(
            "environment: WORLD_SIZE names several processes, and RANK, MASTER_ADDR or MASTER_PORT "
            "is missing; start with torchrun, or unset WORLD_SIZE"
        )
    return Processes(
        rank=number("RANK", 0),
        size=number("WORLD_SIZE", 1),
        local_rank=number("LOCAL_RANK", 0),
        local_size=number("LOCAL_WORLD_SIZE", 1),
    )


@contextmanager
def joined(processes: Processes, device: torch.device) -> Iterator[None]:
    """Connect the processes for as long as the context lasts."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if processes.size > 1:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        if processes.size > 1:
            distributed.destroy_process_group()


def device_for(wanted: str, processes: Processes) -> torch.device:
    """Return the device of this process; raises UsageError for one that is not here."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {wanted}: give auto, cpu or cuda")
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not there):
        return torch.device("cpu")
    if processes.local_rank >= there:
        raise UsageError(
            f"{processes.local_size} processes need as many GPUs, and torch finds {there} here; "
            "give --device cpu, or torchrun fewer --nproc-per-node"
        )
    return torch.device("cuda", processes.local_rank)


def precision_for(wanted: str, device: torch.device) -> str:
    """Return what `auto` comes to; anything else is for the recipe to judge."""
    if wanted != "auto":
        return wanted
    mixed = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if mixed else "float32"
