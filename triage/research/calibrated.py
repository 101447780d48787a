"""A calibrated model: the weights as they were, under a card with what was fitted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from triage.errors import ModelUnusable
from triage.model import checkpoint
from triage.model.card import Card
from triage.research.calibrate import Fit, Scale

PREFIX = "calibration "  # of the figures: they are of the studies that were fitted to


def scale_of(card: Card) -> Scale:
    """Return what a card says of probabilities and labels."""
    return Scale(temperature=card.temperature, threshold=card.threshold, thresholds=card.thresholds)


def calibrated(card: Card, found: Fit, *, version: str, on: str, aim: str) -> Card:
    """Return the card of the calibrated model.

    *on* names the studies that were fitted to, *aim* what the thresholds are for.
    """
    former = {name: value for name, value in card.figures.items() if not name.startswith(PREFIX)}
    return replace(
        card,
        version=version,
        temperature=found.scale.temperature,
        threshold=found.scale.threshold,
        thresholds=found.scale.thresholds,
        figures=former | {f"{PREFIX}{name}": value for name, value in _figures(found)},
        calibration=f"fitted to {on}; thresholds: {aim}",
    )


def _figures(found: Fit) -> Iterator[tuple[str, float]]:
    """Give the figures by name, leaving out what is undefined."""
    yield "nll before", found.before.nll
    yield "nll", found.after.nll
    yield "ece before", found.before.ece
    yield "ece", found.after.ece
    for outcome in found.outcomes:
        which = f"{outcome.study_type} " if outcome.study_type else ""
        counts = outcome.confusion
        yield f"{which}normal", counts.normal
        yield f"{which}abnormal", counts.abnormal
        merits = {
            "kappa": counts.kappa,
            "sensitivity": counts.sensitivity,
            "specificity": counts.specificity,
        }
        for name, merit in merits.items():
            if merit is not None:
                yield f"{which}{name}", merit.value


def write(source: Path, target: Path, card: Card) -> None:
    """Write the weights of one checkpoint, every bit of them, with another card.

    Raises ModelUnusable when one cannot be read or the other cannot be written.
    """
    try:
        data = source.read_bytes()
    except OSError as error:
        raise ModelUnusable(f"{source}: cannot be read ({error.strerror or error})") from error
    checkpoint.save(target, checkpoint.read_tensors(data, source), card, source=source)
