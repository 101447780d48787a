"""A training run before its first step: the images, the card to be, the state to go on from."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from triage.core.studytype import StudyType
from triage.errors import TrainingFailed, UsageError
from triage.model.card import Card, card_from
from triage.research import images, resume
from triage.research.images import Sample
from triage.research.initial import identity, initial_weights
from triage.research.mura import Dataset, Split
from triage.research.processes import Processes
from triage.research.recipe import Recipe, Value
from triage.research.resume import State

SHOWN = 10  # unreadable images that a message names


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What changes how fast a run is, but not what it is."""

    device: str = "cpu"
    threads: int = 1  # of torch, on the CPU
    workers: int = 1  # threads that read images
    save_every: float = 60.0  # seconds between two writings of the state

    def counts(self, processes: Processes) -> dict[str, Value]:
        """Return what changes the last digits of the result."""
        return {"device": self.device, "threads": self.threads, "processes": processes.size}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user asked for."""

    dataset: Dataset
    train: str  # a split's name
    valid: str
    out: Path
    init: str
    recipe: Recipe
    pace: Pace
    card: dict[str, Any]  # name, version, licence; accepted, if it was said
    restart: bool = False
    skip_unreadable: bool = False


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that can begin or go on."""

    recipe: Recipe
    pace: Pace
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]
    out: Path
    card: Card  # without figures
    state: State
    resumed: bool
    changed: tuple[str, ...]  # since the state was written; the last digits will differ

    @property
    def state_file(self) -> Path:
        return resume.place_of(self.out)


