"""The records that the rules speak of."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from triage.core.studytype import StudyType


class StudyStatus(StrEnum):
    """How far the study has come; the reader's side is `ReadingState`."""

    RECEIVING = "receiving"  # images may still come
    COMPLETE = "complete"  # silent, but not every view has been tried
    SCORED = "scored"
    UNSCORABLE = "unscorable"  # nothing in it is for the network
    FAILED = "failed"  # every view was tried and none could be scored


class Finding(StrEnum):
    """The reader's own finding."""

    NORMAL = "normal"
    ABNORMAL = "abnormal"


class ReadingState(StrEnum):
    """What the readers have done with the study."""

    UNREAD = "unread"
    CLAIMED = "claimed"
    READ = "read"


class ViewState(StrEnum):
    """How far one view (one frame of one instance) has come."""

    PENDING = "pending"
    SCORED = "scored"
    FAILED = "failed"


class InstanceState(StrEnum):
    """What becomes of a received SOP instance."""

    SCORABLE = "scorable"
    UNSCORABLE = "unscorable"  # stored, not for the network; the reason says why
    REPLACED = "replaced"  # the same UID came again with other bytes


class Label(StrEnum):
    """The network's preliminary opinion of a study."""

    ABNORMAL = "abnormal"
    NORMAL = "normal"


class Side(StrEnum):
    """The side of the body; a view of unknown side is a group of its own kind."""

    LEFT = "L"
    RIGHT = "R"
    UNKNOWN = ""


class Intent(StrEnum):
    """Presentation Intent Type (0008,0068)."""

    PRESENTATION = "presentation"
    PROCESSING = "processing"  # raw: the network has not learnt from such images
    UNKNOWN = ""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """What a header says of the exposure that its image shows; "" where it is silent."""

    intent: Intent = Intent.UNKNOWN
    event: str = ""  # Irradiation Event UID (0008,3010)
    acquired: str = ""  # Acquisition DateTime, or Date and Time together, as written
    view_position: str = ""  # (0018,5101)
    source: str = ""  # SOP Instance UID of the one image that this one was made from


@dataclass(frozen=True, kw_only=True)
class Instance:
    """What the header of one received SOP instance says, and whether it can be scored."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str
    study_instance_uid: str
    accession_number: str = ""
    patient_id: str = ""
    patient_name: str = ""
    study_description: str = ""
    station: str = ""  # that made the image: Station Name (0008,1010); "" where it is silent
    modality: str = ""
    body_part: str = ""
    study_type: StudyType | None = None
    part_from: str = ""  # the attribute that decided the study type, with its value
    side: Side = Side.UNKNOWN
    side_from: str = ""  # likewise for the side
    exposed_field: str = ""  # what the view is cropped to; "" where it is the whole image
    exposure: Exposure = Exposure()
    frames: int = 0  # views in it; 0 when it is not for the network
    radiograph: bool = False  # an image that a reader must see, whether it can be scored or not
    reason: str | None = None  # why it is not for the network
    pixel_digest: str = ""  # BLAKE3 of the encoded pixel data; "" where there is none
    digest: str = ""  # SHA-256 of transfer syntax and data set as they arrived
    size: int = 0  # bytes of the PS3.10 file
    calling_ae_title: str = ""
    calling_address: str = ""


@dataclass(frozen=True, kw_only=True)
class View:
    """One scorable frame, as the rules see it."""

    study_type: StudyType | None
    side: Side
    state: ViewState
    # After temperature, 0 to 1. A view that is tried again keeps its former one
    # until the new one is there.
    probability: float | None = None
    threshold: float = 0.5  # of its study type, from the card that scored it
    model: str | None = None
    reason: str | None = None
    # Views with the same mark show one exposure, which counts once, by the highest
    # of their probabilities; None: no other shows it.
    exposure: str | None = None
    # Of a raw image whose presentation is there: it counts as long as that has no
    # probability, and is no view of the study otherwise.
    stand_in: bool = False
    low_trust: bool = False  # of a raw image, 'for processing'

    @property
    def counts(self) -> bool:
        """Say whether the view takes part in the study's score."""
        return self.probability is not None and self.state is not ViewState.FAILED


@dataclass(frozen=True, kw_only=True)
class Score:
    """What the network thinks of a study, and which group of views decided it."""

    study_type: StudyType | None
    side: Side
    probability: float
    label: Label
    model: str | None


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a study may stay open."""

    quiet: float  # seconds of silence after the last image that complete a study
    limit: float  # seconds after the image that opened it, however busy the sender


@dataclass(frozen=True, kw_only=True)
class Growth:
    """When the images of a study came."""

    opened_at: datetime  # first image, or the one that reopened it
    last_received_at: datetime
