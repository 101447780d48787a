from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.support.models import EXACT
from triage.core.studytype import StudyType
from triage.errors import ConfigurationError, ModelUnusable
from triage.model import checkpoint
from triage.model.card import to_metadata
from triage.model.engines import kinds
from triage.model.preprocess import read_picture
from triage.model.scorer import Scorer, open_scorer
from triage.model.selfcheck import try_out
from triage.model.specimens import specimens
from triage.settings import ModelSettings


@pytest.fixture(scope="module")
def scorer(pristine):
    return Scorer(pristine, **EXACT)


@pytest.fixture(scope="module")
def views(scorer):
    return [scorer.prepare(picture) for picture in specimens().values()]


def test_a_probability_is_the_sigmoid_of_the_networks_logit(scorer, views):
    _, network = checkpoint.load(scorer.paths[0])
    with torch.inference_mode():
        expected = torch.sigmoid(network(torch.from_numpy(np.stack(views)))[:, 0]).tolist()

    probabilities = scorer.score(views)

    assert probabilities == pytest.approx(expected, abs=1e-6)
    assert all(0 < probability < 1 for probability in probabilities)
    assert np.ptp(probabilities) > 1e-4  # the images are told apart


@pytest.mark.parametrize("size", [2, 5, 8, 11])
def test_a_views_probability_depends_neither_on_its_batch_nor_on_its_place(scorer, views, size):
    probe, *others = views
    [alone] = scorer.score([probe])

    for place in range(size):
        batch = [others[index % len(others)] for index in range(size)]
        batch[place] = probe
        assert scorer.score(batch)[place] == pytest.approx(alone, abs=1e-6)


def test_more_views_than_a_batch_come_back_in_order(scorer, views):
    many = [views[index % len(views)] for index in range(2 * scorer.batch + 1)]

    probabilities = scorer.score(many)

    once = scorer.score(views)
    expected = [once[index % len(views)] for index in range(len(many))]
    assert probabilities == pytest.approx(expected, abs=1e-6)


def test_no_views_are_no_probabilities(scorer):
    assert scorer.score([]) == []


def test_the_logit_is_divided_by_the_cards_temperature(save, card, scorer, views):
    [plain] = scorer.score(views[:1])
    cooler = Scorer(save(replace(card, temperature=2.5), "cool.safetensors"), **EXACT)

    [tempered] = cooler.score(views[:1])

    logit = np.log(plain / (1 - plain))
    assert tempered == pytest.approx(1 / (1 + np.exp(-logit / 2.5)), abs=1e-6)


def test_an_extreme_logit_is_a_probability_too(tmp_path, weights, card, views):
    for bias, expected in ((-60000, 0.0), (60000, 1.0)):
        state = weights | {"classifier.bias": torch.tensor([bias], dtype=torch.float32)}
        checkpoint.save(tmp_path / "far.safetensors", state, card)
        assert Scorer(tmp_path / "far.safetensors", **EXACT).score(views[:1]) == [expected]


def test_the_threshold_is_the_cards(save, card):
    path = save(replace(card, threshold=0.4, thresholds={StudyType.WRIST: 0.7}))

    scorer = Scorer(path, **EXACT)

    assert scorer.threshold(StudyType.WRIST) == 0.7
    assert scorer.threshold(None) == 0.4


def test_a_view_that_is_not_finite_raises_and_never_passes(scorer, views):
    broken = np.full_like(views[0], np.nan)

    with pytest.raises(ModelUnusable, match="no finite number"):
        scorer.score([views[0], broken])


def test_a_network_that_gives_no_number_is_refused_at_the_start(tmp_path, weights, card):
    name = "features.norm5.running_var"
    state = weights | {name: torch.full_like(weights[name], -1)}
    save_file(state, tmp_path / "a.safetensors", metadata=to_metadata(card))

    with pytest.raises(ModelUnusable, match="no finite number"):
        Scorer(tmp_path / "a.safetensors", **EXACT)


def test_an_empty_path_says_how_to_set_it():
    with pytest.raises(ModelUnusable, match=r"model\.path is empty.*triage\.toml"):
        open_scorer(ModelSettings())


def test_the_settings_name_the_model_and_how_it_is_run(pristine, card):
    scorer = open_scorer(ModelSettings(path=str(pristine), **EXACT))

    assert scorer.card == card
    assert (scorer.device, scorer.backend, scorer.precision) == ("cpu", "torch", "float32")
    assert scorer.threads >= 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"precision": "float16"}, "needs a GPU"),
        ({"precision": "float8"}, r"model\.precision=float8"),
        ({"device": "tpu"}, r"model\.device=tpu"),
        ({"backend": "onnx"}, r"model\.backend=onnx"),
    ],
)
def test_what_this_machine_cannot_do_is_said_by_its_setting(pristine, wrong, says):
    with pytest.raises(ConfigurationError, match=says):
        Scorer(pristine, **{"device": "cpu"} | wrong)


def test_a_gpu_that_is_not_there_is_said(pristine, monkeypatch):
    monkeypatch.setattr(kinds, "has_gpu", lambda: False)
    with pytest.raises(ConfigurationError, match="no usable GPU"):
        Scorer(pristine, device="cuda")


def test_bfloat16_stays_within_a_hundredth_of_float32(scorer, views):
    coarse = Scorer(scorer.paths[0], **EXACT | {"precision": "bfloat16"})

    assert coarse.score(views) == pytest.approx(scorer.score(views), abs=0.01)


def test_a_trial_scores_every_specimen_and_repeats_itself(scorer):
    trial = try_out(scorer)

    assert trial.probabilities.keys() == specimens().keys()
    assert trial.spread <= 1e-6
    assert trial.single > 0
    assert trial.batched > 0


@pytest.mark.fracatlas
def test_real_weights_score_fractures_higher_than_healthy_bones(fracatlas, tmp_path, card):
    from triage.model.conversion import convert

    preprocessing = replace(card.preprocessing, size=160)
    convert(
        fracatlas / "densenet169-fracatlas-interim.safetensors",
        tmp_path / "interim.safetensors",
        replace(card, preprocessing=preprocessing),
    )
    scorer = Scorer(tmp_path / "interim.safetensors", **EXACT)
    valid = fracatlas / "FracAtlas-MURA" / "valid"

    def mean(finding):
        pictures = sorted(valid.glob(f"*/*/*_{finding}/*"))[::10]
        return np.mean(scorer.score([scorer.prepare(read_picture(file)) for file in pictures]))

    assert mean("positive") > mean("negative") + 0.1
