"""Where the weights begin: ImageNet's, a file's, or random ones."""

import contextlib
import hashlib
import pickle
import socket
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from triage.errors import TrainingFailed
from triage.model import checkpoint, conversion
from triage.model.card import METADATA_KEY, is_pickle, read_metadata, unreadable
from triage.model.densenet import ARCHITECTURES

IMAGENET, NONE = "imagenet", "none"
HEAD = "classifier."
PATIENCE = 10.0  # seconds without a byte after which a download is given up


def identity(init: str) -> str:
    """Return what the card calls the beginning: a word, or a file's name and SHA-256.

    Raises ModelUnusable for a file that cannot be read.
    """
    if init in (IMAGENET, NONE):
        return init
    path = Path(init)
    try:
        with path.open("rb") as stream:
            return f"{path.name} sha256 {hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except OSError as error:
        raise unreadable(path, error) from error


def initial_weights(init: str, architecture: str, seed: int) -> dict[str, Tensor]:
    """Return the state of the network before the first step.

    A last layer of another width than one, or none, is replaced by a random one;
    everything else must fit. Raises ModelUnusable for a file that does not, and
    TrainingFailed where ImageNet's weights cannot be had.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh: dict[str, Tensor] = ARCHITECTURES[architecture]().state_dict()
    if init == NONE:
        return fresh
    given = _imagenet() if init == IMAGENET else _weights_of(Path(init))
    head = {name: tensor for name, tensor in fresh.items() if name.startswith(HEAD)}
    if any(name not in given or given[name].shape != head[name].shape for name in head):
        given = {name: given[name] for name in given if not name.startswith(HEAD)} | head
    source = Path("the weights of ImageNet" if init == IMAGENET else init)
    return checkpoint.build(architecture, given, source).state_dict()


def _weights_of(path: Path) -> Mapping[str, Tensor]:
    """Read a checkpoint of ours, safetensors without a card, or a pickle of torch."""
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            ours = not is_pickle(start) and METADATA_KEY in read_metadata(stream, path)
    except OSError as error:
        raise unreadable(path, error) from error
    if ours:
        return checkpoint.load(path)[1].state_dict()
    return conversion.read(path)


def _imagenet() -> dict[str, Tensor]:
    """Return torchvision's weights, from its cache or from where it publishes them."""
    from torchvision import models  # takes as long to import as torch, and only this needs it

    weights = models.DenseNet169_Weights.IMAGENET1K_V1
    try:
        # torch announces a download on standard output, which is ours.
        with _impatient(), contextlib.redirect_stdout(sys.stderr):
            state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, HTTPException, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingFailed(
            f"torchvision's ImageNet weights of DenseNet-169 cannot be had ({error}); "
            "name a file that holds some with --init FILE, or begin with random ones, --init none"
        ) from error
    return conversion.rename(state, Path(weights.url.rpartition("/")[2]))


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    former = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(former)
