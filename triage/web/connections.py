"""What a connection may take of the web process that neither asks nor takes what it is given."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

AT_ONCE = 500  # connections; a page that is open has one, and two more while it loads
ASKING = 20.0  # seconds for a request to come whole; it takes up to twice that to be noticed
TAKING = 120.0  # seconds for what was written to be taken; a whole worklist has some megabytes


class Connection(H11Protocol):
    """Ends where a request does not come whole, or an answer is not taken.

    That is a browser that has gone without a farewell, or one that means harm.
    """

    _asking: asyncio.TimerHandle | None = None
    _waits_after: Any = None  # the answer after which it was seen to wait
    _full_since: float | None = None  # when it could take no more, by the event loop's clock

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection."""
        super().connection_made(transport)
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget one that is gone."""
        super().connection_lost(exc)
        if self._asking:
            self._asking.cancel()

    def pause_writing(self) -> None:
        """Stop writing: it takes no more."""
        self._full_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Write on."""
        self._full_since = None
        super().resume_writing()

    def _look_again(self) -> None:
        self._asking = self.loop.call_later(ASKING, self._look)

    def _look(self) -> None:
        if self._full_since is not None and self.loop.time() - self._full_since > TAKING:
            self.transport.abort()
            return
        waits = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if waits and self._waits_after is (self.cycle or self):
            self.transport.close()
            return
        self._waits_after = (self.cycle or self) if waits else None
        self._look_again()
