"""How the daemon is and what it has counted, as far as its web process has been told.

The daemon sends a line of JSON a second over the socket between them.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from triage.core.tally import Document

SILENT = 10.0  # seconds without a line after which what was said before holds no more


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What the daemon says of itself."""

    roles: tuple[str, ...] = ()
    receiver: str = "off"  # `receiving`, or `off` where the daemon has not the role
    scorer: str = "off"  # a `triage.pipeline.channel.ScorerState`
    model: Mapping[str, str] | None = None  # what scores; None while nothing does
    stuck: tuple[str, ...] = ()  # loops that are late
    counted: Document = field(default_factory=list)  # since the daemon's start
    at: float = field(default_factory=time.monotonic, compare=False)  # when it was said

    def line(self) -> bytes:
        """Return it as the line that is sent."""
        said = asdict(self)
        del said["at"]
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> "Condition":
        """Read such a line."""
        said = json.loads(line)
        return cls(**{**said, "roles": tuple(said["roles"]), "stuck": tuple(said["stuck"])})

    def is_stale(self) -> bool:
        """Say whether the daemon has been silent for too long."""
        return time.monotonic() - self.at > SILENT
