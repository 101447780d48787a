"""What changes on the worklist, told to every open page.

One thread looks at the worklist while anybody listens, and says what has changed since its
last look. What it says is put into bytes once, however many pages are open.
"""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from triage import logs
from triage.core.documents import encode, row_document
from triage.core.worklist import WorklistRow
from triage.errors import DatabaseUnavailable
from triage.store.database import Database
from triage.store.watch import Difference, Watch, Worklist

log = logs.get(__name__)

LOOK_EVERY = 0.5  # seconds
REST = 10  # times the processor time of a look, at least, until the next: a tenth of a core
RETRY_EVERY = 2.0  # seconds, while the database is away
END_WAIT = 2.0  # seconds for the look in hand at the end
BEHIND = 100  # changes that a page may be behind before its stream ends, and it begins again
FRESH = 1.0  # seconds for which the whole worklist is told as it was written: its studies wait on
PING_EVERY = 15.0  # seconds without a change after which a page hears that we are there
PING = b": nothing has changed\n\n"


@dataclass(frozen=True)
class Change:
    """What happened to the worklist between two looks, as an event of a stream; it has a name.

    Its data is JSON: {"all": whether `rows` is the whole worklist, "gone": [UID ...], "rows":
    [row ...]}; how to apply it says `triage.store.watch.Difference`.
    """

    name: str
    data: str
    event: bytes  # as WHATWG's server-sent events are written; JSON has no line breaks

    @classmethod
    def of(
        cls, name: str, rows: Iterable[WorklistRow], gone: Iterable[str] = (), *, whole: bool
    ) -> "Change":
        """Write it, once for every page."""
        document = {"all": whole, "gone": list(gone), "rows": [row_document(row) for row in rows]}
        data = encode(document)
        return cls(name, data, f"id: {name}\nevent: worklist\ndata: {data}\n\n".encode())


class _Page:
    """One open page: its event loop, and what it has not been told yet."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self.left = False  # it listens no more; said by the event loop, heard by the feed

    def tell(self, change: Change | None) -> None:
        """Say it from any thread; None ends the stream."""
        try:
            self._loop.call_soon_threadsafe(self._put, change)
        except RuntimeError:  # the event loop has ended
            self.left = True

    async def hear(self) -> Change | None:
        """Return what it is told next. Raises TimeoutError when that is nothing for a while."""
        return await asyncio.wait_for(self._queue.get(), PING_EVERY)

    def _put(self, change: Change | None) -> None:
        if self.left:
            return
        if change is None or self._queue.qsize() >= BEHIND:
            change, self.left = None, True
        self._queue.put_nowait(change)


class Feed:
    """The changes of the worklist, from `start` to `stop`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watch = Watch(database)
        self._lock = threading.Lock()  # of what follows; never held while a database is asked
        self._pages: set[_Page] = set()
        self._worklist: Worklist | None = None  # as the pages were told; None: nobody looks
        self._whole: Change | None = None  # the same as it is told, once somebody has asked for it
        self._whole_at = 0.0  # when, in seconds of the monotonic clock
        self._process = secrets.token_hex(4)  # another one begins to count again
        self._number = 0
        self._news = threading.Event()  # somebody has come, or it ends
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    @property
    def pages(self) -> int:
        """How many pages listen."""
        return len(self._pages)

    def start(self) -> None:
        """Begin to look, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End every stream, and let go of the database unless that hangs."""
        self._stopping.set()
        self._news.set()
        with self._lock:
            for page in self._pages:
                page.tell(None)
        self._thread.join(END_WAIT)

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the worklist as it is, and then each change, until the feed stops.

        It ends earlier for a page that does not take what it is told, and for all while the
        database is away: a page then knows that what it shows is old, and begins again.
        """
        page = _Page()
        await asyncio.to_thread(self._welcome, page)
        try:
            while True:
                try:
                    change = await page.hear()
                except TimeoutError:
                    yield PING
                    continue
                if change is None:
                    return
                yield change.event
        finally:
            page.left = True  # the feed takes it out: the event loop waits for no lock

    async def once(self, known: str = "") -> bytes | None:
        """Return the worklist as it is now, as one event; None where *known* is its name.

        Raises DatabaseUnavailable. For pages whose stream does not come through: however many ask,
        the worklist is looked at as seldom as for one.
        """
        page = _Page()
        await asyncio.to_thread(self._welcome, page)
        try:
            change = await page.hear()
        except TimeoutError:
            change = None
        finally:
            page.left = True
        if change is None:
            raise DatabaseUnavailable("the worklist could not be looked at")
        return None if change.name == known else change.event

    def _welcome(self, page: _Page) -> None:
        """Tell a page the worklist, at once where it is known, else at the first look."""
        with self._lock:
            if self._worklist is not None:
                page.tell(self._everything(self._worklist))
            self._pages.add(page)
            if self._stopping.is_set():
                page.tell(None)
        self._news.set()

    def _everything(self, worklist: Worklist) -> Change:
        now = time.monotonic()
        if self._whole is None or now - self._whole_at > FRESH:
            self._whole = Change.of(self._name(), worklist.records(), whole=True)
            self._whole_at = now
        return self._whole

    def _name(self) -> str:
        return f"{self._process}-{self._number}"

    def _run(self) -> None:
        while self._news.wait() and not self._stopping.is_set():
            try:
                self._follow()
            except DatabaseUnavailable as error:
                log.warning("database_unavailable", loop="feed", reason=str(error))
                self._end_pages()
            except Exception:
                log.exception("loop_failed", loop="feed")
                self._end_pages()

    def _end_pages(self) -> None:
        """End every stream: a page must not show as present what nobody knows to be so."""
        with self._lock:
            for page in self._pages:
                page.tell(None)
            self._pages = set()
            self._worklist = self._whole = None
            self._news.clear()
        self._stopping.wait(RETRY_EVERY)

    def _follow(self) -> None:
        """Look and tell while anybody listens."""
        with self._database.connected() as connection:
            self._watch.forget()
            while not self._stopping.is_set():
                begun = time.thread_time()
                difference = self._watch.look(connection)
                if not self._tell(difference):
                    return
                took = time.thread_time() - begun
                self._stopping.wait(max(LOOK_EVERY, REST * took))

    def _tell(self, difference: Difference | None) -> bool:
        """Tell every page what has changed; say whether anybody listens."""
        with self._lock:
            self._pages = {page for page in self._pages if not page.left}
            if not self._pages:
                # What comes next is not told how it was, perhaps long ago, but how it is then.
                self._worklist = self._whole = None
                self._news.clear()
                return False
            first = self._worklist is None
            if difference or first:
                self._number += 1
                self._worklist, self._whole = self._watch.worklist, None
                if first or difference is None:
                    change = self._everything(self._worklist)
                else:
                    change = Change.of(self._name(), difference.rows, difference.gone, whole=False)
                for page in self._pages:
                    page.tell(change)
            return True
