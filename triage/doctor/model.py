"""The model checked: loaded, and compared with what it gave where it was made."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from triage.doctor.findings import Finding, Status
from triage.settings import ModelSettings, Settings

if TYPE_CHECKING:
    from triage.model.scorer import Scorer
    from triage.model.stored import Difference


def check_model(settings: Settings) -> Finding:
    from triage.model.ensemble import read_cards

    read_cards(settings.model)  # the cheap half first: torch takes seconds
    from triage.model.scorer import open_scorer

    started = time.perf_counter()
    scorer = open_scorer(settings.model)
    seconds = time.perf_counter() - started
    shown = f"{scorer.identity}, {scorer.choice.kind} ({scorer.choice.why})"
    if scorer.choice.others:
        shown += f" because {'; '.join(scorer.choice.others)}"
    if not settings.model.paths:
        shown += ", the reference model of the package"
    pinned = "as model.sha256 asks" if any(settings.model.pins) else "not pinned by model.sha256"
    shown += f", SHA-256 {', '.join(scorer.sha256)} ({pinned})"
    differences, compared = _compare(scorer, settings.model)
    if differences:
        return Finding(
            check="model",
            status=Status.FAILED,
            message=f"{shown} computes otherwise than where it was made: "
            + "; ".join(map(str, differences)),
            action="see triage model check; try model.device=cpu, model.precision=float32, or the "
            "torch that it names",
        )
    as_stored = f", gives the {compared} stored outputs" if compared else ""
    return Finding(
        check="model",
        status=Status.OK,
        message=f"{shown}, loaded in {seconds:.1f} s{as_stored}",
    )


def _compare(scorer: "Scorer", settings: ModelSettings) -> "tuple[list[Difference], int]":
    """Compare each checkpoint with the outputs stored beside it; also say how many there are."""
    from triage.model import stored
    from triage.model.scorer import open_scorer

    differences: list[Difference] = []
    compared = 0
    for path in scorer.paths:
        document = stored.beside(path)
        if document is None:
            continue
        known = replace(stored.read(document), pictures=())
        member = scorer if len(scorer.paths) == 1 else open_scorer(settings.naming(path))
        found = stored.measure(member, stored.score_specimens(member))
        differences += stored.differences(known, found)
        compared += len(known.specimens)
    return differences, compared
