"""The network of the MURA paper: DenseNet-169 with one output, and what its output is made of.

Source: Rajpurkar et al. 2017, sections 3 and 5; Huang et al. 2017, "Densely Connected
Convolutional Networks", table 1; Zhou et al. 2016, "Learning Deep Features for
Discriminative Localization", section 2.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torchvision import models

DENSENET169 = "densenet169"


def densenet169() -> nn.Module:
    """Build the network with random weights and torchvision's key names.

    (N, 3, H, W) float32 in, H and W at least 32; (N, 1) logits out, positive for abnormal.
    """
    network: nn.Module = models.densenet169(num_classes=1)
    return network


def explain(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Run images, (N, 3, H, W), through a `densenet169`; return its logits and their maps.

    The logits, (N,), are the network's own. The class activation map, (N, h, w) float32, a
    cell for each 32 pixels, is M = sum over k of w_k f_k, of the last feature maps after
    their ReLU and the weights of the output. The output is linear behind an average over the
    places, so the mean of a map, and the bias added, is the logit.
    """
    features = functional.relu(network.features(images), inplace=True)  # (N, 1664, h, w)
    pooled = functional.adaptive_avg_pool2d(features, (1, 1)).flatten(1)
    logits: Tensor = network.classifier(pooled)
    # The channels stand last in memory: this is a product of a matrix with a vector.
    maps = features.permute(0, 2, 3, 1).float() @ network.classifier.weight[0].float()
    return logits[:, 0], maps


# What a card's `architecture` may name.
ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {DENSENET169: densenet169}
