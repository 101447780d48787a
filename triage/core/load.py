"""How much waits: for a reader, for the network, for more images."""

from collections.abc import Mapping
from dataclasses import dataclass

from triage.core.worklist import Priority


@dataclass(frozen=True, kw_only=True)
class Load:
    """What waits at one moment."""

    studies: Mapping[Priority, int]  # on the worklist; every priority is there
    overdue: int  # of them
    longest_wait: float  # seconds that the first of them has waited; 0 where none waits
    receiving: int  # studies to which images may still come
    views: int  # that wait for a score
    longest_view_wait: float  # seconds since the first of their images came; 0 where none waits
