import os
from dataclasses import replace

import pytest
import torch

from triage.errors import TrainingFailed, UsageError
from triage.research import resume
from triage.research.resume import State


@pytest.fixture
def state():
    network = {"w": torch.rand(4, 3, 2, 2).to(memory_format=torch.channels_last)}
    return State(
        claim={"batch": 8, "init": "none"},
        unreadable=["a.png"],
        network=network,
        pace={"threads": 1},
    )


def test_a_state_comes_back_as_it_was(state, tmp_path):
    state.history.append({"epoch": 1, "auroc": None})
    state.optimiser = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4}]}

    resume.save(tmp_path / "x.resume", state)

    found = resume.load(tmp_path / "x.resume")
    assert torch.equal(found.network["w"], state.network["w"])
    assert found.network["w"].stride() == state.network["w"].stride()
    assert replace(found, network={}) == replace(state, network={})
    assert [path.name for path in tmp_path.iterdir()] == ["x.resume"]


def test_no_state_is_no_error(tmp_path):
    assert resume.load(tmp_path / "x.resume") is None


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_a_damaged_state_says_how_to_begin_anew(content, tmp_path):
    (tmp_path / "x.resume").write_bytes(content)

    with pytest.raises(TrainingFailed, match=r"x\.resume.*--restart"):
        resume.load(tmp_path / "x.resume")


def test_a_state_that_would_run_code_is_refused(tmp_path, capfd):
    class Evil:
        def __reduce__(self):
            return os.system, ("echo run",)

    torch.save({"format": 1, "claim": Evil()}, tmp_path / "x.resume")

    with pytest.raises(TrainingFailed):
        resume.load(tmp_path / "x.resume")
    assert capfd.readouterr().out == ""


def test_a_state_that_cannot_be_written_leaves_the_former_one(state, tmp_path):
    resume.save(tmp_path / "x.resume", state)
    former = (tmp_path / "x.resume").read_bytes()
    (tmp_path / ".x.resume.partial").mkdir()

    with pytest.raises(TrainingFailed, match="cannot be written"):
        resume.save(tmp_path / "x.resume", state)
    assert (tmp_path / "x.resume").read_bytes() == former


def test_every_difference_is_named(state, tmp_path):
    with pytest.raises(
        UsageError, match=r"batch 8 \(now 4\), init none \(now imagenet\).*--restart"
    ):
        resume.check(state, {"batch": 4, "init": "imagenet"}, tmp_path / "x.resume")
