import os
import re

import pytest
import torch
import torchvision
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


def _with_head(weights, outputs, name="classifier"):
    """The weights with another last layer."""
    torch.manual_seed(outputs)
    body = {key: tensor for key, tensor in weights.items() if not key.startswith("classifier.")}
    layer = {"weight": torch.randn(outputs, 1664) / 50, "bias": torch.randn(outputs)}
    return body | {f"{name}.{key}": tensor for key, tensor in layer.items()}


@pytest.mark.parametrize("name", ["classifier", "fc", "fc.0"])
def test_the_head_of_imagenet_is_refused_and_training_recommended(tmp_path, weights, card, name):
    torch.save(_with_head(weights, 1000, name), tmp_path / "a.pth")

    with pytest.raises(ModelUnusable, match=r"a\.pth: its last layer has 1000 outputs.*--init"):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)

    assert not (tmp_path / "b.safetensors").exists()


def test_a_head_of_another_width_names_the_source(tmp_path, weights, card):
    torch.save(weights | {"classifier.weight": torch.zeros(1, 1024)}, tmp_path / "a.pth")

    with pytest.raises(ModelUnusable, match=r"a\.pth: classifier\.weight .*\(1, 1024\)"):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)


@pytest.mark.parametrize("abnormal", [0, 1])
def test_of_two_outputs_the_softmax_becomes_a_sigmoid(tmp_path, weights, card, abnormal):
    state = _with_head(weights, 2)
    torch.save(state, tmp_path / "a.pth")

    convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card, abnormal=abnormal)

    _, network = checkpoint.load(tmp_path / "b.safetensors")
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    pair = torchvision.models.densenet169(num_classes=2).eval()
    pair.load_state_dict(state, strict=False)
    with torch.inference_mode():
        expected = pair(images).softmax(1)[:, abnormal]
        found = network(images)[:, 0].sigmoid()
    assert torch.allclose(found, expected, atol=1e-5)
    assert abs(float(expected[0]) - 0.5) > 0.01


def test_two_outputs_are_refused_until_one_is_named(tmp_path, weights, card):
    torch.save(_with_head(weights, 2), tmp_path / "a.pth")

    with pytest.raises(UsageError, match=r"two outputs; say by --abnormal-output"):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card)


def test_an_output_is_not_named_where_there_is_one_alone(tmp_path, weights, card):
    torch.save(weights, tmp_path / "a.pth")

    with pytest.raises(UsageError, match="--abnormal-output is for a last layer with two"):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors", card, abnormal=1)


def test_a_missing_source_is_named(tmp_path, card):
    with pytest.raises(ModelUnusable, match=r"gone\.pth: there is no such file"):
        convert(tmp_path / "gone.pth", tmp_path / "b.safetensors", card)
