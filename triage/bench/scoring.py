"""Scoring: prepared views through the network, by engine and by how many pass at once."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from triage.errors import TriageError
from triage.model.card import chosen_paths
from triage.model.engines.kinds import AUTO, Kind, admitted, lack, pays
from triage.model.scorer import Scorer
from triage.model.specimens import specimens
from triage.settings import ModelSettings

BATCHES = (1, 2, 4, 8, 16)  # and what passes the engine together in the daemon
SECONDS = 0.7  # of one measurement, at least


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One engine at one batch size."""

    backend: str
    device: str
    precision: str
    batch: int  # views that come at once
    per_second: float  # views
    chosen: bool  # whether this site's daemon scores with this engine


@dataclass(frozen=True, kw_only=True)
class Failed:
    """An engine that is here and does not work."""

    backend: str
    device: str
    precision: str
    reason: str


def measure(settings: ModelSettings, chosen: Scorer) -> Iterator[Scored | Failed]:
    """Score with each engine that there is, *chosen*'s among them; yield each batch size."""
    own = Kind(chosen.backend, chosen.device, chosen.precision)
    kinds = [kind for kind in admitted(AUTO, AUTO, AUTO) if not lack(kind) and pays(kind)]
    for kind in dict.fromkeys([own, *kinds]):
        try:
            scorer = chosen if kind == own else _opened(settings, kind)
            for batch in sorted({*BATCHES, scorer.batch}):
                yield Scored(
                    backend=kind.backend,
                    device=kind.device,
                    precision=kind.precision,
                    batch=batch,
                    per_second=_per_second(scorer, batch),
                    chosen=kind == own,
                )
        except (TriageError, RuntimeError) as error:
            yield Failed(
                backend=kind.backend,
                device=kind.device,
                precision=kind.precision,
                reason=next(iter(str(error).splitlines()), type(error).__name__),
            )


def _opened(settings: ModelSettings, kind: Kind) -> Scorer:
    return Scorer(
        *chosen_paths(settings),
        pins=settings.pins,
        device=kind.device,
        backend=kind.backend,
        precision=kind.precision,
    )


def _per_second(scorer: Scorer, batch: int) -> float:
    pictures = list(specimens().values())
    views = [scorer.prepare(pictures[number % len(pictures)]) for number in range(batch)]
    scorer.explain(views)  # memory for this many is taken once
    started, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - started) < SECONDS:
        scorer.explain(views)
        done += batch
    return done / spent
