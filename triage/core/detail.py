"""Why a study stands where it stands: what `triage show` tells."""

from dataclasses import dataclass
from datetime import datetime

from triage.core.worklist import WorklistRow


@dataclass(frozen=True, kw_only=True)
class InstanceDetail:
    """One view, or one instance that has none."""

    sop_instance_uid: str
    series_instance_uid: str
    frame: int | None  # from 1; None for an instance that is not for the network
    state: str  # pending, scored, failed, unscorable or replaced
    reason: str | None
    probability: float | None
    group: str | None  # study type and side
    study_type: str | None
    part_from: str | None  # the attribute that decided the study type, with its value
    side: str | None
    side_from: str | None
    exposed_field: str | None  # what the view is cropped to; None where it is the whole image


@dataclass(frozen=True, kw_only=True)
class GroupDetail:
    """The views of one part and side, and whether they decided."""

    group: str
    study_type: str | None
    side: str | None
    probability: float
    threshold: float
    views: int
    deciding: bool


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    """One thing that happened to the study."""

    at: datetime
    kind: str
    detail: str | None
    actor: str | None


@dataclass(frozen=True, kw_only=True)
class StudyDetail:
    """A study with everything under it."""

    row: WorklistRow
    reading_state: str
    finding: str | None
    groups: list[GroupDetail]
    instances: list[InstanceDetail]
    history: list[HistoryLine]


def group_name(study_type: str | None, side: str | None) -> str:
    """Name a group for people: `wrist L`, or `unknown part` where neither is known."""
    return f"{study_type or 'unknown part'} {side or ''}".strip()
