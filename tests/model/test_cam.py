"""Class activation maps: what they sum up to, where they lie, how they are drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.models import EXACT
from triage.core.activation import CoarseMap
from triage.model import cam, checkpoint
from triage.model.preprocess import place, scale
from triage.model.scorer import Scorer
from triage.model.specimens import specimens

RAMP = np.arange(256) / 255  # strengths, from nothing to full
# Machado et al. 2009, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", table 1, severity 1.0.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@pytest.fixture(scope="module")
def biased(weights, card, tmp_path_factory):
    """A checkpoint whose output has a bias worth the name, at 96 pixels: maps of 3 x 3."""
    path = tmp_path_factory.mktemp("biased") / "model.safetensors"
    state = weights | {"classifier.bias": torch.tensor([1.25])}
    checkpoint.save(path, state, replace(card, preprocessing=replace(card.preprocessing, size=96)))
    return path


@pytest.fixture(scope="module")
def scorer(biased):
    return Scorer(biased, **EXACT)


@pytest.fixture(scope="module")
def views(scorer):
    return [scorer.prepare(picture) for picture in specimens().values()]


def stored(cells, side=224, resize="squeeze"):
    return cam.pack(np.array(cells, np.float32), side, resize)


# What the network computes


def test_a_map_is_the_sum_of_the_last_features_by_the_outputs_weights(biased, scorer, views):
    _, network = checkpoint.load(biased)
    with torch.inference_mode():
        features = torch.relu(network.features(torch.from_numpy(np.stack(views)))).numpy()
    output = network.classifier.weight.detach().numpy()[0]

    maps = [scored.map for scored in scorer.explain(views)]

    assert {one.shape for one in maps} == {(3, 3)}
    assert np.ptp(maps[3]) > 1e-3  # its places differ
    assert np.stack(maps) == pytest.approx(np.einsum("nkhw,k->nhw", features, output), abs=1e-5)


def test_the_mean_of_the_map_and_the_bias_are_the_logit(biased, scorer, views):
    _, network = checkpoint.load(biased)
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.stack(views)))[:, 0].tolist()

    sums = [scored.map.mean() + 1.25 for scored in scorer.explain(views)]

    assert sums == pytest.approx(logits, abs=1e-5)


def test_the_temperature_divides_the_map_as_it_does_the_logit(save, card, weights, views, scorer):
    warm = replace(card, temperature=2.0, preprocessing=replace(card.preprocessing, size=96))
    tempered = Scorer(save(warm), **EXACT).explain(views)

    for one, other in zip(tempered, scorer.explain(views), strict=True):
        assert one.map == pytest.approx(other.map / 2, abs=1e-5)


def test_the_map_comes_with_the_probability_that_is_scored(scorer, views):
    explained = [scored.probability for scored in scorer.explain(views)]

    assert explained == pytest.approx(scorer.score(views), abs=1e-6)


# What is stored


def test_a_stored_map_keeps_three_digits():
    cells = np.random.default_rng(1).normal(0, 30, (7, 7)).astype(np.float32)

    kept = stored(cells)

    assert (kept.height, kept.width, len(kept.cells)) == (7, 7, 98)
    assert cam.unpack(kept) == pytest.approx(cells, rel=1e-3)


def test_what_float16_cannot_hold_is_cut_off_and_keeps_its_sign():
    assert cam.unpack(stored([[1e9, -1e9, 1e-12]])).tolist() == [[65504.0, -65504.0, 0.0]]


def test_cells_that_are_not_of_the_maps_size_are_refused():
    with pytest.raises(ValueError, match="97 bytes"):
        CoarseMap(height=7, width=7, cells=b"\0" * 97, side=224, resize="squeeze")


# Where it lies


@pytest.mark.parametrize("shape", [(512, 410), (300, 500), (90, 900), (224, 224), (50, 40)])
@pytest.mark.parametrize("resize", ["squeeze", "pad"])
def test_a_place_of_the_map_is_brought_back_to_where_it_was_in_the_view(shape, resize):
    side, cell = 224, 32
    for down, across in [(0.2, 0.2), (0.5, 0.5), (0.15, 0.8), (0.9, 0.4)]:
        # A network that answers to brightness alone, shown one bright spot.
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
        away = np.hypot(
            *((at - part * extent) / max(shape) for at, part, extent in
              zip((rows, columns), (down, across), shape, strict=True))
        )  # fmt: skip
        view = np.rint(255 * np.exp(-((away / 0.12) ** 2))).astype(np.uint8)
        seen = scale(view, side, resize).reshape(side // cell, cell, side // cell, cell)
        coarse = cam.pack(seen.mean((1, 3)).astype(np.float32), side, resize)

        found = cam.upscale(coarse, shape)

        assert found.shape == shape
        peak = np.unravel_index(found.argmax(), shape)
        cells = [
            (part.stop - part.start) / extent / cell
            for part, extent in zip(place(shape, side, resize), shape, strict=True)
        ]
        wanted = [down * shape[0], across * shape[1]]
        assert all(
            abs(at - want) * share <= 0.75
            for at, want, share in zip(peak, wanted, cells, strict=True)
        ), (peak, wanted)


def test_between_the_middles_of_the_cells_it_is_linear():
    found = cam.upscale(stored([[0.0, 10.0, 20.0, 30.0]] * 4, side=128), (64, 128))

    assert found[0] == pytest.approx(np.clip((np.arange(128) + 0.5) / 3.2 - 5, 0, 30), abs=1e-3)
    assert (found == found[0]).all()


@pytest.mark.parametrize("side", [240, 252])
def test_where_the_input_is_no_multiple_of_a_cell_the_last_cells_go_on_over_the_rest(side):
    """DenseNet makes 7 cells of 32 pixels of both, and drops what is left."""
    coarse = stored([[10.0 * cell for cell in range(7)]] * 7, side=side)

    found = cam.upscale(coarse, (side, side))

    assert found[0] == pytest.approx(np.clip((np.arange(side) + 0.5) / 3.2 - 5, 0, 60), abs=1e-3)
    assert (found == found[0]).all()


# How it is drawn


def test_nothing_is_drawn_where_the_map_is_at_or_below_zero():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    activation = np.where(np.arange(256).reshape(16, 16) % 2, -5.0, 0.0).astype(np.float32)

    drawn = cam.blend(grey, activation, 3.0)

    assert (drawn == grey[..., None]).all()


@pytest.mark.parametrize("strength", [0.3, 1.0, 7.0])
def test_beneath_the_colour_more_than_half_of_the_contrast_is_left(strength):
    grey = np.arange(256, dtype=np.uint8)[None]

    drawn = cam.blend(grey, np.full((1, 256), strength, np.float32), 1.0).astype(int)

    assert (np.diff(drawn, axis=1) >= 0).all()
    assert (drawn[0, -1] - drawn[0, 0] >= 0.59 * 255).all()


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("grey", [0, 60])
def test_the_colours_only_grow_lighter_for_whoever_sees_them(sight, grey):
    drawn = cam.blend(np.full((1, 256), grey, np.uint8), RAMP[None].astype(np.float32), 1.0)
    linear = (drawn[0] / 255.0) ** 2.2
    light = np.clip(linear @ np.array(SIGHT[sight]).T, 0, 1) @ [0.2126, 0.7152, 0.0722]

    steps = np.diff(light[::16])

    assert (steps > 0).all() if grey == 0 else light[-1] > 1.5 * light[0]


def test_the_colours_are_no_shades_of_grey():
    drawn = cam.blend(np.full((1, 256), 90, np.uint8), RAMP[None].astype(np.float32), 1.0)

    assert (np.ptp(drawn[0, 64:].astype(int), axis=1) >= 12).all()


def test_full_strength_is_the_highest_value_of_a_studys_views():
    weak, strong = stored([[1.0, 3.5]]), stored([[9.0, -20.0]])

    assert cam.full_strength([weak, strong]) == 9.0
    assert cam.full_strength([weak]) == 3.5


def test_what_is_left_in_a_normal_study_does_not_glow():
    assert cam.full_strength([stored([[0.4, -2.0]])]) == cam.LEAST_FULL
    assert cam.full_strength([]) == cam.LEAST_FULL
