import pytest
import torch
from safetensors.torch import save_file

from triage.errors import ModelUnusable, TrainingFailed
from triage.model import checkpoint
from triage.model.card import Card
from triage.model.densenet import densenet169
from triage.research.initial import identity, initial_weights

CARD = Card(name="little", version="1", training_data="none", licence="CC0")


@pytest.fixture(scope="module")
def given():
    """The state of a network that somebody trained."""
    torch.manual_seed(7)
    return densenet169().state_dict()


def same(state, other, *, but=()):
    return [
        name
        for name in other
        if not name.endswith("num_batches_tracked") and not name.startswith(but or "-")
        if not torch.equal(state[name], other[name])
    ] == []


def test_random_weights_are_the_seeds():
    one = initial_weights("none", CARD.architecture, seed=1)

    assert same(one, initial_weights("none", CARD.architecture, seed=1))
    assert not same(one, initial_weights("none", CARD.architecture, seed=2))


def test_a_checkpoint_of_ours_is_taken_up_with_its_last_layer(given, tmp_path):
    checkpoint.save(tmp_path / "former.safetensors", given, CARD)

    assert same(
        initial_weights(str(tmp_path / "former.safetensors"), CARD.architecture, seed=1), given
    )


@pytest.mark.parametrize("width", [1000, None])
def test_a_last_layer_of_another_width_or_none_becomes_a_random_one(given, tmp_path, width):
    other = {name: value for name, value in given.items() if not name.startswith("classifier")}
    if width:
        other |= {
            "classifier.weight": torch.ones(width, 1664),
            "classifier.bias": torch.ones(width),
        }
    save_file(other, tmp_path / "other.safetensors")

    state = initial_weights(str(tmp_path / "other.safetensors"), CARD.architecture, seed=1)

    assert same(state, given, but="classifier")
    fresh = initial_weights("none", CARD.architecture, seed=1)
    assert torch.equal(state["classifier.weight"], fresh["classifier.weight"])


def test_a_pickle_of_a_training_script_is_read_under_other_names(given, tmp_path):
    nested = {f"module.{name}".replace("classifier", "fc"): value for name, value in given.items()}
    torch.save({"epoch": 3, "state_dict": nested}, tmp_path / "theirs.pth.tar")

    assert same(initial_weights(str(tmp_path / "theirs.pth.tar"), CARD.architecture, seed=1), given)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")

    with pytest.raises(ModelUnusable, match="foreign code"):
        initial_weights(str(tmp_path / "evil.pth"), CARD.architecture, seed=1)


def test_a_network_that_does_not_fit_is_refused_by_the_files_name(given, tmp_path):
    less = {name: value for name, value in given.items() if "denseblock4" not in name}
    save_file(less, tmp_path / "less.safetensors")

    with pytest.raises(ModelUnusable, match=r"less\.safetensors.*missing"):
        initial_weights(str(tmp_path / "less.safetensors"), CARD.architecture, seed=1)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelUnusable, match=r"absent\.pt: there is no such file"):
        identity(str(tmp_path / "absent.pt"))


def test_imagenets_weights_come_from_torchvisions_cache(given, tmp_path, monkeypatch):
    old = {name.replace("norm1", "norm.1"): value for name, value in given.items()}
    old |= {"classifier.weight": torch.ones(1000, 1664), "classifier.bias": torch.ones(1000)}
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(old, tmp_path / "hub" / "checkpoints" / "densenet169-b2777c0a.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    assert same(initial_weights("imagenet", CARD.architecture, seed=1), given, but="classifier")


def test_where_imagenets_weights_cannot_be_had_another_beginning_is_named(
    tmp_path, monkeypatch, free_port, capsys
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")

    with pytest.raises(TrainingFailed, match=r"--init FILE.*--init none"):
        initial_weights("imagenet", CARD.architecture, seed=1)
    assert capsys.readouterr().out == ""
