"""A checkpoint: one safetensors file that holds the weights and their card."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from triage.errors import ModelUnusable
from triage.model.card import Card, card_of, read_metadata, to_metadata, unreadable
from triage.model.densenet import ARCHITECTURES
from triage.model.durable import replacing

# BatchNorm counts its batches for training alone; files from elsewhere often lack the counts.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint as it was read: card, network and hash are of the same bytes."""

    card: Card
    network: nn.Module  # in float32, in evaluation mode, on the CPU
    sha256: str


def load(path: Path) -> tuple[Card, nn.Module]:
    """Return the card and the network of a checkpoint; see `read`."""
    found = read(path)
    return found.card, found.network


def read(path: Path, pin: str = "") -> Checkpoint:
    """Read a checkpoint, whose SHA-256 must be *pin* where that is not empty.

    Raises ModelUnusable for whatever `triage.model.card.read_card` refuses, for
    another hash, and for an unknown architecture or tensors that do not fit it
    or are not finite.
    """
    try:
        # Once, as a whole: what was hashed is what is used, even if the file is replaced now.
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    found = hashlib.sha256(data).hexdigest()
    if pin and found != pin:
        raise ModelUnusable(
            f"{path}: its SHA-256 is {found}, and model.sha256 asks for {pin}, so it is not used; "
            "put the file back that has this hash or, if the model was changed on purpose, write "
            "its own hash into model.sha256 and restart the daemon"
        )
    card = card_of(read_metadata(io.BytesIO(data), path), path)
    network = build(card.architecture, read_tensors(data, path), path)
    return Checkpoint(card=card, network=network, sha256=found)


def read_tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file by name; *path* is for the error's message."""
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ModelUnusable(
            f"{path}: is not a safetensors file: {error}; copy the checkpoint again"
        ) from error


def build(architecture: str, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """Build the network that a card calls *architecture* with these weights.

    Raises ModelUnusable when they do not fit; *path* is for its message.
    """
    make = ARCHITECTURES.get(architecture)
    if make is None:
        raise ModelUnusable(
            f"{path}: its card names the architecture {architecture!r}; "
            f"this version of triage has {', '.join(ARCHITECTURES)}"
        )
    with torch.device("meta"):  # no memory and no random numbers for what is replaced at once
        network = make()
    expected = network.state_dict()
    counters = {name: torch.tensor(0) for name in expected if name.endswith(COUNTER)}
    weights = {name: tensor for name, tensor in state.items() if name not in counters}
    _check(weights, {n: t for n, t in expected.items() if n not in counters}, path)
    floats = {name: tensor.to(torch.float32) for name, tensor in weights.items()}
    network.load_state_dict(counters | floats, strict=True, assign=True)
    return network.eval()


def _check(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    missing = sorted(expected.keys() - weights.keys())
    foreign = sorted(weights.keys() - expected.keys())
    if missing or foreign:
        found = [f"{len(missing)} tensors missing (first {missing[0]})"] if missing else []
        found += [f"{len(foreign)} not known (first {foreign[0]})"] if foreign else []
        raise ModelUnusable(
            f"{path}: does not hold the network that its card names: {', '.join(found)}"
        )
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise ModelUnusable(
                f"{path}: {name} has the shape {tuple(tensor.shape)}, "
                f"and the network needs {tuple(expected[name].shape)}"
            )
        if not tensor.is_floating_point():
            raise ModelUnusable(f"{path}: {name} is {tensor.dtype}, and weights are floating point")
        if not torch.isfinite(tensor).all():
            raise ModelUnusable(
                f"{path}: {name} holds a NaN or an infinity; take an earlier checkpoint"
            )


def save(
    path: Path, module_state: Mapping[str, Tensor], card: Card, *, source: Path | None = None
) -> None:
    """Write a checkpoint that is there as a whole or not at all.

    *module_state* is the network's `state_dict()`; each tensor keeps its type.
    Raises ModelUnusable when `load` would refuse the file, the network gives no
    finite number, or the file cannot be written; when the weights are at fault
    the message names their *source*.
    """
    network = build(card.architecture, module_state, source or path)
    side = card.preprocessing.size
    with torch.inference_mode():
        if not torch.isfinite(network(torch.zeros(1, 3, side, side))).all():
            raise ModelUnusable(
                f"{source or path}: the network gives no finite number for a grey image; "
                "take an earlier checkpoint"
            )
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in module_state.items()
        if not name.endswith(COUNTER)
    }
    data = safetensors.torch.save(tensors, metadata=to_metadata(card))
    try:
        with replacing(path) as stream:
            stream.write(data)
    except OSError as error:
        raise ModelUnusable(f"{path}: cannot be written ({error.strerror or error})") from error
