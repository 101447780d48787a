"""The network of the MURA paper: DenseNet-169 with one output.

Source: Rajpurkar et al. 2017, section 3; Huang et al. 2017, "Densely Connected
Convolutional Networks", table 1.
"""

from collections.abc import Callable

from torch import nn
from torchvision import models

DENSENET169 = "densenet169"


def densenet169() -> nn.Module:
    """Build the network with random weights and torchvision's key names.

    (N, 3, H, W) float32 in, H and W at least 32; (N, 1) logits out, positive for abnormal.
    """
    network: nn.Module = models.densenet169(num_classes=1)
    return network


# What a card's `architecture` may name.
ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {DENSENET169: densenet169}
