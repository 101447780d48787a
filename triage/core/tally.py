"""What the processes of a daemon count, for who watches over it.

Each process counts what it does. The scoring process tells its parent what it has counted since
it told last; the parent adds that to its own, and tells the sums to the web process. So a process
that starts again loses nothing that it has told, and nothing is ever counted by walking over rows.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import Any

from triage.core.reasons import Code
from triage.core.study import StudyStatus
from triage.core.studytype import StudyType


class Kept(StrEnum):
    """What became of an object that a sender brought."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same bytes were there: nothing changed
    RESTORED = "restored"  # the same bytes, whose file had gone
    REPLACED = "replaced"  # the same UID with other bytes
    REFUSED = "refused"  # it cannot be filed: damaged, or of another instance
    LATER = "later"  # spool or database could not take it: its sender tries again
    FAILED = "failed"  # an error of ours; the log has it


class Part(StrEnum):
    """What the daemon starts again when it ends."""

    SCORER = "scorer"
    WEB = "web"


ANY_TYPE = (*(each.value for each in StudyType), "unknown")


@dataclass(frozen=True)
class Family:
    """One thing that is counted.

    Each label has a closed list of values, so that no peer can make the list of what is
    counted grow. With *bounds*, values are observed and not counted: how many were at most
    each bound, and what they come to together.
    """

    name: str
    sentence: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()

    def combinations(self) -> Iterator[tuple[str, ...]]:
        """Yield the values of the labels, each with each."""
        return product(*self.labels.values())


_WAITS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)  # seconds

RECEIVED = Family(
    "instances_received",
    "Objects that senders brought, by what became of them.",
    {"outcome": tuple(Kept)},
)
SET_ASIDE = Family(
    "instances_not_scorable",
    "Received objects that are not for the network, by reason code.",
    {"reason": tuple(Code)},
)
KEEPING = Family(
    "instance_keeping_seconds",
    "From an object's last byte until bytes and row are durable; its answer follows.",
    bounds=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
COMPLETED = Family(
    "studies_completed",
    "Studies that have stopped growing, by their status then.",
    {"status": tuple(StudyStatus)},
)
SCORED = Family("views_scored", "Views that were given a probability.")
NOT_SCORED = Family(
    "views_not_scored",
    "Attempts to score a view that failed, by reason code; a view is tried three times.",
    {"reason": tuple(Code)},
)
SCORE_WAIT = Family(
    "view_score_wait_seconds",
    "From a view's reception to its first probability.",
    bounds=_WAITS,
)
PROBABILITY = Family(
    "view_probability",
    "Probabilities that views were given, by study type: drift shows here.",
    {"study_type": ANY_TYPE},
    bounds=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
ENDED = Family(
    "process_ends",
    "Ends of processes that the daemon starts again.",
    {"process": tuple(Part)},
)

FAMILIES = {
    each.name: each
    for each in (
        *(RECEIVED, SET_ASIDE, KEEPING, COMPLETED),
        *(SCORED, NOT_SCORED, SCORE_WAIT, PROBABILITY, ENDED),
    )
}

_Key = tuple[str, tuple[str, ...]]
Document = list[list[Any]]  # [family's name, its labels' values, the numbers], as JSON takes them


class Tally:
    """Counts, from any thread.

    The numbers of a counter are how often it was; those of a histogram how many values lay
    between each bound and the one before, how many above all, and their sum.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[_Key, list[float]] = {}

    def count(self, family: Family, *labels: str) -> None:
        """Count one more."""
        with self._lock:
            self._of(family, labels)[0] += 1

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """Take in one value of a family with bounds."""
        with self._lock:
            numbers = self._of(family, labels)
            numbers[bisect_left(family.bounds, value)] += 1
            numbers[-1] += value

    def numbers(self, family: Family, *labels: str) -> list[float]:
        """Return the numbers of a family, zeros where nothing was counted."""
        with self._lock:
            found = self._numbers.get((family.name, labels))
            return list(found) if found else _zeros(family)

    def document(self) -> Document:
        """Return all that was counted."""
        with self._lock:
            return _document(self._numbers)

    def take(self) -> Document:
        """Return all that was counted, and count from zero again."""
        with self._lock:
            taken, self._numbers = self._numbers, {}
        return _document(taken)

    def add(self, document: Iterable[Any]) -> None:
        """Add what another process has counted. Raises ValueError for what is no such document."""
        for each in document:
            name, labels, more = _checked(each)
            with self._lock:
                numbers = self._of(FAMILIES[name], labels)
                for place, number in enumerate(more):
                    numbers[place] += number

    def _of(self, family: Family, labels: tuple[str, ...]) -> list[float]:
        numbers = self._numbers.get((family.name, labels))
        if numbers is None:
            numbers = self._numbers[family.name, labels] = _zeros(family)
        return numbers


def _zeros(family: Family) -> list[float]:
    return [0.0] * (len(family.bounds) + 2 if family.bounds else 1)


def _document(numbers: Mapping[_Key, list[float]]) -> Document:
    return [[name, list(labels), list(those)] for (name, labels), those in numbers.items()]


def _checked(each: Any) -> tuple[str, tuple[str, ...], list[float]]:
    """Return one entry of a document. Raises ValueError."""
    try:
        name, labels, numbers = each
        family, values = FAMILIES[name], tuple(labels)
        known = all(v in a for v, a in zip(values, family.labels.values(), strict=True))
        if known and len(numbers) == len(_zeros(family)):
            return name, values, [float(number) for number in numbers]
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"no count of ours: {each!r}") from error
    raise ValueError(f"no count of ours: {each!r}")
