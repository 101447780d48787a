"""How the daemon is, as far as its web process has been told.

The daemon sends a line of JSON a second over the socket between them.
"""

import json
import time
from dataclasses import asdict, dataclass, field

SILENT = 10.0  # seconds without a line after which what was said before holds no more


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What the daemon says of itself."""

    roles: tuple[str, ...] = ()
    receiver: str = "off"  # `receiving`, or `off` where the daemon has not the role
    scorer: str = "off"  # a `triage.pipeline.channel.ScorerState`
    stuck: tuple[str, ...] = ()  # loops that are late
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
        return cls(
            roles=tuple(said["roles"]),
            receiver=said["receiver"],
            scorer=said["scorer"],
            stuck=tuple(said["stuck"]),
        )

    def is_stale(self) -> bool:
        """Say whether the daemon has been silent for too long."""
        return time.monotonic() - self.at > SILENT
