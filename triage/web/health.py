"""How database and spool are, asked so that no question piles up behind one that hangs.

A database that is cut off from the network answers nobody for many seconds. Each question here
has a thread of its own, is asked once at a time, and its answer is good for a moment: however
many ask how we are, and however bad it is, they hold up nobody else.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Generic, TypeVar

from triage.core.load import Load
from triage.errors import SpoolFull
from triage.store.database import Database
from triage.store.load import load
from triage.store.spool import Spool

T = TypeVar("T")

PATIENCE = 5.0  # seconds to wait for an answer
FRESH = 2.0  # seconds for which an answer is good


class Probe(Generic[T]):
    """One question, its last answer, and the thread that asks it."""

    def __init__(self, name: str, ask: Callable[[], T], fresh: float = FRESH) -> None:
        """*fresh* is for how many seconds an answer is good."""
        self._ask = ask
        self._fresh = fresh
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._asked: Future[T] | None = None
        self._at = 0.0

    async def answer(self) -> T:
        """Return the answer, or raise what the question raised; TimeoutError while it hangs."""
        asked = self._asked
        if asked is None or (asked.done() and time.monotonic() - self._at > self._fresh):
            self._at = time.monotonic()
            asked = self._asked = self._thread.submit(self._ask)
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(asked)), PATIENCE)


class Health:
    """What is asked about the stores."""

    def __init__(self, database: Database, spool: Spool, min_free: int) -> None:
        self._spool = spool
        self._min_free = min_free
        self.database = Probe("database", database.require_answer)
        self.load: Probe[Load] = Probe("load", lambda: load(database, datetime.now(UTC)))
        self.spool = Probe("spool", self._try_spool)
        self.free: Probe[int] = Probe("free", spool.free)

    def _try_spool(self) -> None:
        """Raise SpoolUnavailable where it cannot take an object now."""
        if self._spool.free() < self._min_free:
            raise SpoolFull("less is free than spool.min_free keeps")
        self._spool.try_writing()
