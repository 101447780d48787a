"""Scoring files once, without a daemon: what `triage score` does."""

from itertools import islice
from typing import TYPE_CHECKING

from triage.errors import DecodersUnavailable
from triage.model.cores import usable_cores
from triage.pipeline.decoders import Decoders
from triage.pipeline.gather import Gathered, OfflineStudy, OfflineView
from triage.pipeline.views import Views

if TYPE_CHECKING:
    from triage.model.scorer import Scorer

BATCH = 64  # views on their way at once
POLL = 1.0  # seconds


def decoders_for(studies: list[OfflineStudy]) -> Decoders:
    """Return the decoders that these studies' views keep busy; to be used with `with`."""
    return Decoders(min(usable_cores(), len(_views(studies))))


def score_studies(scorer: "Scorer", studies: list[OfflineStudy], decoders: Decoders) -> None:
    """Score the studies' views where they are, in batches across studies.

    Raises DecodersUnavailable.
    """
    views = _views(studies)
    if views and not decoders.ready():
        raise DecodersUnavailable(f"no decoding process can be started: {decoders.problem}")
    waiting = iter(views)
    going: Views[OfflineView] = Views(scorer, decoders)
    while True:
        for view in islice(waiting, BATCH - len(going)):
            if view.source is not None:
                going.put(view, view.source)
        if not going:
            return
        for view, verdict in going.take(POLL):
            view.verdict = verdict


def _views(studies: list[OfflineStudy]) -> list[OfflineView]:
    return [view for study in studies for view in study.views if view.source is not None]


def unreadable_views(gathered: Gathered) -> list[str]:
    """Say which files could not be read, as to their header or their pixels."""
    return gathered.unreadable + [
        f"{view.path}: {view.verdict.reason}"
        for study in gathered.studies
        for view in study.views
        if view.status == "failed"
    ]
