"""Which studies of the worklist somebody wants to see."""

import re
import unicodedata
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from triage.core.study import Label, StudyStatus
from triage.core.studytype import StudyType
from triage.core.worklist import Priority, WorklistRow


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for; an empty set, "" and None ask for all."""

    priorities: AbstractSet[Priority] = frozenset()
    study_types: AbstractSet[StudyType] = frozenset()
    statuses: AbstractSet[StudyStatus] = frozenset()
    labels: AbstractSet[Label] = frozenset()
    claimed: bool | None = None
    text: str = ""  # words that all occur somewhere in what a row says, see `_said_of`

    def admits(self, row: WorklistRow) -> bool:
        """Say whether a study is wanted. Case and accents do not count; ^, = and commas are spaces."""
        return (
            _in(row.priority, self.priorities)
            and _in(row.study_type, self.study_types)
            and _in(row.status, self.statuses)
            and _in(row.label, self.labels)
            and self.claimed in (None, row.claimed_by is not None)
            and all(word in _said_of(row) for word in _words(self.text))
        )


def _in(value: str | None, wanted: AbstractSet[str]) -> bool:
    return not wanted or value in wanted


def _said_of(row: WorklistRow) -> str:
    said = (
        *(row.accession_number, row.patient_id, row.patient_name),
        *(row.study_description, row.study_type, row.study_instance_uid, row.reason),
    )
    return " ".join(_words(" ".join(each for each in said if each)))


def _words(text: str) -> list[str]:
    """Take a text apart; the page does the same (`worklist-filter.js`)."""
    letters = (each for each in unicodedata.normalize("NFD", text) if not _is_mark(each))
    return re.sub(r"[\^=,\s]+", " ", "".join(letters)).lower().replace("\u00df", "ss").split()


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")
