"""What somebody may ask of us before we know who it is."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import IPv6Address

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from triage.core.addresses import address_of
from triage.core.attempts import Attempts
from triage.errors import TriageError

LARGEST_BODY = 65536  # bytes; nothing that is sent to us is longer than a page of text
AT_ONCE = 2  # passwords that are looked at; each takes 64 MiB
WAITING = 8  # log-ins that may wait for that, each in a thread
PERIOD = 300.0  # seconds in which wrong passwords are counted
# How many by one address for one name, by one address for all, by all addresses for one name.
PER_NAME_AND_ADDRESS, PER_ADDRESS, PER_NAME = 10, 50, 100


class SmallBodies:
    """Reads no more of a request's body than `LARGEST_BODY`; 413 for the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        left = LARGEST_BODY

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"no more than {LARGEST_BODY} bytes"
                )
            return message

        await self._app(scope, counted if scope["type"] == "http" else receive, send)


class TooManyLogIns(TriageError):
    """Somebody tries too often, or too many at once; `seconds` says for how long to wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many log-ins; try again in {max(1, round(seconds))} s")
        self.seconds = max(1, round(seconds))


class LogIns:
    """The log-ins of this process: how many at once, and how often wrong."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hashing = threading.BoundedSemaphore(AT_ONCE)
        self._in_hand = 0
        self._counts = tuple(
            Attempts(limit, PERIOD) for limit in (PER_NAME_AND_ADDRESS, PER_ADDRESS, PER_NAME)
        )

    @contextmanager
    def one(self, name: str, address: str) -> Iterator[None]:
        """Let a password be looked at; it counts as wrong until `was_right`.

        Raises TooManyLogIns.
        """
        with self._lock:
            now = time.monotonic()
            counted = self._counted(name, address)
            if wait := max(attempts.wait(key, now) for attempts, key in counted):
                raise TooManyLogIns(wait)
            if self._in_hand >= WAITING:
                raise TooManyLogIns(1)
            self._in_hand += 1
            # Before it is looked at: many at once are not fewer.
            for attempts, key in counted:
                attempts.count(key, now)
        try:
            with self._hashing:
                yield
        finally:
            with self._lock:
                self._in_hand -= 1

    def was_right(self, name: str, address: str) -> None:
        """Take the last one back: many readers may come from one address."""
        with self._lock:
            for attempts, key in self._counted(name, address):
                attempts.take_back(key)

    def _counted(self, name: str, address: str) -> tuple[tuple[Attempts, object], ...]:
        network = _network(address)
        return tuple(zip(self._counts, ((name, network), network, name), strict=True))


def _network(address: str) -> str:
    """Return what somebody has as a whole: an address of IPv4, 2**64 of IPv6."""
    found = address_of(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)