def prepare(
    wish: Wish,
    processes: Processes,
    checking: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> Run:
    """Read what is there, and make the rest.

    The leading process alone reads state and weights and writes; the others get
    them from it. *checking* is told how many images were tried, and of how many.
    Raises UsageError for a run that does not fit its state or its data, and
    TrainingFailed, ModelUnusable or ViewUnreadable for files that cannot be used.
    """
    each, rest = divmod(wish.recipe.batch, processes.size)
    if rest or each < 2:
        raise UsageError(
            f"--batch {wish.recipe.batch} cannot be shared by {processes.size} processes; "
            "give a multiple of their number, two images or more for each"
        )
    splits = wish.dataset.split(wish.train), wish.dataset.split(wish.valid)
    wish = replace(wish, recipe=replace(wish.recipe, init=identity(wish.init)))
    claim, pace = _claim(wish, splits), wish.pace.counts(processes)
    path = resume.place_of(wish.out)
    state = None
    if processes.leads:
        state = _former(wish, path, claim)
    resumed = processes.agree(state is not None)
    bad: list[str] = state.unreadable if state else []
    network: dict[str, Tensor] = {}
    if processes.leads and not resumed:
        # First: they may not be to be had, and the images of a large set take minutes.
        network = initial_weights(wish.init, Card.architecture, wish.recipe.seed)
        bad = _unreadable(wish, splits, checking)
    bad = processes.agree(bad)
    train, valid = (images.samples_of(split, frozenset(bad)) for split in splits)
    _check(wish, train, valid)
    card = _card(wish, splits, train, valid, claim)
    if processes.leads and state is None:
        state = State(claim=claim, unreadable=bad, network=network, pace=pace)
        # Before anything else is written: a checkpoint of this run always has its state beside it.
        resume.save(path, state)
    state = processes.agree(state)
    assert state is not None  # noqa: S101  the leading process has one
    changed, state.pace = resume.differences(state.pace, pace), pace
    return Run(
        recipe=wish.recipe,
        pace=wish.pace,
        train=train,
        valid=valid,
        out=wish.out,
        card=card,
        state=state,
        resumed=resumed,
        changed=tuple(changed),
    )


def _claim(wish: Wish, splits: tuple[Split, Split]) -> dict[str, Value]:
    """Return what must be the same when the run goes on."""
    return {
        **wish.recipe.options(),
        **{name: _one_line(value) for name, value in wish.card.items()},
        "train-split": wish.train,
        "valid-split": wish.valid,
        "skip-unreadable": wish.skip_unreadable,
        "the list of files sha256": images.digest(*splits),
    }


def _one_line(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(value)


def _former(wish: Wish, path: Path, claim: dict[str, Value]) -> State | None:
    """Return the state to go on from, after seeing that nothing is overwritten unasked."""
    if wish.restart:
        resume.discard(path)
        return None
    state = resume.load(path)
    if state is not None:
        resume.check(state, claim, path)
    elif wish.out.exists():
        raise UsageError(f"{wish.out}: exists already; name another --out, or add --restart")
    return state


def _unreadable(
    wish: Wish, splits: Iterable[Split], checking: Callable[[int, int], None]
) -> list[str]:
    """Read every image once, so that a bad one ends the run now and not in its last epoch."""
    samples = [sample for split in splits for sample in images.samples_of(split)]
    bad: dict[str, str] = {}
    for done, error in enumerate(images.unreadable(samples, wish.pace.workers)):
        if error is not None:
            bad[str(samples[done].path)] = error
        checking(done + 1, len(samples))
    if bad and not wish.skip_unreadable:
        rest = len(bad) - SHOWN
        named = [*list(bad.values())[:SHOWN], *([f"and {rest} more"] if rest > 0 else [])]
        raise TrainingFailed(
            f"{len(bad)} of {len(samples)} images cannot be read; mend them, or go without them "
            "with --skip-unreadable:\n  " + "\n  ".join(named)
        )
    return list(bad)


def _check(wish: Wish, train: tuple[Sample, ...], valid: tuple[Sample, ...]) -> None:
    root = wish.dataset.root
    if len(train) < wish.recipe.batch:
        raise UsageError(
            f"{root}: {wish.train} has {len(train)} images, fewer than --batch {wish.recipe.batch}"
        )
    if not valid:
        raise UsageError(f"{root}: {wish.valid} has no image to validate on")
    if len({sample.abnormal for sample in train}) < 2:
        raise TrainingFailed(
            f"{root}: every image of {wish.train} has the same label; "
            "there is nothing to tell apart, add studies of the other"
        )


def _card(
    wish: Wish,
    splits: tuple[Split, Split],
    train: tuple[Sample, ...],
    valid: tuple[Sample, ...],
    claim: dict[str, Value],
) -> Card:
    left_out = sum(len(split.images) for split in splits) - len(train) - len(valid)
    images_gone = "1 unreadable image" if left_out == 1 else f"{left_out} unreadable images"
    gone = f"; {images_gone} left out" if left_out else ""
    seen = {sample.study_type for sample in train}
    fields = {
        "accepted": tuple(kind for kind in StudyType if kind in seen),
        "measured": tuple(
            kind for kind in StudyType if kind in {sample.study_type for sample in valid}
        ),
        "training_data": (
            f"{wish.dataset.root.resolve().name}: {_counts(wish.train, train)}; validated on "
            f"{_counts(wish.valid, valid)}{gone}; "
            f"SHA-256 of the list of files {claim['the list of files sha256']}"
        ),
        "preprocessing": wish.recipe.preprocessing,
        "recipe": wish.recipe.options(),
        **wish.card,
    }
    try:
        return card_from(fields)
    except ValueError as error:
        raise UsageError(f"the card would be invalid: {error}") from error


def _counts(name: str, samples: tuple[Sample, ...]) -> str:
    labels = Counter((sample.study_type, sample.abnormal) for sample in samples)
    types = [kind for kind in StudyType if labels[kind, False] or labels[kind, True]]
    parts = ", ".join(f"{kind} {labels[kind, False]}+{labels[kind, True]}" for kind in types)
    studies = len({sample.study for sample in samples})
    return f"{name}, {len(samples)} images of {studies} studies (normal+abnormal: {parts})"
