"""One model or several: what their cards come to together.

The members of an ensemble score each view, and the view's probability is the
mean of theirs, each after its own card's temperature. Nothing here needs torch.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Self

from triage.core.studytype import StudyType
from triage.errors import ConfigurationError
from triage.model.card import Card, Preprocessing, chosen_paths, read_card
from triage.settings import ModelSettings


@dataclass(frozen=True)
class Ensemble:
    """The cards of the checkpoints that score together, at least one."""

    cards: tuple[Card, ...]

    @classmethod
    def of(cls, cards: dict[Path, Card]) -> Self:
        """Put the checkpoints' cards together.

        Raises ConfigurationError when their inputs differ, or no study type is
        accepted by all: a view is decoded and scaled once.
        """
        (first, one), *others = cards.items()
        for path, card in others:
            for field in ("size", "resize"):
                values = [getattr(each.preprocessing, field) for each in (one, card)]
                if values[0] != values[1]:
                    raise ConfigurationError(
                        f"model.path: {first} has the input {field} {values[0]} and {path} has "
                        f"{values[1]}; the models of an ensemble take one input"
                    )
        ensemble = cls(tuple(cards.values()))
        if not ensemble.accepted:
            raise ConfigurationError(
                f"model.path: no study type is accepted by all of {', '.join(map(str, cards))}"
            )
        return ensemble

    @property
    def identity(self) -> str:
        """Name and version of each member, as the worklist's column `model` shows them."""
        return " + ".join(card.identity for card in self.cards)

    @property
    def preprocessing(self) -> Preprocessing:
        """How views become the input; the first member's normalisation."""
        return self.cards[0].preprocessing

    @property
    def accepted(self) -> tuple[StudyType, ...]:
        """The study types that every member accepts."""
        return tuple(
            study_type
            for study_type in self.cards[0].accepted
            if all(study_type in card.accepted for card in self.cards)
        )

    def threshold_for(self, study_type: StudyType | None) -> float:
        """Return the mean of the members' thresholds for a study type.

        Where each member is at its threshold, so is the mean of their probabilities.
        """
        return fmean(card.threshold_for(study_type) for card in self.cards)


def read_cards(settings: ModelSettings) -> Ensemble:
    """Read the cards of the checkpoints that the settings name, without their weights.

    Raises ModelUnusable for a file that is missing, damaged, or without a valid
    card, ConfigurationError where they do not go together.
    """
    return Ensemble.of({path: read_card(path) for path in chosen_paths(settings)})
