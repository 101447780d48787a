"""The documents of the JSON interface, as OpenAPI describes them.

The answers are made by `triage.core.documents`; a test holds the two against each other.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from triage.core.study import Finding, Label, ReadingState, StudyStatus
from triage.core.studytype import StudyType
from triage.core.worklist import Priority

Probability = Annotated[float, Field(ge=0, le=1)]


class Document(BaseModel):
    """What is there is all there is; what is missing is null."""

    model_config = ConfigDict(extra="forbid")


class WorklistRow(Document):
    """One study of the reading worklist."""

    position: int | None = Field(ge=1, description="1 is read next; null once it was read")
    priority: Priority = Field(
        description="HIGH overdue or abnormal, MEDIUM not scored, LOW normal"
    )
    overdue: bool = Field(description="Waits longer than worklist.max_wait")
    label: Label | None = Field(description="The network's preliminary opinion; null: not scored")
    probability: Probability | None = Field(description="Of abnormality, of the deciding group")
    provisional: bool = Field(description="Images may still come")
    status: StudyStatus
    reason: str | None = Field(description="`code: sentence`, where it is not simply scored")
    study_type: StudyType | None
    views: int = Field(ge=0, description="Frames for the network")
    views_scored: int = Field(ge=0)
    accession_number: str | None
    patient_id: str | None
    patient_name: str | None = Field(description="As DICOM writes it, Family^Given")
    study_instance_uid: str
    study_description: str | None
    received_at: datetime = Field(description="When its first image was acknowledged")
    completed_at: datetime | None
    waiting_seconds: float = Field(description="Until now, or until it was read")
    claimed_by: str | None
    model: str | None = Field(description="Name and version of what scored it")


class Group(Document):
    """The views of one part and side."""

    group: str
    study_type: StudyType | None
    side: Literal["L", "R"] | None
    probability: Probability = Field(description="The mean of its views'")
    threshold: Probability = Field(description="Above it, the group is abnormal")
    views: int = Field(ge=1)
    deciding: bool = Field(description="Its probability is the study's")


class Instance(Document):
    """One view, or one instance that has none."""

    sop_instance_uid: str
    series_instance_uid: str
    frame: int | None = Field(ge=1, description="null: not for the network")
    state: Literal["pending", "scored", "failed", "unscorable", "replaced"]
    reason: str | None = Field(description="`code: sentence`")
    probability: Probability | None
    group: str | None
    study_type: StudyType | None
    part_from: str | None = Field(description="The attribute that decided the study type")
    side: Literal["L", "R"] | None
    side_from: str | None = Field(description="The attribute that decided the side")
    exposed_field: str | None = Field(description="What it is cropped to; null: nothing is cut")


class HistoryLine(Document):
    """One thing that happened to the study."""

    at: datetime
    kind: str
    detail: str | None
    actor: str | None


class Study(WorklistRow):
    """A study with everything under it."""

    reading_state: ReadingState
    finding: Finding | None = Field(description="The reader's own, of the last reading")
    groups: list[Group]
    instances: list[Instance]
    history: list[HistoryLine]


class Reading(Document):
    """What a reader says of a study."""

    finding: Finding | None = None


class Releasing(Document):
    """Whose claim is given up; one's own where nobody is named."""

    reader: str | None = Field(default=None, max_length=200)


class Unreading(Document):
    """Whose reading is taken back; anybody's where nobody is named."""

    reader: str | None = Field(default=None, max_length=200)


class Rescored(Document):
    """What cannot be scored again: SOP Instance UIDs whose pixel data was deleted."""

    pixels_deleted: list[str]


class Change(Document):
    """The data of an event `worklist`.

    To apply it, take out `gone` and the studies of `rows`, then insert each of `rows` at its
    position, the first before the others. With `all`, `rows` is the whole worklist.
    """

    all: bool
    gone: list[str]
    rows: list[WorklistRow]


class Sample(Document):
    """One measured value."""

    name: str
    labels: dict[str, str]
    value: float


class Metric(Document):
    """What is measured, as `/metrics` tells it."""

    name: str
    type: Literal["counter", "gauge", "histogram", "info", "stateset"]
    help: str
    samples: list[Sample]


class Readiness(Document):
    """Whether the daemon can work; of each check `ok`, or what is wrong."""

    ready: bool
    checks: dict[str, str]


class Fault(Document):
    """One thing that is wrong in a request."""

    where: str
    what: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What was wrong, and what to do")
    errors: list[Fault] | None = None
