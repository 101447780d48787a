"""The training loop.

It yields what happened, a step or an epoch at a time, and neither shows nor
logs anything itself. Source of the defaults: Rajpurkar et al. 2017, section 3.1.
"""

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from math import isfinite
from time import monotonic

import numpy as np
import torch
from torch import Tensor, nn, optim

from triage.errors import TrainingFailed, TrainingInterrupted, ViewUnreadable
from triage.model import checkpoint
from triage.model.card import Card
from triage.model.preprocess import Prepared
from triage.research import failures, images, resume
from triage.research.images import Sample
from triage.research.loss import class_weights, targets, weighted_loss
from triage.research.plan import Run
from triage.research.processes import Processes
from triage.research.recipe import Recipe, learning_rate
from triage.research.resume import Figures
from triage.research.validation import figures, on, validate

BETAS = (0.9, 0.999)  # Adam's, as in the paper
MOMENTUM = 0.9  # SGD's
AHEAD = 4  # batches that are read before their turn


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step was made."""

    epoch: int  # from 1
    step: int  # of this epoch, from 1
    steps: int  # of an epoch
    loss: float  # of its batch
    learning_rate: float
    images: int  # in its batch, over all processes
    seconds: float  # since the step before


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch was made and its network measured on the validation part."""

    epoch: int  # from 1
    steps: int  # of an epoch
    training_loss: float  # mean over its steps, while the network changed
    validation_loss: float  # weighted, without smoothing, mean over images
    auroc: float | None  # over studies; None when all have one label
    kappa: float | None  # over studies, abnormal above 0.5; None when undefined
    learning_rate: float  # of its last step
    kept: bool  # the checkpoint holds this epoch's network


def train(
    run: Run, processes: Processes, stop: Callable[[], bool]
) -> Generator[Step | Epoch, None, None]:
    """Train to the end, leaving the checkpoint and no state.

    *stop* is asked at every step whether to end early. Raises TrainingInterrupted
    then, and TrainingFailed when memory, an image or the numbers give out; state
    and checkpoint are kept.
    """
    torch.set_num_threads(run.pace.threads)
    try:
        yield from _Training(run, processes, stop).epochs()
    except (ViewUnreadable, RuntimeError, MemoryError) as error:
        reason = failures.explained(error, run, processes)
        if reason is None:
            raise
        raise TrainingFailed(reason) from error


