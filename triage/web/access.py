"""Who asks, and what they may.

The first of these that holds: a proxy of ours names them; they have logged in; they are on this
machine, and it is trusted. Everybody else is sent to the log-in, or away.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from triage.core.addresses import address_of
from triage.core.people import LOCAL, Role, user_name
from triage.errors import DatabaseUnavailable, TriageError
from triage.settings import WebSettings
from triage.store import users
from triage.web.caller import Caller, caller_of, is_foreign
from triage.web.site import Here, Site

__all__ = ["NotAllowed", "NotLoggedIn", "Person", "Role", "Watcher", "Whoever"]

LOOK_AGAIN = 10.0  # seconds after which a stream that goes on asks whether it still may
# Seconds for which a stream goes on of somebody whom a proxy named: it ends, the page opens it
# again, and the proxy says whether they still may.
ASK_PROXY = 600.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who asks, as history and audit trail name them."""

    name: str
    role: Role
    session: str | None = None  # its digest, where they have logged in here


class NotAllowed(TriageError):
    """The request comes from where nobody is let in, or from somebody who may not."""


class NotLoggedIn(TriageError):
    """The request comes from where people are let in by their name and password."""


async def caller(request: Request, site: Here) -> Caller:
    """Return where the request comes from. Raises NotAllowed where another site's page sent it."""
    found = caller_of(
        request.client.host if request.client else "",
        request.scope["http_version"],
        request.scope["scheme"],
        request.headers,
        site.settings.web,
    )
    if is_foreign(request.method, request.url.path, request.headers, found.host):
        raise NotAllowed("a page of another site asked for it; open it from here")
    return found


From = Annotated[Caller, Depends(caller)]


def person(request: Request, site: Here, caller: From) -> Person:
    """Return who asks. Raises NotLoggedIn or NotAllowed."""
    web = site.settings.web
    if caller.by_proxy and (named := _named_by_proxy(request, web)):
        return named
    if (digest := session_of(request, caller)) and (
        user := users.user_of(site.database, digest, datetime.now(UTC))
    ):
        return Person(name=user.name, role=user.role, session=digest)
    if caller.is_here and web.trust_loopback:
        return Person(name=LOCAL, role=Role.ADMINISTRATOR)
    if users.are_there(site.database):
        raise NotLoggedIn("log in first")
    if caller.by_proxy:
        raise NotAllowed("the proxy names nobody, and there are no users who could log in")
    if web.proxy_addresses:
        raise NotAllowed("come through the proxy; there are no users who could log in here")
    raise NotAllowed(
        "without users, the web interface answers this machine alone, by an address of its own "
        "and not through a proxy; triage user add makes a user"
    )


Whoever = Annotated[Person, Depends(person)]


async def watcher(request: Request, site: Here, caller: From) -> None:
    """Admit who may know how the daemon is: this machine, `web.monitors`, and who is let in at all."""
    address = address_of(caller.address)
    is_named = address is not None and any(
        address in network for network in site.settings.web.watchers
    )
    # In the event loop, and without the database: it is asked for when that hangs, too.
    if not caller.is_here and not is_named:
        await run_in_threadpool(person, request, site, caller)


Watcher = Depends(watcher)


def cookie_of(caller: Caller) -> str:
    """Return the session cookie's name; a browser lets no neighbour write a `__Host-` one."""
    return "__Host-triage" if caller.secure else "triage"


def session_of(request: Request, caller: Caller) -> str | None:
    """Return the digest of the session that the browser says it has."""
    token = request.cookies.get(cookie_of(caller))
    return digest_of(token) if token else None


def digest_of(token: str) -> str:
    """Return what is stored of what the browser holds; that is random, and needs no salt."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


async def while_admitted(site: Site, who: Person, stream: AsyncIterator[T]) -> AsyncGenerator[T]:
    """Pass on what comes, until the listener's session has ended."""
    begun = looked = time.monotonic()
    by_proxy = who.session is None and who.name != LOCAL
    coming = asyncio.ensure_future(anext(stream))
    try:
        while True:
            await asyncio.wait({coming}, timeout=LOOK_AGAIN)
            if time.monotonic() - looked >= LOOK_AGAIN:
                looked = time.monotonic()
                if by_proxy and looked - begun >= ASK_PROXY:
                    return
                if not await asyncio.to_thread(_is_still_here, site, who):
                    return
            if coming.done():
                try:
                    yield coming.result()
                except StopAsyncIteration:
                    return
                coming = asyncio.ensure_future(anext(stream))
    finally:
        coming.cancel()
        await asyncio.wait({coming})  # else the stream would still run, and could not be closed
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def _is_still_here(site: Site, who: Person) -> bool:
    if who.session is None:
        return True
    try:
        return users.user_of(site.database, who.session, datetime.now(UTC)) is not None
    except DatabaseUnavailable:  # nothing comes either, and nobody is sent away for it
        return True


def _named_by_proxy(request: Request, web: WebSettings) -> Person | None:
    """Return whom the proxy names; None where it names nobody. Raises NotAllowed."""
    named = request.headers.getlist(web.proxy_header) if web.proxy_header else []
    if not any(named):
        return None
    if len(named) > 1:
        raise NotAllowed(
            f"{web.proxy_header} stands there twice: the proxy must take away the other"
        )
    try:
        # Headers come as Latin-1, and proxies write UTF-8.
        name = user_name(named[0].encode("latin-1").decode("utf-8"))
    except ValueError as error:
        raise NotAllowed(f"{web.proxy_header}: {error}") from error
    is_administrator = name in web.proxy_administrators
    return Person(name=name, role=Role.ADMINISTRATOR if is_administrator else Role.READER)
