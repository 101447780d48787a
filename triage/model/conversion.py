"""Weights from elsewhere become a checkpoint: names translated, nothing executed."""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from triage.errors import ModelUnusable, UsageError
from triage.model import checkpoint
from triage.model.card import METADATA_KEY, Card, is_pickle, read_metadata, unreadable

# Under which training scripts nest the weights beside the optimiser and the epoch.
NESTS = ("state_dict", "model_state_dict", "model")
HEADS = ("classifier", "classifier.0", "fc", "fc.0")  # .0: the sigmoid stands beside the layer
OUTPUT = ("classifier.weight", "classifier.bias")  # of today's last layer
FIRST = "features.conv0.weight"  # what stands before it is the name of a wrapper
# Until 0.2.1 torchvision wrote denselayer1.norm.1 for what is denselayer1.norm1 today.
OLD_NAME = re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\..*)")


def convert(source: Path, target: Path, card: Card, *, abnormal: int | None = None) -> None:
    """Write the weights in *source* with *card* to *target*.

    *source* is a safetensors file without a card or a pickle of torch, with
    torchvision's key names. Of a head with two outputs, *abnormal* is the one for
    abnormal, 0 or 1. Raises UsageError when it has a card already or a head that
    needs an answer, ModelUnusable when it cannot be read or holds another network.
    """
    weights = read(source)
    checkpoint.save(target, weights | _head(weights, abnormal, source), card, source=source)


def read(source: Path) -> dict[str, Tensor]:
    """Return the weights in *source* under torchvision's key names of today.

    Raises what `convert` raises, except over a network that does not fit.
    """
    return rename(_read(source), source)


def _read(source: Path) -> Mapping[str, Any]:
    try:
        with source.open("rb") as stream:
            start = stream.read(8)
            stream.seek(0)
            if is_pickle(start):
                return _unpickle(stream, source)
            if METADATA_KEY in read_metadata(stream, source):
                raise UsageError(f"{source}: has a card already; set model.path to it as it is")
            stream.seek(0)
            return checkpoint.read_tensors(stream.read(), source)
    except OSError as error:
        raise unreadable(source, error) from error


def _unpickle(stream: BinaryIO, source: Path) -> Mapping[str, Any]:
    try:
        # weights_only: tensors and plain containers; a pickle that would call anything is refused.
        # The stream and not the path, whose ending torch would believe.
        content = torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelUnusable(
            f"{source}: is damaged, or holds more than tensors and might run foreign code; "
            "save the network's state_dict() alone, best as safetensors"
        ) from error
    except Exception as error:  # over a damaged file torch raises whatever it stumbles on
        first_line = str(error).partition("\n")[0]
        raise ModelUnusable(
            f"{source}: torch cannot read it ({first_line}); copy it again"
        ) from error
    if not isinstance(content, Mapping):
        raise ModelUnusable(
            f"{source}: holds a {type(content).__name__} instead of weights by name; "
            "save the network's state_dict()"
        )
    state: Mapping[str, Any] = content
    for _ in NESTS:  # no deeper: a pickle may contain itself
        state = next((state[key] for key in NESTS if isinstance(state.get(key), Mapping)), state)
    return state


def rename(state: Mapping[str, Any], source: Path) -> dict[str, Tensor]:
    """Translate the key names to torchvision's of today; *source* is for the error's message."""
    state = {str(key): value for key, value in state.items()}
    prefix = next((key.removesuffix(FIRST) for key in state if key.endswith(FIRST)), None)
    if prefix is None:
        raise ModelUnusable(
            f"{source}: holds no {FIRST}, so it is no DenseNet with torchvision's key names"
        )
    head = next((name for name in HEADS if f"{prefix}{name}.weight" in state), None)
    renamed = {}
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise ModelUnusable(f"{source}: {key} is a {type(value).__name__}, not a tensor")
        name = key.removeprefix(prefix)
        if head is not None and name.startswith(f"{head}."):
            name = f"classifier.{name.removeprefix(head + '.')}"
        renamed[OLD_NAME.sub(r"\1\2", name)] = value
    return renamed


def _head(weights: Mapping[str, Tensor], abnormal: int | None, source: Path) -> dict[str, Tensor]:
    """Return the last layer's tensors with one output, for abnormal.

    Of two outputs z, softmax gives abnormal the probability sigmoid(z_abnormal - z_normal).
    """
    head = {name: weights[name] for name in OUTPUT if name in weights}
    outputs = {len(tensor) for tensor in head.values() if tensor.ndim}
    if outputs == {2}:
        if abnormal is None:
            raise UsageError(
                f"{source}: its last layer has two outputs; "
                "say by --abnormal-output 0 or 1 which of them is abnormal"
            )
        return {
            name: (tensor[abnormal].double() - tensor[1 - abnormal].double())[None]
            for name, tensor in head.items()
        }
    if abnormal is not None:
        raise UsageError(f"{source}: --abnormal-output is for a last layer with two outputs")
    if len(outputs) == 1 and outputs != {1}:
        (count,) = outputs
        raise ModelUnusable(
            f"{source}: its last layer has {count} outputs, and a model has one, for abnormal; "
            "train it first (`triage train --init` begins with such weights)"
        )
    return {}
