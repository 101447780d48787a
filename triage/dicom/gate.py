"""How many connections are let in: at once, at once from one peer, and a second from one peer.

What is counted is connections: a peer that connects and never asks for an association
takes as much of us as one that does.
"""

import threading
from collections import Counter
from dataclasses import dataclass

MOST_PACES = 4096  # addresses whose pace is kept before those at rest are forgotten


@dataclass
class _Pace:
    """What an address may still do at once: it fills up at its rate, to one second's worth."""

    left: float
    at: float  # seconds on the caller's clock


class Gate:
    """Counts who is in. The names that `enter` returns are those of the settings."""

    def __init__(self, *, at_once: int, per_peer: int, per_second: int) -> None:
        """Let *at_once* in, *per_peer* from one address, *per_second* new ones (0: any number)."""
        self._at_once = at_once
        self._per_peer = per_peer
        self._per_second = per_second
        self._inside: Counter[str] = Counter()
        self._paces: dict[str, _Pace] = {}
        self._lock = threading.Lock()

    def enter(self, address: str, now: float) -> str:
        """Take a place and return nothing, or return the setting that leaves none.

        *now* is in seconds on any clock that never goes back. Who is turned away has
        taken no place and used up nothing.
        """
        with self._lock:
            if self._inside.total() >= self._at_once:
                return "dicom.max_associations"
            if self._inside[address] >= self._per_peer:
                return "dicom.max_associations_per_peer"
            if self._per_second and not self._is_in_step(address, now):
                return "dicom.max_associations_per_second"
            self._inside[address] += 1
            return ""

    def leave(self, address: str) -> None:
        """Give a place back."""
        with self._lock:
            self._inside[address] -= 1
            if not self._inside[address]:
                del self._inside[address]

    def _is_in_step(self, address: str, now: float) -> bool:
        pace = self._paces.setdefault(address, _Pace(left=self._per_second, at=now))
        pace.left = min(self._per_second, pace.left + (now - pace.at) * self._per_second)
        pace.at = now
        if pace.left < 1:
            return False
        pace.left -= 1
        if len(self._paces) > MOST_PACES:
            self._paces = {peer: kept for peer, kept in self._paces.items() if now - kept.at < 1}
        return True
