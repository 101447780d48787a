"""Each engine gives the numbers of the network itself; and which of them is taken."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.daemon import environment
from tests.support.models import EXACT
from triage.errors import ConfigurationError, EngineUnavailable, ModelUnusable
from triage.model import checkpoint, densenet
from triage.model.card import Preprocessing
from triage.model.engines import kinds
from triage.model.engines.build import engine_of
from triage.model.engines.choice import Trial, Wanted, choose
from triage.model.engines.kinds import FASTEST_FIRST, REFERENCE, Kind
from triage.model.engines.port import Passed
from triage.model.folding import fold
from triage.model.inference import Inference, Member
from triage.model.scorer import Scorer
from triage.model.specimens import specimens

ON_CPU = [kind for kind in FASTEST_FIRST if kind.device == "cpu"]
# How far engines lie apart: a probability, and a cell of a map in parts of the map's largest.
PROBABILITY = {"float32": 1e-6, "bfloat16": 0.01}
CELL = {"float32": 1e-4, "bfloat16": 0.05}


@pytest.fixture(scope="module", params=[64, 100])
def network(request, pristine):
    """A network, and inputs of a size for it; 100 is no multiple of a cell."""
    views = np.random.default_rng(7).normal(size=(5, 3, request.param, request.param))
    return checkpoint.load(pristine)[1], views.astype(np.float32)


@pytest.mark.parametrize("kind", ON_CPU, ids=str)
def test_an_engine_gives_the_networks_own_logits_and_maps(kind, network):
    module, views = network
    with torch.inference_mode():
        logits, maps = (each.numpy() for each in densenet.explain(module, torch.from_numpy(views)))

    engine = engine_of(kind, fold(module), side=views.shape[-1], threads=1)

    for chosen in (slice(0, 5), slice(3, 4), slice(4, 1, -1)):
        found = engine.run(np.ascontiguousarray(views[chosen]))
        assert sigmoid(found.logits) == pytest.approx(
            sigmoid(logits[chosen]), abs=PROBABILITY[kind.precision]
        )
        assert found.maps == pytest.approx(
            maps[chosen], abs=CELL[kind.precision] * float(np.abs(maps).max())
        )


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


@pytest.mark.parametrize("kind", ON_CPU, ids=str)
def test_what_an_engine_gave_stays_when_it_runs_again(kind, network):
    module, views = network
    engine = engine_of(kind, fold(module), side=views.shape[-1], threads=1)

    before = engine.run(views)
    kept = before.logits.copy(), before.maps.copy()
    engine.run(views[::-1].copy())

    assert np.array_equal(before.logits, kept[0])
    assert np.array_equal(before.maps, kept[1])


def test_where_a_view_of_a_batch_fails_none_is_left_running(network):
    module, views = network
    side = views.shape[-1]
    engine = engine_of(
        Kind("openvino", "cpu", "float32"), fold(module), side=side, threads=len(views)
    )
    before = engine.run(views)

    with pytest.raises(RuntimeError, match="shape"):
        engine.run([*views[:-1], np.zeros((3, 8, 8), np.float32)])

    # One that still runs would be busy, and read what is no longer its own.
    assert engine.run(views).logits == pytest.approx(before.logits)


@pytest.mark.parametrize("kind", [ON_CPU[0], ON_CPU[1]], ids=str)
def test_an_ensemble_is_the_mean_of_its_members_by_every_engine(kind, save, card):
    other = replace(
        card, name="other", temperature=2.0, preprocessing=Preprocessing(size=64, mean=(0, 0, 0))
    )
    paths = save(card, "a.safetensors"), save(other, "b.safetensors")
    exact = Scorer(*paths, **EXACT, threads=1)
    views = [exact.prepare(picture) for picture in specimens().values()]

    found = Scorer(*paths, device="cpu", backend=kind.backend, precision=kind.precision, threads=1)

    assert found.choice.kind == kind
    assert found.score(views) == pytest.approx(exact.score(views), abs=PROBABILITY[kind.precision])


def test_auto_stays_within_a_hundredth_of_float32_and_says_what_it_took(pristine):
    exact = Scorer(pristine, **EXACT, threads=1)
    auto = Scorer(pristine, device="cpu", threads=1)
    views = [exact.prepare(picture) for picture in specimens().values()]

    assert auto.choice.kind in ON_CPU
    assert auto.score(views) == pytest.approx(exact.score(views), abs=0.01)
    assert auto.choice.why
    assert len(auto.choice.others) == ON_CPU.index(auto.choice.kind)


@dataclass(frozen=True)
class Told:
    """An engine that gives the logits that it is told, after a while; or fails."""

    logits: tuple[float, ...] = (-1.0, 0.0, 1.0)
    seconds: float = 0.0
    error: Exception | None = None

    def run(self, views):
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        logits = np.array(self.logits[: len(views)], np.float32)
        return Passed(logits, np.zeros((len(views), 1, 1), np.float32))


class HeldUpOnce(Told):
    """An engine whose first timed pass takes long; the one before it is not timed."""

    passes = 0

    def run(self, views):
        type(self).passes += 1
        if self.passes == 2:
            time.sleep(0.5)
        return super().run(views)


TRIAL = Trial(
    views=[np.zeros((3, 32, 32), np.float32)] * 3,
    names=["dark", "grey", "light"],
    thresholds=[0.4, 0.6],
)
SLOW = Told(seconds=0.05)
OPENVINO16, TORCH16, OPENVINO32, _ = ON_CPU


@pytest.fixture
def take(card, tmp_path, monkeypatch):
    """Return a function that chooses among told engines, on a processor that has bfloat16."""
    monkeypatch.setattr(kinds, "has_bfloat16", lambda: True)

    def take(told, **wanted):
        def build(kind):
            return Inference((Member(tmp_path, card, told.get(kind, SLOW)),), 8)

        return choose(Wanted(**{"device": "cpu"} | wanted), build, TRIAL)

    return take


def test_the_first_that_computes_what_float32_does_and_is_faster_is_taken(take):
    choice = take({OPENVINO16: Told((-1.0, 0.01, 1.0))})

    assert (choice.kind, choice.others) == (OPENVINO16, ())
    assert choice.why.startswith("differs by at most 0.002")
    assert "torch float32 on cpu" in choice.why


def test_one_that_differs_fails_or_is_slower_is_passed_over_with_the_reason(take):
    choice = take(
        {
            OPENVINO16: Told((-1.0, 0.1, 1.0)),
            TORCH16: Told(error=RuntimeError("no memory\nat all")),
            OPENVINO32: Told(seconds=0.2),
        }
    )

    assert choice.kind == REFERENCE
    first, second, third = choice.others
    assert first == "openvino bfloat16 on cpu: differs by 0.025 at the image 'grey'"
    assert second == "torch bfloat16 on cpu: fails: no memory"
    assert third.startswith("openvino float32 on cpu: is slower (")


def test_one_that_something_else_held_up_once_is_not_called_slower(take):
    choice = take({OPENVINO16: HeldUpOnce()})

    assert choice.kind == OPENVINO16


def test_where_all_fail_that_may_be_taken_another_try_may_do(take):
    in_vain = Told(error=RuntimeError("no memory"))

    with pytest.raises(EngineUnavailable, match=r"none will do here: openvino.*fails: no memory"):
        take({OPENVINO16: in_vain, OPENVINO32: in_vain}, backend="openvino")


def test_where_none_is_right_no_other_try_is_promised(take):
    wrong = Told((-1.0, 0.1, np.nan))

    with pytest.raises(ConfigurationError, match="none will do here"):
        take({OPENVINO16: wrong, OPENVINO32: wrong}, backend="openvino")


@pytest.mark.parametrize("logit", [np.nan, np.inf])
def test_one_that_gives_no_number_is_passed_over(take, logit):
    choice = take({OPENVINO16: Told((logit, 0.0, 1.0)), TORCH16: Told()})

    assert choice.kind == TORCH16
    assert "no finite number" in choice.others[0]


def test_one_that_changes_a_label_is_passed_over_however_little_it_differs(take):
    edge = float(np.log(0.6 / 0.4))
    told = {
        REFERENCE: Told((-1.0, edge - 1e-3, 1.0), 0.05),
        TORCH16: Told((-1.0, edge - 1e-3, 1.0)),
    }

    choice = take(told | {OPENVINO16: Told((-1.0, edge + 1e-3, 1.0))})

    assert choice.kind == TORCH16
    assert choice.others == ("openvino bfloat16 on cpu: changes the label of the image 'grey'",)


def test_what_is_not_installed_is_said_and_the_next_is_taken(take, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    cure = f"{sys.executable} -m pip install 'openvino>=2026.4'"

    choice = take({TORCH16: Told()})

    assert choice.kind == TORCH16
    assert choice.others == (f"openvino bfloat16 on cpu: is not installed ({cure})",)
    with pytest.raises(ConfigurationError, match=f"model.backend=openvino.*{re.escape(cure)}"):
        take({}, backend="openvino", precision="float32")
    with pytest.raises(ConfigurationError, match=r"none will do here: openvino.*not installed"):
        take({}, backend="openvino")


@pytest.fixture
def broken_openvino(tmp_path):
    """Return the environment of a process whose OpenVINO is installed and lacks a library."""
    package = tmp_path / "packages" / "openvino"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "raise ImportError('libtbb.so.12: cannot open shared object file')"
    )
    path = os.pathsep.join([str(package.parent), environment()["PYTHONPATH"]])
    return environment() | {"PYTHONPATH": path, "TRIAGE_MODEL__DEVICE": "cpu"}


@pytest.mark.parametrize("command", ["score", "doctor"])
def test_an_openvino_that_cannot_be_loaded_is_said_with_what_to_do(
    broken_openvino, pristine, tmp_path, command
):
    picture = tmp_path / "view.png"
    Image.fromarray(np.zeros((60, 40), np.uint8)).save(picture)
    asked = {"TRIAGE_MODEL__BACKEND": "openvino", "TRIAGE_MODEL__PRECISION": "float32"}

    done = subprocess.run(
        [sys.executable, "-m", "triage", command, *([picture] if command == "score" else [])],
        env=broken_openvino | asked | {"TRIAGE_MODEL__PATH": str(pristine)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    said = done.stdout + done.stderr
    assert done.returncode == (2 if command == "score" else 1), said
    assert "libtbb.so.12" in said
    assert f"{sys.executable} -m pip install --force-reinstall 'openvino>=2026.4'" in said
    assert "Traceback" not in said
    assert "process_failed" not in said


def test_a_processor_without_bfloat16_is_left_its_float32(take, monkeypatch):
    monkeypatch.setattr(kinds, "has_bfloat16", lambda: False)

    assert take({OPENVINO16: Told(), TORCH16: Told(), OPENVINO32: Told()}).kind == OPENVINO32
    with pytest.raises(ConfigurationError, match="does not multiply bfloat16"):
        take({}, backend="openvino", precision="bfloat16")


def test_what_is_set_in_full_is_used_as_it_is(take):
    far = Told((3.0, 3.0, 3.0), seconds=0.1)

    choice = take({TORCH16: far}, backend="torch", precision="bfloat16")

    assert (choice.kind, choice.why, choice.others) == (TORCH16, "as the settings say", ())


def test_what_is_set_in_part_narrows_the_choice(take):
    fast = {OPENVINO16: Told(), TORCH16: Told(), OPENVINO32: Told()}

    assert take(fast, backend="torch").kind == TORCH16
    assert take(fast, precision="float32").kind == OPENVINO32
    assert take(fast, precision="bfloat16").kind == OPENVINO16


def test_a_network_that_float32_can_make_nothing_of_is_refused(take):
    with pytest.raises(ModelUnusable, match="no finite number"):
        take({REFERENCE: Told((np.nan, 0.0, 1.0)), OPENVINO16: Told()})


def test_openvino_is_for_the_processor(take):
    with pytest.raises(ConfigurationError, match=r"model\.backend=openvino is for the processor"):
        take({}, backend="openvino", device="cuda")


def test_a_gpu_goes_first_where_there_is_one(monkeypatch):
    monkeypatch.setattr(kinds, "has_gpu", lambda: True)

    assert kinds.admitted("auto", "auto", "auto") == list(FASTEST_FIRST)
    assert kinds.admitted("openvino", "auto", "auto") == [OPENVINO16, OPENVINO32]
    assert kinds.admitted("torch", "auto", "float32")[0] == Kind("torch", "cuda", "float32")


@pytest.mark.strace
def test_openvino_does_not_report_to_its_makers(tmp_path):
    trace = tmp_path / "trace"
    subprocess.run(
        [
            *("strace", "-f", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", trace),
            *(sys.executable, "-c", "import triage.model.engines.openvino"),
        ],
        env=environment(),
        check=True,
    )

    assert "exited with 0" in trace.read_text()
    assert "AF_INET" not in trace.read_text()
