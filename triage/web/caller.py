"""Where a request comes from, as far as that can be believed. Pure: headers in, answer out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

from triage.core.addresses import Address, address_of, is_loopback
from triage.settings import WebSettings

# RFC 3986 3.2.2 and 3.2.3, without the user that nobody sends.
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/?#\s]+)(:[0-9]{1,5})?", re.IGNORECASE)
_SAFE = ("GET", "HEAD", "OPTIONS")  # RFC 9110 9.2.1
# What a proxy adds, and a browser never: the peer is then not who asks (RFC 7239 and its forerunners).
_FORWARDED = ("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who is at the other end of a request."""

    address: str  # the browser's, or the nearest to it that somebody trustworthy names
    host: str  # HOST or HOST:PORT that the browser asked for; empty where it is none
    secure: bool  # whether the browser speaks TLS
    by_proxy: bool  # whether one of `web.proxy_addresses` passed it on
    is_here: bool  # whether it is this machine, beyond doubt


def caller_of(
    peer: str, http_version: str, scheme: str, headers: Headers, settings: WebSettings
) -> Caller:
    """Read it from what the socket and the headers say."""
    address = address_of(peer)
    by_proxy = _is_in(address, settings)
    host, secure = _one(headers.getlist("host")), scheme == "https"
    if by_proxy:
        return Caller(
            address=str(_before_proxies(headers, settings) or address),
            host=_host(_last(headers.getlist("x-forwarded-host")) or host),
            secure=secure or _last(headers.getlist("x-forwarded-proto")).lower() == "https",
            by_proxy=True,
            is_here=False,
        )
    is_here = (
        not settings.proxy_addresses
        and address is not None
        and address.is_loopback
        and _is_own_name(host)
        # A proxy that says nothing of itself often speaks HTTP/1.0, and no browser does.
        and http_version != "1.0"
        and not any(name in _FORWARDED or name.startswith("x-forwarded") for name in headers)
        and all(_is_own_name(_host_in(origin)) for origin in headers.getlist("origin"))
    )
    return Caller(
        address=str(address or ""), host=_host(host), secure=secure, by_proxy=False, is_here=is_here
    )


def is_foreign(method: str, path: str, headers: Headers, host: str) -> bool:
    """Say whether a page of somebody else's had the browser send it.

    By Fetch Metadata, and for browsers that do not send that, or not over plain HTTP, by the
    Origin of what changes something. Who sends neither is no browser. A link to a page of ours
    may stand anywhere.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        opened = (
            method in _SAFE
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
            and not path.startswith("/api/")
        )
        return site not in ("same-origin", "none") and not opened
    if method in _SAFE:
        return False
    return any(_host_in(origin) != host for origin in headers.getlist("origin"))


def _host_in(origin: str) -> str:
    return origin.partition("://")[2].lower()


def _is_own_name(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback(found[1])


def _host(written: str) -> str:
    return written.lower() if _HOST.fullmatch(written) else ""


def _before_proxies(headers: Headers, settings: WebSettings) -> Address | None:
    """Return the last address of X-Forwarded-For that is no proxy's: what is before it may be made up."""
    named = ",".join(headers.getlist("x-forwarded-for")).split(",")
    found = None
    for each in reversed(named):
        found = address_of(each.strip())
        if found is None or not _is_in(found, settings):
            return found
    return found


def _is_in(address: Address | None, settings: WebSettings) -> bool:
    return address is not None and any(address in network for network in settings.proxies)


def _one(values: Sequence[str]) -> str:
    """Return the value of a header that may stand there once."""
    return values[0] if len(values) == 1 else ""


def _last(values: Sequence[str]) -> str:
    """Return what the last proxy wrote of those that a header has passed."""
    return values[-1].rpartition(",")[2].strip() if values else ""