class _Training:
    """A network on its way."""

    def __init__(self, run: Run, processes: Processes, stop: Callable[[], bool]) -> None:
        self.run, self.recipe, self.state = run, run.recipe, run.state
        self.processes, self.stop = processes, stop
        self.device = torch.device(run.pace.device)
        self.weights = class_weights(run.train, balanced=run.recipe.balanced)
        self.network = self.built(run.state.network)
        self.optimiser = _optimiser(self.network, run.recipe)
        if run.state.optimiser is not None:
            self.optimiser.load_state_dict(run.state.optimiser)
        self.averaged: nn.Module | None = None
        if run.recipe.ema or run.state.averaged:
            self.averaged = self.built(run.state.averaged or run.state.network)
        self.saved = monotonic()

    def built(self, weights: dict[str, Tensor]) -> nn.Module:
        """Build the network with weights of its own."""
        network = checkpoint.build(self.run.card.architecture, weights, self.run.state_file)
        # BatchNorm's vectors would still be those of the state.
        return copy.deepcopy(network).to(self.device).to(memory_format=torch.channels_last)

    @property
    def losses(self) -> list[float]:
        """The validation losses so far, an epoch each."""
        return [epoch["validation_loss"] or 0.0 for epoch in self.state.history]

    def epochs(self) -> Iterator[Step | Epoch]:
        """Train, validate and keep, epoch by epoch."""
        while self.state.epoch < self.recipe.epochs:
            yield from self.steps()
            yield self.measured()
        if self.processes.leads:
            resume.discard(self.run.state_file)

    def steps(self) -> Iterator[Step]:
        """Make what is left of an epoch's steps."""
        state, recipe = self.state, self.recipe
        order = images.order(self.run.train, recipe, state.epoch)
        steps = len(order) // recipe.batch
        frozen = state.epoch < recipe.freeze
        # While only the last layer learns, BatchNorm keeps its statistics too.
        self.network.requires_grad_(not frozen).train(not frozen)
        self.network.get_submodule("classifier").requires_grad_(True)
        begun = monotonic()
        with closing(self.batches(order)) as batches:
            for batch, samples in batches:
                rate = learning_rate(recipe, self.losses, state.epoch * steps + state.step, steps)
                loss, stopping = self.step(batch, samples, rate)
                state.step, state.loss, state.rate = state.step + 1, state.loss + loss, rate
                now = monotonic()
                yield Step(
                    epoch=state.epoch + 1,
                    step=state.step,
                    steps=steps,
                    loss=loss,
                    learning_rate=rate,
                    images=recipe.batch,
                    seconds=now - begun,
                )
                begun = now
                if stopping or now - self.saved >= self.run.pace.save_every:
                    self.save()
                if stopping:
                    raise TrainingInterrupted(
                        f"stopped after step {state.step} of epoch {state.epoch + 1}; "
                        f"the same command goes on; {failures.standing(self.run)}"
                    )
        self.save()

    def step(self, batch: Tensor, samples: Sequence[Sample], rate: float) -> tuple[float, bool]:
        """Learn from one batch; return its loss, and whether somebody wants to stop."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        labels, weights = (part.to(self.device) for part in targets(samples, self.weights))
        mixed = self.recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            logits = self.network(on(self.device, batch))[:, 0].float()
        loss = weighted_loss(logits, labels, weights, self.recipe.label_smoothing).mean()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        # The wish to stop goes beside the loss, so that all processes end at the same step.
        wish = loss.new_tensor(float(self.stop()))
        total, wishes = self.processes.sum(torch.stack([loss.detach(), wish])).tolist()
        mean = total / self.processes.size
        self.insist_finite(mean, "loss")
        self.processes.average(p.grad for p in self.network.parameters() if p.grad is not None)
        self.optimiser.step()
        self.processes.average(b for b in self.network.buffers() if b.is_floating_point())
        if self.averaged is not None and self.recipe.ema:
            self.state.averages += 1
            _mix(self.averaged, self.network, max(1 - self.recipe.ema, 1 / self.state.averages))
        return mean, wishes > 0

    def measured(self) -> Epoch:
        """Validate the network of an epoch, keep it if it is the one to keep, turn to the next."""
        state, recipe = self.state, self.recipe
        if (number := state.epoch + 1 - (recipe.epochs - recipe.mean_last)) > 0:
            self.averaged = self.averaged or copy.deepcopy(self.network)
            _mix(self.averaged, self.network, 1 / number)
        candidate = self.averaged or self.network
        logits = validate(candidate, self.run, self.processes, self.stop)
        loss, area, kappa = figures(logits, self.run, self.weights)
        self.insist_finite(loss, "validation loss")
        epoch = Epoch(
            epoch=state.epoch + 1,
            steps=state.step,
            training_loss=state.loss / state.step,
            validation_loss=loss,
            auroc=area,
            kappa=kappa,
            learning_rate=state.rate,
            kept=recipe.keep == "last" or all(loss < former for former in self.losses),
        )
        if self.processes.leads and epoch.kept:
            checkpoint.save(self.run.out, candidate.state_dict(), _measured(self.run.card, epoch))
        state.history.append(asdict(epoch))
        state.epoch, state.step, state.loss = state.epoch + 1, 0, 0.0
        self.save()
        return epoch

    def batches(self, order: list[int]) -> Generator[tuple[Tensor, list[Sample]], None, None]:
        """Yield our part of each batch left of the epoch: images, (n, 3, S, S), and samples."""
        samples, recipe, epoch = self.run.train, self.recipe, self.state.epoch
        part = recipe.batch // self.processes.size
        places = [
            start + self.processes.rank * part + number
            for start in range(self.state.step * recipe.batch, len(order), recipe.batch)
            for number in range(part)
        ]

        def read(place: int) -> tuple[Prepared, Sample]:
            sample = samples[order[place]]
            return images.varied(sample, recipe, epoch, place), sample

        ready = images.read_ahead(
            read, places, workers=self.run.pace.workers, ahead=AHEAD * recipe.batch
        )
        with closing(ready):
            while pairs := list(islice(ready, part)):
                yield torch.from_numpy(np.stack([pair[0] for pair in pairs])), [p[1] for p in pairs]

    def insist_finite(self, value: float, what: str) -> None:
        """Raise TrainingFailed for a NaN or an infinity, before anything is learnt from it."""
        if not isfinite(value):
            raise TrainingFailed(failures.not_finite(what, self.run))

    def save(self) -> None:
        """Write down where we are."""
        if self.processes.leads:
            self.state.network = self.network.state_dict()
            self.state.optimiser = self.optimiser.state_dict()
            self.state.averaged = self.averaged.state_dict() if self.averaged else None
            resume.save(self.run.state_file, self.state)
            self.saved = monotonic()


def _optimiser(network: nn.Module, recipe: Recipe) -> optim.Optimizer:
    decay = recipe.weight_decay
    if recipe.optimiser == "sgd":
        return optim.SGD(network.parameters(), momentum=MOMENTUM, weight_decay=decay)
    kind = optim.AdamW if recipe.optimiser == "adamw" else optim.Adam
    return kind(network.parameters(), betas=BETAS, weight_decay=decay)


@torch.no_grad()
def _mix(averaged: nn.Module, network: nn.Module, part: float) -> None:
    """Move the averaged weights and statistics by *part* of the way to the network's."""
    for mean, value in zip(
        averaged.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if mean.is_floating_point():
            mean.lerp_(value, part)


def _measured(card: Card, epoch: Epoch) -> Card:
    """Return the card of the network of an epoch, with what was measured and is defined."""
    found: Figures = {
        "epoch": epoch.epoch,
        "training loss": epoch.training_loss,
        "validation loss": epoch.validation_loss,
        "validation AUROC": epoch.auroc,
        "validation kappa": epoch.kappa,
    }
    return replace(
        card, figures={name: value for name, value in found.items() if value is not None}
    )
