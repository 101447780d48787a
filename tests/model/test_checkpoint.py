import hashlib
import resource
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from triage.errors import ModelUnusable
from triage.model import checkpoint
from triage.model.card import read_card, sha256_of, to_metadata
from triage.model.densenet import densenet169


@pytest.fixture
def write(tmp_path, card):
    """Return a function that writes a file that `save` itself would refuse."""

    def write(state, card=card):
        save_file(state, tmp_path / "a.safetensors", metadata=to_metadata(card))
        return tmp_path / "a.safetensors"

    return write


def test_weights_and_card_survive_the_file(saved, weights, card):
    found, network = checkpoint.load(saved)

    state = network.state_dict()
    assert found == card == read_card(saved)
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in weights.items())
    assert not network.training


def test_a_file_that_is_not_the_pinned_one_is_not_read(saved):
    own = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert checkpoint.read(saved).sha256 == checkpoint.read(saved, own).sha256 == own
    assert sha256_of(saved) == own
    data = bytearray(saved.read_bytes())
    data[-100] ^= 1  # of a weight: still a whole file, and another model
    saved.write_bytes(data)

    with pytest.raises(ModelUnusable) as caught:
        checkpoint.read(saved, own)

    changed = hashlib.sha256(data).hexdigest()
    assert all(part in str(caught.value) for part in (str(saved), own, changed, "model.sha256"))
    assert checkpoint.read(saved).sha256 == changed


def test_tensors_keep_the_type_they_came_in(saved):
    assert {tensor.dtype for tensor in load_file(saved).values()} == {torch.float16}


def test_a_network_in_training_can_be_saved_and_goes_on_from_the_file(tmp_path, card):
    network = densenet169()

    checkpoint.save(tmp_path / "a.safetensors", network.state_dict(), card)
    _, again = checkpoint.load(tmp_path / "a.safetensors")

    again.train()(torch.zeros(2, 3, 64, 64)).sum().backward()
    assert all(weight.grad is not None for weight in again.parameters())


def test_an_unknown_architecture_is_named_with_those_there_are(write, weights, card):
    path = write(weights, replace(card, architecture="resnet50"))

    with pytest.raises(ModelUnusable, match="'resnet50'; this version of triage has densenet169"):
        checkpoint.load(path)


def test_a_missing_and_a_foreign_tensor_are_named(write, weights):
    state = dict(weights)
    state["classifier.extra"] = state.pop("classifier.bias")

    with pytest.raises(ModelUnusable, match=r"classifier\.bias.*classifier\.extra"):
        checkpoint.load(write(state))


def test_a_wrong_shape_is_named(write, weights):
    state = weights | {"classifier.weight": torch.zeros(1000, 1664)}

    with pytest.raises(ModelUnusable, match=r"classifier\.weight .*\(1000, 1664\).*\(1, 1664\)"):
        checkpoint.load(write(state))


def test_integers_are_no_weights(write, weights):
    state = weights | {"classifier.bias": torch.zeros(1, dtype=torch.int64)}

    with pytest.raises(ModelUnusable, match="floating point"):
        checkpoint.load(write(state))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(write, weights, value):
    state = weights | {"classifier.bias": torch.tensor([value])}

    with pytest.raises(ModelUnusable, match=r"classifier\.bias holds a NaN"):
        checkpoint.load(write(state))


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999999])
def test_a_truncated_checkpoint_is_refused(saved, part):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * part)])

    with pytest.raises(ModelUnusable, match=r"model\.safetensors: is (empty|cut off)"):
        checkpoint.load(saved)


def test_a_checkpoint_with_a_foreign_tail_is_refused(saved):
    saved.write_bytes(saved.read_bytes() + b"tail")

    with pytest.raises(ModelUnusable, match="not a safetensors file"):
        checkpoint.load(saved)


def test_a_file_without_a_card_is_never_loaded(tmp_path, weights):
    save_file(weights, tmp_path / "a.safetensors")

    with pytest.raises(ModelUnusable, match="no card"):
        checkpoint.load(tmp_path / "a.safetensors")


def test_weights_that_could_not_be_loaded_are_not_written(tmp_path, weights, card):
    state = weights | {"classifier.bias": torch.tensor([float("nan")])}

    with pytest.raises(ModelUnusable):
        checkpoint.save(tmp_path / "a.safetensors", state, card)

    assert not list(tmp_path.iterdir())


def test_weights_that_give_no_number_are_not_written(tmp_path, weights, card):
    name = "features.norm5.running_var"
    state = weights | {name: torch.full_like(weights[name], -1)}

    with pytest.raises(ModelUnusable, match="no finite number"):
        checkpoint.save(tmp_path / "a.safetensors", state, card)

    assert not list(tmp_path.iterdir())


@contextmanager
def no_room():
    """Let files grow to 1 MB and no further."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_failed_write_leaves_the_former_file_and_nothing_beside_it(saved, weights, card):
    before = saved.read_bytes()

    with no_room(), pytest.raises(ModelUnusable, match="cannot be written"):
        checkpoint.save(saved, weights, replace(card, version="2"))

    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_folder_that_is_not_there_is_named(tmp_path, weights, card):
    with pytest.raises(ModelUnusable, match="cannot be written"):
        checkpoint.save(tmp_path / "none" / "a.safetensors", weights, card)
