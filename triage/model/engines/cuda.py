"""torch on an NVIDIA GPU: recorded graphs of a few batch sizes, and copies from pinned memory.

A pass of this network is some hundreds of small kernels. Started one by one they keep one core of
the host busy and the GPU waiting; a recorded graph (CUDA graph) starts all at once. It is made
for one batch size, so there is one for each of SIZES, and a batch is filled up to the next.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from triage.model.engines.port import Passed, Views
from triage.model.engines.pytorch import Arithmetic
from triage.model.folding import Folded

SIZES = (1, 2, 4, 8, 16, 32)  # views
WARM_UP = 3  # passes before the recording, in which kernels are chosen and memory is taken


@dataclass(frozen=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    pinned: Tensor  # (N, 3, S, S) float32, of the host; a batch is put here
    images: Tensor  # the same on the device
    logits: Tensor
    maps: Tensor


class CudaEngine:
    """A GPU's engine; `run` may be called by any thread, by one at a time."""

    def __init__(
        self, network: Folded, *, side: int, dtype: torch.dtype, sizes: tuple[int, ...] = SIZES
    ) -> None:
        if dtype is torch.float32:
            # TF32 keeps 10 bits of the mantissa: float32 is to mean float32.
            torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
            torch.backends.cuda.matmul.fp32_precision = "ieee"
        self._arithmetic = Arithmetic(network, "cuda", dtype)
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._recorded: dict[int, _Recorded] = {}
        # From the largest on: the others find their memory in its pool.
        for size in sorted(sizes, reverse=True):
            self._recorded[size] = self._record(size, side)

    def run(self, views: Views) -> Passed:
        """Run a batch; see `triage.model.engines.port.Engine`."""
        size = min(size for size in self._recorded if size >= len(views))
        recorded = self._recorded[size]
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            recorded.pinned[: len(views)].copy_(torch.from_numpy(views))
            recorded.images.copy_(recorded.pinned, non_blocking=True)
            recorded.graph.replay()
            logits = recorded.logits[: len(views)].to("cpu", non_blocking=True)
            maps = recorded.maps[: len(views)].to("cpu", non_blocking=True)
            self._stream.synchronize()
            return Passed(logits.numpy(), maps.numpy())

    def _record(self, size: int, side: int) -> _Recorded:
        pinned = torch.zeros((size, 3, side, side), pin_memory=True)
        images = pinned.to("cuda")
        graph = torch.cuda.CUDAGraph()
        pool = next((each.graph.pool() for each in self._recorded.values()), None)
        with torch.inference_mode():
            torch.cuda.current_stream().synchronize()
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UP):
                    self._arithmetic(images)
            self._stream.synchronize()
            with torch.cuda.graph(graph, pool=pool, stream=self._stream):
                logits, maps = self._arithmetic(images)
        return _Recorded(graph, pinned, images, logits, maps)
