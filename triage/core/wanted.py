"""Which studies of the worklist somebody wants to see."""

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
    text: str = ""  # words that all occur in accession number, patient or description

    def admits(self, row: WorklistRow) -> bool:
        """Say whether a study is wanted. Upper and lower case are one, and so are ^ and space."""
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
        *(row.study_description, row.study_instance_uid),
    )
    return " ".join(_words(" ".join(each for each in said if each)))


def _words(text: str) -> list[str]:
    return text.replace("^", " ").casefold().split()
