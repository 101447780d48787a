"""What changes on the worklist, told to every open page.

One thread looks at the worklist while anybody listens, and says what has changed since its
last look. What it says is put into bytes once, however many pages are open.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from triage import logs
from triage.core.documents import encode, row_document
from triage.core.worklist import WorklistRow
from triage.errors import DatabaseUnavailable
from triage.store.database import Database
from triage.store.watch import Watch

log = logs.get(__name__)

LOOK_EVERY = 0.5  # seconds
RETRY_EVERY = 2.0  # seconds, while the database is away
BEHIND = 100  # changes that a page may be behind before its stream ends, and it begins again


@dataclass(frozen=True)
class Change:
    """What happened to the worklist between two looks.

    `data` is JSON: {"all": whether `rows` is the whole worklist, "gone": [UID ...], "rows":
    [row ...]}; how to apply it says `triage.store.watch.Difference`.
    """

    number: int
    data: str


class _Page:
    """One open page: its event loop, and what it has not been told yet."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Change | None] = asyncio.Queue()

    def tell(self, change: Change | None) -> None:
        """Say it from any thread; None ends the stream."""
        self._loop.call_soon_threadsafe(self._put, change)

    def _put(self, change: Change | None) -> None:
        behind = self.queue.qsize() >= BEHIND
        self.queue.put_nowait(None if behind else change)


class Feed:
    """The changes of the worklist, from `start` to `stop`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watch = Watch(database)
        self._lock = threading.Lock()  # of the pages, and of what they were told last
        self._pages: set[_Page] = set()
        self._number = 0
        self._whole: Change | None = None  # the worklist as it was last told, once asked for
        self._news = threading.Event()  # somebody has come, or it ends
        self._stopping = False

    def start(self) -> None:
        """Begin to look, in a thread."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def stop(self) -> None:
        """End every stream."""
        self._stopping = True
        self._news.set()
        with self._lock:
            for page in self._pages:
                page.tell(None)

    async def changes(self) -> AsyncIterator[Change]:
        """Yield the worklist as it is, and then each change, until the feed stops.

        It ends earlier for a page that does not take what it is told.
        """
        page = _Page()
        await asyncio.to_thread(self._welcome, page)
        try:
            while (change := await page.queue.get()) is not None:
                yield change
        finally:
            with self._lock:
                self._pages.discard(page)

    def _welcome(self, page: _Page) -> None:
        with self._lock:
            if self._number:  # else the first look tells everybody everything
                if self._whole is None:
                    self._whole = Change(self._number, _data(self._watch.rows(), whole=True))
                page.tell(self._whole)
            self._pages.add(page)
        self._news.set()

    def _run(self) -> None:
        while not self._stopping:
            self._news.wait()
            try:
                self._follow()
            except DatabaseUnavailable as error:
                log.warning("database_unavailable", loop="feed", reason=str(error))
                self._news.clear()
                self._news.wait(RETRY_EVERY)
                self._news.set()

    def _follow(self) -> None:
        """Look and tell while anybody listens."""
        with self._database.connected() as connection:
            self._watch.forget()
            while not self._stopping:
                with self._lock:
                    if not self._pages:
                        self._news.clear()
                        return
                    difference = self._watch.look(connection)
                    if difference or not self._number:
                        first = not self._number
                        self._number += 1
                        self._whole = None
                        rows, gone = (difference.rows, difference.gone) if difference else ((), ())
                        change = Change(self._number, _data(rows, gone, whole=first))
                        for page in self._pages:
                            page.tell(change)
                threading.Event().wait(LOOK_EVERY)


def _data(rows: Iterable[WorklistRow], gone: Iterable[str] = (), *, whole: bool = False) -> str:
    document = {"all": whole, "gone": list(gone), "rows": [row_document(row) for row in rows]}
    return encode(document)
