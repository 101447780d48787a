"""Which engines there may be, and which of them the settings and this machine admit."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from triage.errors import ConfigurationError
from triage.extras import installing

BACKENDS = ("torch", "openvino")
DEVICES = ("cpu", "cuda")
PRECISIONS = ("float32", "bfloat16", "float16")
AUTO = "auto"


@dataclass(frozen=True)
class Kind:
    """A way to run a network."""

    backend: str
    device: str
    precision: str

    def __str__(self) -> str:
        """Name it, as log and `triage doctor` do."""
        return f"{self.backend} {self.precision} on {self.device}"


REFERENCE = Kind("torch", "cpu", "float32")  # what every other is compared with

# The rule: what was fastest wherever it was measured comes first (tests/benchmarks/README.md).
FASTEST_FIRST = (
    Kind("torch", "cuda", "float16"),
    Kind("torch", "cuda", "bfloat16"),
    Kind("torch", "cuda", "float32"),
    Kind("openvino", "cpu", "bfloat16"),
    Kind("torch", "cpu", "bfloat16"),
    Kind("openvino", "cpu", "float32"),
    REFERENCE,
)


def admitted(backend: str, device: str, precision: str) -> list[Kind]:
    """Return the kinds that the settings leave, the fastest first; whether they run is not said.

    Raises ConfigurationError for a value that no kind has, and for values that no
    kind has together.
    """
    wanted = {"backend": backend, "device": device, "precision": precision}
    for (key, value), known in zip(wanted.items(), (BACKENDS, DEVICES, PRECISIONS), strict=True):
        if value not in (AUTO, *known):
            raise ConfigurationError(f"model.{key}={value}: give {', '.join((AUTO, *known))}")
    if backend == "openvino" and device == "cuda":
        raise ConfigurationError(
            "model.backend=openvino is for the processor; give model.device=cpu, or torch"
        )
    if device == "cuda" and not has_gpu():
        raise ConfigurationError(
            "model.device=cuda: torch finds no usable GPU on this machine; give auto or cpu"
        )
    found = [
        kind
        for kind in FASTEST_FIRST
        if all(value in (AUTO, getattr(kind, key)) for key, value in wanted.items())
        and (kind.device == "cpu" or has_gpu())
    ]
    if not found:
        raise ConfigurationError(
            f"model.precision={precision} needs a GPU; on the CPU give auto, float32 or bfloat16"
        )
    return found


def lack(kind: Kind) -> str:
    """Say in half a sentence what a kind would need here; nothing when it is there."""
    if kind.backend == "openvino" and find_spec("openvino") is None:
        return f"is not installed ({installing('openvino')})"
    if kind.backend == "openvino" and kind.precision == "bfloat16" and not has_bfloat16():
        return "this processor does not multiply bfloat16"
    return ""


def pays(kind: Kind) -> bool:
    """Say whether it is worth a try: torch computes bfloat16 on any processor, slowly on most."""
    return kind.device != "cpu" or kind.precision != "bfloat16" or has_bfloat16()


def has_gpu() -> bool:
    """Say whether torch finds a GPU that it can use."""
    return torch.cuda.is_available()


def has_bfloat16() -> bool:
    """Say whether the processor multiplies bfloat16 itself (AVX512_BF16 or AMX; Arm's BF16)."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & set(line.split()))
