"""Each kind of engine, made ready: the one place that knows them all."""

import torch

from triage.errors import ConfigurationError
from triage.extras import installing
from triage.model.engines.kinds import Kind
from triage.model.engines.port import Engine
from triage.model.folding import Folded

# Views in one pass of torch's. Measured on 2 cores (milliseconds a view at 1, 2, 4, 8, 16 views):
# 56, 45, 37, 31, 38 at 160 pixels; 99, 79, 72, 66, 71 at 224. More only waits longer.
ON_CPU = 8
ON_GPU = 32  # 16 cores decode 0.8 views in a millisecond, an H200 scores 5.5 (tests/benchmarks)


def engine_of(kind: Kind, network: Folded, *, side: int, threads: int) -> Engine:
    """Make an engine ready for views of *side* pixels.

    Raises ConfigurationError where its library cannot be loaded, and RuntimeError where the
    machine fails.
    """
    dtype: torch.dtype = getattr(torch, kind.precision)
    if kind.backend == "openvino":
        try:
            from triage.model.engines.openvino import OpenVinoEngine
        except (ImportError, OSError, AttributeError) as error:  # half of it is there
            raise ConfigurationError(
                f"OpenVINO is installed and cannot be loaded ({error}); "
                f"install it again: {installing('openvino', again=True)}"
            ) from error
        return OpenVinoEngine(network, side=side, precision=kind.precision, threads=threads)
    if kind.device == "cuda":
        from triage.model.engines.cuda import CudaEngine

        return CudaEngine(network, side=side, dtype=dtype)
    from triage.model.engines.pytorch import TorchEngine

    return TorchEngine(network, dtype=dtype)


def batch_of(kind: Kind, threads: int) -> int:
    """Return how many views pass at once; where each core has views of its own, one for each."""
    if kind.device == "cuda":
        return ON_GPU
    return max(ON_CPU, threads) if kind.backend == "openvino" else ON_CPU
