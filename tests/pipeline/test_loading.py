"""The model of the scoring process: what is tried again, and what is not."""

import time

import pytest
import torch
from structlog.testing import capture_logs

from triage.model import scorer as loaded
from triage.model.engines import kinds
from triage.model.engines.kinds import REFERENCE
from triage.pipeline import loading
from triage.pipeline.loading import Loader
from triage.settings import ModelSettings


class Impatient(Exception):
    """The model has been waited for long enough."""


class Waits:
    """Stands for the line to the daemon; ends the wait after some looks."""

    def __init__(self, looks):
        self.looks = looks

    def tell(self, _state):
        pass

    def wait(self, _seconds):
        self.looks -= 1
        if not self.looks:
            raise Impatient


class Slow:
    """An engine that takes its time."""

    def __init__(self, engine):
        self._engine = engine

    def run(self, views):
        time.sleep(0.2)
        return self._engine.run(views)


class FullGpu:
    """Builds engines; on the GPU it fails as often as it is told, and then has room.

    Where there is none, the processor gives the GPU's numbers.
    """

    def __init__(self, failures):
        self.failures = failures
        self.asked = 0

    def __call__(self, kind, network, **how):
        if kind.device == "cuda":
            self.asked += 1
            if self.asked <= self.failures:
                raise torch.OutOfMemoryError("CUDA out of memory")
        engine = self.real(REFERENCE, network, **how)
        return engine if kind.device == "cuda" else Slow(engine)


@pytest.fixture
def load(random_model, monkeypatch):
    """Return a function that loads a model onto a GPU as *build* has it, waiting 5 looks."""
    monkeypatch.setattr(kinds, "has_gpu", lambda: True)
    monkeypatch.setattr(loading, "RETRY_LOADING", -1.0)
    monkeypatch.setattr(Loader, "_explain", lambda *_: None)

    def load(build, **model):
        monkeypatch.setattr(build, "real", loaded.engine_of, raising=False)
        monkeypatch.setattr(loaded, "engine_of", build)
        settings = ModelSettings(path=str(random_model), device="cuda", **model)
        return Loader(settings, None, Waits(5), lambda: None).load()

    return load


@pytest.mark.parametrize("precision", ["auto", "float16"])
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_a_gpu_that_is_full_for_a_while_is_tried_again(load, backend, precision):
    build = FullGpu(failures=3)

    with capture_logs() as events:
        scorer = load(build, backend=backend, precision=precision)

    assert [event["event"] for event in events] == ["no_model"]  # the same reason is told once
    assert scorer.device == "cuda"
    assert build.asked > 3


def test_what_no_other_time_can_mend_is_not_tried_again(load):
    build = FullGpu(failures=0)

    with pytest.raises(Impatient):
        load(build, backend="openvino", precision="float32")

    assert build.asked == 0
