import pytest

from triage.errors import UsageError
from triage.model.card import Preprocessing
from triage.research.recipe import Recipe, learning_rate, recipe_from


def test_the_defaults_are_the_papers():
    recipe = Recipe()

    assert recipe.preprocessing == Preprocessing(size=224, resize="squeeze")
    assert (recipe.init, recipe.optimiser, recipe.learning_rate) == ("imagenet", "adam", 1e-4)
    assert (recipe.batch, recipe.schedule, recipe.keep) == (8, "plateau", "best")
    assert (recipe.flip, recipe.rotate, recipe.crop) == (True, 30, 1)
    assert not any(
        [recipe.weight_decay, recipe.label_smoothing, recipe.freeze, recipe.ema, recipe.mean_last]
    )


def test_every_choice_is_written_down_by_the_name_of_its_option():
    options = Recipe(mean_last=3, learning_rate=1e-3).options()

    assert options["mean-last"] == 3
    assert options["learning-rate"] == 1e-3
    assert len(options) == len(Recipe.__dataclass_fields__)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"batch": 1}, "batch"),
        ({"learning_rate": 0}, "learning-rate"),
        ({"learning_rate": float("nan")}, "learning-rate"),
        ({"optimiser": "lamb"}, "adam"),
        ({"image_size": 16}, "image-size"),
        ({"label_smoothing": 1}, "label-smoothing"),
        ({"ema": 0.9, "mean_last": 1}, "--mean-last"),
        ({"epochs": 2, "warmup": 2}, "--warmup"),
        ({"epochs": 2, "mean_last": 3}, "--mean-last"),
    ],
)
def test_a_wrong_choice_is_refused_by_name(wrong, named):
    with pytest.raises(UsageError, match=named):
        recipe_from(wrong)


def test_the_rate_falls_to_a_tenth_each_time_the_validation_loss_stops_falling():
    losses = [0.9, 0.8, 0.85, 0.7, 0.7, 0.75]

    rates = [learning_rate(Recipe(), losses[:n], n * 10, 10) for n in range(7)]

    assert rates == pytest.approx([1e-4, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-7])


def test_patience_is_the_number_of_epochs_that_a_plateau_lasts():
    losses = [0.8, 0.9, 0.9, 0.9, 0.9]

    rates = [learning_rate(Recipe(patience=2), losses[:n], n * 10, 10) for n in range(6)]

    assert rates == pytest.approx([1e-4, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6])


def test_warm_up_rises_to_the_full_rate_and_the_cosine_falls_to_nothing():
    recipe = Recipe(epochs=5, warmup=1, schedule="cosine", learning_rate=1.0)

    rates = [learning_rate(recipe, [], step, 4) for step in range(20)]

    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[12] == pytest.approx(0.5)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.02
