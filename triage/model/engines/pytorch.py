"""torch as an engine: on the CPU at once, on a GPU by recorded graphs (`triage.model.engines.cuda`).

What it computes is `triage.model.folding`, and three things keep it quick: the channels stand
last in memory, where the CPU's and the GPU's kernels want them; a block's layers write into one
array instead of joining theirs again and again; and the type is half as wide where that pays.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d

from triage.model.engines.port import Passed, Views
from triage.model.folding import Affine, Block, Convolution, Folded

LAST = torch.channels_last


class Arithmetic:
    """A folded network's forward pass in one type on one device.

    *pool_first* is for CPU and GPU alike; see `triage.model.folding`.
    """

    def __init__(self, network: Folded, device: str, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self._stem = self._convolution(network.stem)
        self._blocks = [self._block(block) for block in network.blocks]
        self._weight = network.weight.to(device)
        self._bias = network.bias

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run (N, 3, S, S) on the device; logits (N,) and maps (N, h, w), float32 there."""
        x = images.to(self.dtype, memory_format=LAST)
        x = max_pool2d(_apply(self._stem, x, stride=2, padding=3).relu_(), 3, 2, 1)
        for block in self._blocks:
            x = self._through(block, x)
        # The channels stand last in memory: this is a product of a matrix with a vector.
        maps = x.permute(0, 2, 3, 1).float() @ self._weight
        return maps.mean((1, 2)) + self._bias, maps

    def _through(self, block: Block, x: Tensor) -> Tensor:
        views, channels, height, width = x.shape
        whole = channels + sum(layer.grow.weight.shape[0] for layer in block.layers)
        joined = torch.empty(
            (views, whole, height, width), dtype=x.dtype, device=x.device, memory_format=LAST
        )
        joined[:, :channels] = x
        for layer in block.layers:
            y = _normalised(layer.normalise, joined[:, :channels])
            y = _apply(layer.squeeze, y).relu_()
            y = _apply(layer.grow, y, padding=1)
            joined[:, channels : channels + y.shape[1]] = y
            channels += y.shape[1]
        x = _normalised(block.normalise, joined)
        if block.transition is None:
            return x
        return _apply(block.transition, avg_pool2d(x, 2))

    def _block(self, block: Block) -> Block:
        return Block(
            tuple(
                type(layer)(
                    self._affine(layer.normalise),
                    self._convolution(layer.squeeze),
                    self._convolution(layer.grow),
                )
                for layer in block.layers
            ),
            self._affine(block.normalise),
            None if block.transition is None else self._convolution(block.transition),
        )

    def _affine(self, affine: Affine) -> Affine:
        scale, shift = (
            each.to(self.device, self.dtype)[:, None, None] for each in (affine.scale, affine.shift)
        )
        return Affine(scale, shift)

    def _convolution(self, convolution: Convolution) -> Convolution:
        weight = convolution.weight.to(self.device, self.dtype, memory_format=LAST)
        bias = convolution.bias
        return Convolution(weight, None if bias is None else bias.to(self.device, self.dtype))


def _apply(convolution: Convolution, x: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
    return conv2d(x, convolution.weight, convolution.bias, stride, padding)


def _normalised(affine: Affine, x: Tensor) -> Tensor:
    return torch.addcmul(affine.shift, x, affine.scale).relu_()


class TorchEngine:
    """The processor's engine, on torch's own threads."""

    def __init__(self, network: Folded, *, dtype: torch.dtype) -> None:
        self._arithmetic = Arithmetic(network, "cpu", dtype)

    def run(self, views: Views) -> Passed:
        """Run a batch; see `triage.model.engines.port.Engine`."""
        with torch.inference_mode():
            logits, maps = self._arithmetic(torch.from_numpy(views))
            return Passed(logits.numpy(), maps.numpy())
