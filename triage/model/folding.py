"""The arithmetic of a DenseNet, with what its layers do to each other done beforehand.

Three things are worked out once instead of at every view, and change nothing but the last
digits: a batch normalisation, being fixed, is a product and a sum; behind a convolution it is
part of that convolution's weights; and the average of a transition goes before its convolution
of 1 x 1, which then has a quarter of the places to visit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Affine:
    """A batch normalisation that stands alone: x * scale + shift, (C,) each."""

    scale: Tensor
    shift: Tensor


@dataclass(frozen=True)
class Convolution:
    """A convolution; its bias is that of the normalisation behind it, if there is one."""

    weight: Tensor  # (out, in, k, k)
    bias: Tensor | None = None


@dataclass(frozen=True)
class Layer:
    """A dense layer: normalise, ReLU, squeeze (1 x 1), ReLU, grow (3 x 3)."""

    normalise: Affine
    squeeze: Convolution
    grow: Convolution


@dataclass(frozen=True)
class Block:
    """Dense layers, each of which adds to what it reads; and the way to the next block."""

    layers: tuple[Layer, ...]
    normalise: Affine  # then ReLU; of the last block, the network's last
    transition: Convolution | None  # behind an average over 2 x 2; None behind the last block


@dataclass(frozen=True)
class Folded:
    """A whole network, in float32 on the CPU."""

    stem: Convolution  # 7 x 7, stride 2; then ReLU, and the maximum over 3 x 3, stride 2
    blocks: tuple[Block, ...]
    weight: Tensor  # (C,), of the output
    bias: float


def fold(network: Any) -> Folded:
    """Return what a `triage.model.densenet.densenet169` in evaluation mode computes.

    Raises ValueError where its normalisations have no finite scale: a number may
    come out of such a network all the same, and mean nothing.
    """
    parts = network.features
    with torch.no_grad():
        return Folded(
            stem=_folded(parts.conv0, parts.norm0),
            blocks=tuple(_blocks(parts)),
            weight=network.classifier.weight[0].clone(),
            bias=float(network.classifier.bias),
        )


def _blocks(parts: Any) -> Iterator[Block]:
    number = 1
    while block := getattr(parts, f"denseblock{number}", None):
        layers = tuple(
            Layer(
                normalise=_affine(layer.norm1),
                squeeze=_folded(layer.conv1, layer.norm2),
                grow=Convolution(layer.conv2.weight.clone()),
            )
            for layer in block.values()
        )
        transition = getattr(parts, f"transition{number}", None)
        if transition is None:
            yield Block(layers, _affine(parts.norm5), None)
        else:
            convolution = Convolution(transition.conv.weight.clone())
            yield Block(layers, _affine(transition.norm), convolution)
        number += 1


def _affine(norm: Any) -> Affine:
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * scale
    affine = Affine(scale.float(), shift.float())
    if not (torch.isfinite(affine.scale).all() and torch.isfinite(affine.shift).all()):
        raise ValueError("a normalisation has no finite scale")
    return affine


def _folded(convolution: Any, norm: Any) -> Convolution:
    behind = _affine(norm)
    weight = convolution.weight.double() * behind.scale.double()[:, None, None, None]
    return Convolution(weight.float(), behind.shift)
