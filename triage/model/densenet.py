"""The network of the MURA paper: DenseNet-169 with one output, and what its output is made of.

It is torchvision's network, layer by layer and name by name, and gives the same numbers (tested).
It stands here because `torchvision.models` brings in the compiler of torch and every other
network, which took a scoring process as long to import as torch itself.

Source: Rajpurkar et al. 2017, sections 3 and 5; Huang et al. 2017, "Densely Connected
Convolutional Networks", table 1; Zhou et al. 2016, "Learning Deep Features for
Discriminative Localization", section 2.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

DENSENET169 = "densenet169"
GROWTH = 32  # channels that a layer adds
SQUEEZED = 4 * GROWTH  # channels between the two convolutions of a layer
STEM = 64  # channels behind the first convolution
LAYERS = (6, 12, 32, 32)  # of each block


class DenseLayer(nn.Module):
    """Normalise, ReLU, squeeze (1 x 1), normalise, ReLU, grow (3 x 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, SQUEEZED, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(SQUEEZED)
        self.conv2 = nn.Conv2d(SQUEEZED, GROWTH, 3, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, GROWTH, H, W)."""
        squeezed = self.conv1(functional.relu(self.norm1(images), inplace=True))
        grown: Tensor = self.conv2(functional.relu(self.norm2(squeezed), inplace=True))
        return grown


class DenseBlock(nn.ModuleDict):
    """Layers each of which reads what all before it have given."""

    def __init__(self, layers: int, channels: int) -> None:
        super().__init__()
        for number in range(layers):
            self.add_module(f"denselayer{number + 1}", DenseLayer(channels + number * GROWTH))

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, channels + layers * GROWTH, H, W)."""
        found = [images]
        for layer in self.values():
            found.append(layer(torch.cat(found, 1)))
        return torch.cat(found, 1)


class Transition(nn.Sequential):
    """The way from one block to the next: half the channels, half the height and width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add_module("norm", nn.BatchNorm2d(channels))
        self.add_module("relu", nn.ReLU(inplace=True))
        self.add_module("conv", nn.Conv2d(channels, channels // 2, 1, bias=False))
        self.add_module("pool", nn.AvgPool2d(2))


class DenseNet(nn.Module):
    """(N, 3, H, W) float32 in, H and W at least 32; (N, 1) logits out, positive for abnormal."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, STEM, 7, stride=2, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(STEM))
        self.features.add_module("relu0", nn.ReLU(inplace=True))
        self.features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
        channels = STEM
        for number, layers in enumerate(LAYERS, 1):
            self.features.add_module(f"denseblock{number}", DenseBlock(layers, channels))
            channels += layers * GROWTH
            if number < len(LAYERS):
                self.features.add_module(f"transition{number}", Transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, 1)
        self._begin()

    def _begin(self) -> None:
        """Draw the random weights that training from nothing begins with: He et al. 2015.

        On torch's device meta there is no memory to draw them into, and doing so all the same
        would bring in torch's compiler.
        """
        if self.classifier.bias.is_meta:
            return
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.classifier(pooled(seen(self, images)))
        return logits


def densenet169() -> nn.Module:
    """Build the network with random weights and torchvision's key names."""
    return DenseNet()


def seen(network: Any, images: Tensor) -> Tensor:
    """Return the last feature maps after their ReLU, (N, 1664, h, w); a cell for 32 pixels."""
    return functional.relu(network.features(images), inplace=True)


def pooled(features: Tensor) -> Tensor:
    """Return the average of each feature map, (N, 1664)."""
    return functional.adaptive_avg_pool2d(features, (1, 1)).flatten(1)


def explain(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Run images, (N, 3, H, W), through a `densenet169`; return its logits and their maps.

    The logits, (N,), are the network's own. The class activation map, (N, h, w) float32, a
    cell for each 32 pixels, is M = sum over k of w_k f_k, of the last feature maps after
    their ReLU and the weights of the output. The output is linear behind an average over the
    places, so the mean of a map, and the bias added, is the logit.
    """
    features = seen(network, images)
    logits: Tensor = network.classifier(pooled(features))
    # The channels stand last in memory: this is a product of a matrix with a vector.
    maps = features.permute(0, 2, 3, 1).float() @ network.classifier.weight[0].float()
    return logits[:, 0], maps


# What a card's `architecture` may name.
ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {DENSENET169: densenet169}
