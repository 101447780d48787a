"""The engine that this machine gets: the fastest that is there and computes what torch does.

Every kind but the reference itself, torch in float32 on the CPU, is held against it over the
built-in images before anything is scored with it: a probability may lie TOLERANCE away at most,
no label may change, and it has to be faster. What the settings name in full is used as it is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from triage.errors import ConfigurationError, EngineUnavailable, TriageError
from triage.model.engines.kinds import AUTO, REFERENCE, Kind, admitted, lack, pays
from triage.model.inference import Inference
from triage.model.preprocess import Prepared

TOLERANCE = 0.01  # of a probability
TRIES = 3  # timed passes of an engine that seems to be slower


@dataclass(frozen=True)
class Wanted:
    """What the settings ask for."""

    backend: str = AUTO
    device: str = AUTO
    precision: str = AUTO

    @property
    def in_full(self) -> bool:
        """Whether nothing about the numbers is left open; the device then follows."""
        return AUTO not in (self.backend, self.precision)


@dataclass(frozen=True)
class Trial:
    """What a network is tried on."""

    views: Sequence[Prepared]
    names: Sequence[str]
    thresholds: Sequence[float]  # each of which makes labels of the probabilities


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why."""

    kind: Kind
    inference: Inference
    why: str
    others: tuple[str, ...]  # of each that would have gone before, why it did not


def choose(wanted: Wanted, build: Callable[[Kind], Inference], trial: Trial) -> Choice:
    """Return the engine to use; *build* makes one ready.

    Raises ConfigurationError when this machine cannot do what is asked for, EngineUnavailable
    when it may another time, and ModelUnusable when the network itself gives no finite number
    in float32.
    """
    kinds = admitted(wanted.backend, wanted.device, wanted.precision)
    if wanted.in_full:
        return _as_asked(kinds[0], build, trial)
    reference, standard = _measured(build, REFERENCE, trial)
    others: list[str] = []
    failure: Exception | None = None
    for kind in kinds:
        if kind == REFERENCE:
            return Choice(kind, standard, "what all others are compared with", tuple(others))
        try:
            tried = _tried(kind, build, trial, reference)
        except Exception as error:  # whatever ails an engine, the next may be well
            failure = failure if isinstance(error, TriageError) else error
            tried = f"fails: {next(iter(str(error).splitlines()), type(error).__name__)}"
        if isinstance(tried, str):
            others.append(f"{kind}: {tried}")
            continue
        found, inference = tried
        return Choice(kind, inference, _praise(reference, found), tuple(others))
    none = (
        f"model.backend={wanted.backend}, model.device={wanted.device}, "
        f"model.precision={wanted.precision}: none will do here: {'; '.join(others)}"
    )
    if failure is not None:  # of the machine's, and not for what it is or the network
        raise EngineUnavailable(none) from failure
    raise ConfigurationError(none)


def _tried(
    kind: Kind, build: Callable[[Kind], Inference], trial: Trial, reference: "_Measured"
) -> "tuple[_Measured, Inference] | str":
    """Return what a kind gives, or in half a sentence why it is not taken."""
    if why_not := lack(kind):
        return why_not
    if not pays(kind):
        return "this processor has no arithmetic of its own for it"
    found, inference = _measured(build, kind, trial, reference.seconds)
    return "; ".join(_objections(trial, reference, found)) or (found, inference)


def _as_asked(kind: Kind, build: Callable[[Kind], Inference], trial: Trial) -> Choice:
    asked = f"model.backend={kind.backend}, model.precision={kind.precision}"
    if why_not := lack(kind):
        raise ConfigurationError(f"{asked}: {why_not}")
    try:
        inference = build(kind)
    except ConfigurationError as error:
        raise ConfigurationError(f"{asked}: {error}") from error
    # Kernels are chosen and memory is taken now, not while the first study waits; and a
    # network that overflows in this precision is refused here, not at every view.
    inference.explain(trial.views[:1])
    return Choice(kind, inference, "as the settings say", ())


@dataclass(frozen=True)
class _Measured:
    probabilities: list[float]
    seconds: float  # a view


def _measured(
    build: Callable[[Kind], Inference], kind: Kind, trial: Trial, below: float = math.inf
) -> tuple[_Measured, Inference]:
    """Measure a kind; one that takes not less than *below* seconds a view may try again.

    Something else may have kept the machine busy, and what comes first is known to be faster.
    """
    inference = build(kind)
    inference.explain(trial.views)  # the first pass sets kernels up: it is not timed
    seconds = math.inf
    for _ in range(TRIES):
        started = perf_counter()
        found = inference.explain(trial.views)
        seconds = min(seconds, (perf_counter() - started) / len(found))
        if seconds < below:
            break
    return _Measured([each.probability for each in found], seconds), inference


def _objections(trial: Trial, reference: _Measured, found: _Measured) -> Iterator[str]:
    differences = np.abs(np.subtract(found.probabilities, reference.probabilities))
    worst = int(differences.argmax())
    if not differences[worst] <= TOLERANCE:
        yield f"differs by {differences[worst]:.2g} at the image {trial.names[worst]!r}"
    for name, one, other in zip(
        trial.names, reference.probabilities, found.probabilities, strict=True
    ):
        if any((one > threshold) != (other > threshold) for threshold in trial.thresholds):
            yield f"changes the label of the image {name!r}"
    if found.seconds >= reference.seconds:
        yield f"is slower ({_pace(reference, found)})"


def _praise(reference: _Measured, found: _Measured) -> str:
    most = max(np.abs(np.subtract(found.probabilities, reference.probabilities)))
    return f"differs by at most {most:.1g}, {_pace(reference, found)}"


def _pace(reference: _Measured, found: _Measured) -> str:
    return (
        f"{found.seconds * 1000:.0f} ms a view against {reference.seconds * 1000:.0f} ms "
        f"of {REFERENCE}"
    )
