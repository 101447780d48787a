import os
import re

import pytest
import torch
from safetensors.torch import save_file

from triage.errors import ModelUnusable, UsageError
from triage.model import checkpoint
from triage.model.conversion import convert
from triage.model.densenet import densenet169


def _counted(weights):
    return densenet169().state_dict() | weights


def _fc(weights):
    return {name.replace("classifier.", "fc."): tensor for name, tensor in weights.items()}


def _old(weights):
    pattern = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])")
    return {pattern.sub(r"\1.\2", name): tensor for name, tensor in weights.items()}


LAYOUTS = {
    "bare": dict,
    "with counters": _counted,
    "head fc": _fc,
    "head with a sigmoid": lambda w: {k.replace("classifier.", "classifier.0."): v for k, v in w.items()},
    "data parallel": lambda w: {f"module.{name}": tensor for name, tensor in w.items()},
    "names of old torchvision": _old,
    "nested": lambda w: {"epoch": 3, "state_dict": _fc(w), "optimizer": {"lr": 0.1}},
    "nested twice": lambda w: {"model": {"state_dict": {f"module.{k}": v for k, v in w.items()}}},
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pickle_becomes_a_checkpoint_with_the_same_weights(tmp_path, weights, card, layout):
    torch.save(LAYOUTS[layout](dict(weights)), tmp_path / "a.pth")

    convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)

    found, network = checkpoint.load(tmp_path / "b.safetensors")
    state = network.state_dict()
    assert found == card
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in weights.items())


def test_a_pickle_of_the_old_kind_is_read_too(tmp_path, weights, card):
    torch.save(weights, tmp_path / "a.pth.tar", _use_new_zipfile_serialization=False)

    convert(tmp_path / "a.pth.tar", tmp_path / "b.safetensors", card)

    assert checkpoint.load(tmp_path / "b.safetensors")[0] == card


def test_a_pickle_is_known_by_its_content_whatever_its_name(tmp_path, weights, card):
    torch.save(weights, tmp_path / "a.safetensors")

    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", card)

    assert checkpoint.load(tmp_path / "b.safetensors")[0] == card


@pytest.mark.parametrize("layout", ["bare", "head fc", "data parallel"])
def test_safetensors_without_a_card_becomes_a_checkpoint(tmp_path, weights, card, layout):
    save_file(LAYOUTS[layout](dict(weights)), tmp_path / "a.safetensors")

    convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", card)

    assert checkpoint.load(tmp_path / "b.safetensors")[0] == card


def test_safetensors_with_a_card_needs_no_import(tmp_path, saved, card):
    with pytest.raises(UsageError, match="has a card already"):
        convert(saved, tmp_path / "b.safetensors", card)


class _Touch:
    """Unpickled carelessly, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, weights, card, zipped):
    state = dict(weights) | {"evil": _Touch(tmp_path / "ran")}
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)

    with pytest.raises(ModelUnusable, match="foreign code"):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)

    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "b.safetensors").exists()


def test_a_whole_pickled_network_is_refused(tmp_path, card):
    torch.save(densenet169(), tmp_path / "a.pth")

    with pytest.raises(ModelUnusable, match=r"state_dict\(\)"):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.5, 0.99])
def test_a_truncated_pickle_is_refused(tmp_path, weights, card, part):
    torch.save(weights, tmp_path / "a.pth")
    data = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(data[: int(len(data) * part)])

    with pytest.raises(ModelUnusable, match=r"a\.pth: "):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1, 2], "holds a list"),
        ({"weight": torch.zeros(1)}, "no DenseNet"),
        ({"features.conv0.weight": 1}, "not a tensor"),
    ],
)
def test_a_pickle_of_something_else_is_named(tmp_path, card, content, says):
    torch.save(content, tmp_path / "a.pth")

    with pytest.raises(ModelUnusable, match=says):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)


def test_another_number_of_outputs_names_the_source(tmp_path, weights, card):
    state = weights | {"classifier.weight": torch.zeros(1000, 1664)}
    torch.save(state, tmp_path / "a.pth")

    with pytest.raises(ModelUnusable, match=r"a\.pth: classifier\.weight .*\(1000, 1664\)"):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)


def test_a_missing_source_is_named(tmp_path, card):
    with pytest.raises(ModelUnusable, match=r"gone\.pth: there is no such file"):
        convert(tmp_path / "gone.pth", tmp_path / "b.safetensors", card)
