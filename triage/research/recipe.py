"""How a network is trained: every choice that changes the result, the paper's by default.

Source: Rajpurkar et al. 2017, section 3.1. The paper names no number of epochs.
Two runs with the same recipe on the same images are the same run; what only
changes its pace (device, threads, processes) is no part of it.
"""

from collections.abc import Sequence
from math import cos, inf, pi
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from triage.errors import UsageError
from triage.model.card import Preprocessing, Resize, explain

DECAY = 10.0  # the learning rate is divided by it at each plateau

Value = bool | int | float | str
Epochs = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Recipe:
    """One way to train; each field is the option of `triage train` of the same name."""

    epochs: Annotated[int, Field(ge=1)] = 20
    batch: Annotated[int, Field(ge=2)] = 8  # images in a step, over all processes together
    image_size: Annotated[int, Field(ge=32, le=1024)] = 224  # pixels, height and width
    resize: Resize = "squeeze"
    init: str = "imagenet"  # where the weights begin; of a file its name and SHA-256
    seed: Annotated[int, Field(ge=0)] = 0

    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["plateau", "cosine"] = "plateau"
    patience: Annotated[int, Field(ge=1)] = 1  # epochs without a better validation loss: a plateau
    warmup: Epochs = 0  # epochs in which the learning rate rises from 0
    precision: Literal["float32", "bfloat16"] = "float32"

    flip: bool = True  # every second image is mirrored, on average
    rotate: Annotated[float, Field(ge=0, le=180)] = 30.0  # degrees, at most, either way
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0  # least part of each side that is kept
    balanced: bool = False  # within a study type normal and abnormal images are drawn as often
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0  # targets are s/2 and 1 - s/2

    freeze: Epochs = 0  # epochs at first in which only the last layer learns
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0  # decay of the weights' moving average; 0: none
    mean_last: Epochs = 0  # epochs at the end whose weights are averaged; 0: none
    keep: Literal["best", "last"] = "best"  # epoch, by validation loss

    @property
    def preprocessing(self) -> Preprocessing:
        """What the card says of the input."""
        return Preprocessing(size=self.image_size, resize=self.resize)

    def options(self) -> dict[str, Value]:
        """Return every choice by the name of its option, for the card and for a resumed run."""
        fields: dict[str, Value] = _RECIPE.dump_python(self)
        return {name.replace("_", "-"): value for name, value in fields.items()}


_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def recipe_from(fields: dict[str, Any]) -> Recipe:
    """Return a valid recipe; raises UsageError naming every option that is wrong."""
    try:
        recipe = _RECIPE.validate_python(fields)
    except ValidationError as error:
        raise UsageError(f"the recipe is wrong: {explain(error).replace('_', '-')}") from error
    if recipe.ema and recipe.mean_last:
        raise UsageError("--ema and --mean-last are two ways to average; give one of them")
    if recipe.warmup >= recipe.epochs or recipe.mean_last > recipe.epochs:
        raise UsageError(f"--warmup and --mean-last do not fit into {recipe.epochs} --epochs")
    return recipe


def learning_rate(recipe: Recipe, losses: Sequence[float], step: int, steps: int) -> float:
    """Return the learning rate of a step.

    *losses* are the validation losses so far, an epoch each, *step* counts from
    the very first, *steps* are those of an epoch. It needs no state but these, so
    that a resumed run computes what it would have computed.
    """
    done = step / steps  # epochs
    if done < recipe.warmup:
        return recipe.learning_rate * (step + 1) / (recipe.warmup * steps)
    if recipe.schedule == "cosine":
        part = (done - recipe.warmup) / (recipe.epochs - recipe.warmup)
        return recipe.learning_rate * (1 + cos(pi * part)) / 2
    divisor = DECAY ** _plateaus(losses[recipe.warmup :], recipe.patience)
    return recipe.learning_rate / divisor


def _plateaus(losses: Sequence[float], patience: int) -> int:
    best, waited, plateaus = inf, 0, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == patience:
            plateaus, waited = plateaus + 1, 0
    return plateaus
