"""The class activation map of a view as it is stored: coarse, as the network has it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class CoarseMap:
    """What each place of the network's input adds to the logit; see `triage.model.cam`.

    The mean of the cells is the logit without its constant part, after the temperature.
    """

    height: int  # cells
    width: int
    cells: bytes  # float16, little-endian, row by row
    # How the view became the network's input, so that a place of the map is one of the view.
    side: int  # pixels, height and width of the input
    resize: str  # a `triage.model.card.Resize`

    def __post_init__(self) -> None:
        if len(self.cells) != 2 * self.height * self.width:
            raise ValueError(f"{len(self.cells)} bytes are no {self.height} x {self.width} cells")


@dataclass(frozen=True, kw_only=True)
class ScoredView:
    """A view that has a probability, and the map that came with it."""

    sop_instance_uid: str
    frame: int  # from 1
    digest: str  # of its file in the spool
    waiting: bool  # for a new score; what it has is of the former one
    deleted_at: datetime | None  # when retention deleted the file
    map: CoarseMap | None  # None where it was scored before maps were kept
