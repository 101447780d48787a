"""The network at work: prepared views in, probabilities and class activation maps out."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from triage.core.studytype import StudyType
from triage.errors import ModelUnusable, UsageError
from triage.model import checkpoint, preprocess
from triage.model.card import Card, chosen_paths
from triage.model.checkpoint import Checkpoint
from triage.model.cores import usable_threads
from triage.model.engines.build import batch_of, engine_of
from triage.model.engines.choice import Choice, Trial, Wanted, choose
from triage.model.engines.kinds import AUTO, Kind
from triage.model.ensemble import Ensemble
from triage.model.folding import Folded, fold
from triage.model.inference import Inference, Member, Scored
from triage.model.preprocess import Grey, Prepared
from triage.model.specimens import specimens
from triage.settings import ModelSettings


def open_scorer(settings: ModelSettings) -> "Scorer":
    """Load the model that the settings name, or the ensemble.

    Raises ModelUnusable when there is none or it is damaged, ConfigurationError
    when this machine has not what they ask for or the members do not go together,
    EngineUnavailable when what they ask for fails here, now.
    """
    return Scorer(
        *chosen_paths(settings),
        pins=settings.pins,
        device=settings.device,
        backend=settings.backend,
        precision=settings.precision,
    )


class Scorer:
    """A loaded model, or several as an ensemble. One thread scores at a time; any may `prepare`.

    ``ensemble`` is what the cards come to together, ``paths`` the checkpoints, *pins* the
    SHA-256 that each must have, "" or none where any will do;
    ``device`` ("cpu" or "cuda"), ``backend``, ``precision``, ``batch`` (views that pass at
    once) and ``threads`` (of the CPU, for the whole process) are what the settings came to
    on this machine, ``choice`` says why.
    """

    def __init__(
        self,
        *paths: Path,
        pins: Sequence[str] = (),
        device: str = AUTO,
        backend: str = AUTO,
        precision: str = AUTO,
        threads: int | None = None,
    ) -> None:
        self.paths = paths
        self.threads = threads or usable_threads()
        torch.set_num_threads(self.threads)
        read = [
            checkpoint.read(path, pin)
            for path, pin in zip(paths, pins or [""] * len(paths), strict=True)
        ]
        self.sha256 = tuple(each.sha256 for each in read)
        self.ensemble = Ensemble.of(
            {path: each.card for path, each in zip(paths, read, strict=True)}
        )
        self.choice = self._choose(Wanted(backend, device, precision), read)
        kind = self.choice.kind
        self.backend, self.device, self.precision = kind.backend, kind.device, kind.precision
        self.batch = self.choice.inference.batch
        _give_back_memory()

    def _choose(self, wanted: Wanted, read: list[Checkpoint]) -> Choice:
        networks = [_folded(path, each) for path, each in zip(self.paths, read, strict=True)]
        pictures = specimens()
        trial = Trial(
            views=[self.prepare(picture) for picture in pictures.values()],
            names=list(pictures),
            thresholds=[
                self.threshold(study_type) for study_type in (None, *self.ensemble.accepted)
            ],
        )
        return choose(wanted, lambda kind: self._built(kind, networks), trial)

    def _built(self, kind: Kind, networks: list[Folded]) -> Inference:
        side = self.ensemble.preprocessing.size
        members = tuple(
            Member(path, card, engine_of(kind, network, side=side, threads=self.threads))
            for path, card, network in zip(self.paths, self.ensemble.cards, networks, strict=True)
        )
        return Inference(members, batch_of(kind, self.threads))

    @property
    def card(self) -> Card:
        """The card of the only model; raises UsageError for an ensemble, which has several."""
        if len(self.paths) > 1:
            raise UsageError(f"{self.name}: is an ensemble; name one checkpoint here")
        return self.ensemble.cards[0]

    @property
    def identity(self) -> str:
        """Name and version of the model, or of each member."""
        return self.ensemble.identity

    @property
    def name(self) -> str:
        """The checkpoints, for messages."""
        return ", ".join(map(str, self.paths))

    def prepare(self, grey: Grey) -> Prepared:
        """Return the network's input, (3, S, S) float32, for a (H, W) uint8 image."""
        return preprocess.prepare(grey, self.ensemble.preprocessing)

    def score(self, prepared: Sequence[Prepared]) -> list[float]:
        """Return the probability of abnormality of each view; see `explain`."""
        return [scored.probability for scored in self.explain(prepared)]

    def explain(self, prepared: Sequence[Prepared]) -> list[Scored]:
        """Return each view's probability, after the card's temperature, and its map.

        Of an ensemble, both are the means of the members'. A view's probability
        does not depend on the views beside it (1e-6 at float32). Raises
        ModelUnusable when a network gives no finite number, RuntimeError when the
        machine fails.
        """
        return self.choice.inference.explain(prepared)

    def works(self) -> bool:
        """Say whether the network still gives an answer, for an image that it had one for."""
        try:
            self.score([self.prepare(np.zeros((1, 1), np.uint8))])
        except (ModelUnusable, RuntimeError):
            return False
        return True

    def threshold(self, study_type: StudyType | None) -> float:
        """Return the probability above which a view group of this study type is abnormal."""
        return self.ensemble.threshold_for(study_type)


def _folded(path: Path, read: Checkpoint) -> Folded:
    try:
        return fold(read.network)
    except ValueError as error:
        raise ModelUnusable(
            f"{path}: the network gives no finite number ({error}); take an earlier checkpoint"
        ) from error


def _give_back_memory() -> None:
    """Hand the weights as they were read, and engines that were not chosen, back to the system."""
    ctypes.CDLL(None).malloc_trim(0)  # glibc keeps them else
