"""OpenVINO on the CPU: a graph of our own, compiled in memory, and a stream a core.

The graph is built from the weights that were checked (`triage.model.folding`); no file of
OpenVINO's is read.

Each core runs views of its own, one at a time. Several cores on one view wait for each other at
every layer, and for whatever else keeps one of them busy (a decoder, the receiver); measured on
2 busy cores that costs a third. And so a view's numbers cannot depend on those beside it.
"""

import sys
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from triage.model.engines.port import Passed, Views
from triage.model.folding import Affine, Block, Convolution, Folded

# OpenVINO's Python package reports to its makers over the network as soon as it is imported. It
# does without where the package that reports is not there.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402
from openvino import opset13 as op  # noqa: E402

PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}  # OpenVINO's names
POOL = {"dilations": [1, 1], "pads_begin": [1, 1], "pads_end": [1, 1], "kernel_shape": [3, 3]}


class OpenVinoEngine:
    """The processor's engine, where OpenVINO is installed."""

    def __init__(self, network: Folded, *, side: int, precision: str, threads: int) -> None:
        model = _model(network, side)
        compiled = ov.Core().compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": threads,
                # The system knows better where there is room: decoders run beside us.
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._requests = [compiled.create_infer_request() for _ in range(threads)]

    def run(self, views: Views) -> Passed:
        """Run a batch; see `triage.model.engines.port.Engine`."""
        logits: list[NDArray[np.float32]] = []
        maps: list[NDArray[np.float32]] = []
        for start in range(0, len(views), len(self._requests)):
            at_once = list(zip(self._requests, views[start:], strict=False))
            # They read the caller's views: whichever of them fails, none is left running.
            with ExitStack() as running:
                for request, view in at_once:
                    request.set_input_tensor(ov.Tensor(view[None], shared_memory=True))
                    request.start_async()
                    running.callback(request.wait)
            logits += [request.get_output_tensor(0).data.copy() for request, _ in at_once]
            maps += [request.get_output_tensor(1).data.copy() for request, _ in at_once]
        return Passed(np.concatenate(logits), np.concatenate(maps))


def _model(network: Folded, side: int) -> ov.Model:
    """Build the graph: (1, 3, S, S) in; the logits, (1,), and the maps, (1, h, w), out."""
    images = op.parameter([1, 3, side, side], np.float32, name="views")
    x = op.relu(_convolved(network.stem, images, stride=2, padding=3))
    x = op.max_pool(x, strides=[2, 2], rounding_type="floor", **POOL).output(0)
    for block in network.blocks:
        x = _through(block, x)
    maps = op.squeeze(_convolved(Convolution(network.weight[None, :, None, None]), x), _axes(1))
    mean = op.reduce_mean(maps, _axes(1, 2), keep_dims=False)
    return ov.Model([op.add(mean, np.float32(network.bias)), maps], [images], "triage")


def _through(block: Block, x: ov.Node) -> ov.Node:
    for layer in block.layers:
        y = op.relu(_normalised(layer.normalise, x))
        y = op.relu(_convolved(layer.squeeze, y))
        x = op.concat([x, _convolved(layer.grow, y, padding=1)], axis=1)
    x = op.relu(_normalised(block.normalise, x))
    if block.transition is None:
        return x
    halved = op.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=True, rounding_type="floor")
    return _convolved(block.transition, halved)


def _convolved(
    convolution: Convolution, x: ov.Node, *, stride: int = 1, padding: int = 0
) -> ov.Node:
    y = op.convolution(
        x,
        convolution.weight.numpy(),
        strides=[stride, stride],
        pads_begin=[padding, padding],
        pads_end=[padding, padding],
        dilations=[1, 1],
    )
    return y if convolution.bias is None else op.add(y, _by_channel(convolution.bias))


def _normalised(affine: Affine, x: ov.Node) -> ov.Node:
    return op.add(op.multiply(x, _by_channel(affine.scale)), _by_channel(affine.shift))


def _by_channel(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.numpy()[None, :, None, None]
    return array


def _axes(*axes: int) -> NDArray[np.int64]:
    return np.array(axes, np.int64)
