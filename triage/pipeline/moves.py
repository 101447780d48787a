"""The log's word for a study that moved on the worklist, whatever moved it."""

from collections.abc import Iterable

from triage import logs
from triage.core.worklist import PRIORITIES, Move, Place

log = logs.get(__name__)


def tell_moves(moves: Iterable[Move]) -> None:
    """Log each move; call it when the transaction that made them is committed."""
    for move in moves:
        log.info(
            "study_moved",
            study_instance_uid=move.study_instance_uid,
            accession_number=move.accession_number,
            cause=move.cause,
            before=move.before and _name(move.before),
            after=_name(move.after),
            priority=PRIORITIES[move.after.band],
            label=move.label,
            probability=move.probability,
        )


def _name(place: Place) -> str:
    """Name the band; where a study stands inside it is told by probability and arrival."""
    return place.band.name.lower()
