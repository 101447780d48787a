"""Who asks, and what they may."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request

from triage.errors import TriageError


class Role(StrEnum):
    """What a person may do; an administrator may all that a reader may."""

    READER = "reader"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who asks, as history and audit trail name them."""

    name: str
    role: Role


class NotAllowed(TriageError):
    """The request comes from where nobody is let in without a name."""


# What a proxy adds: the peer is then not who asks (RFC 7239 and its forerunners).
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def person(request: Request) -> Person:
    """Return who asks. Raises NotAllowed."""
    peer = request.client.host if request.client else ""
    if not _is_loopback(peer) or not _is_loopback(request.url.hostname or ""):
        raise NotAllowed("without users, the web interface answers this machine alone")
    if any(name in request.headers for name in _FORWARDED):
        raise NotAllowed("the request came through a proxy, and none is configured")
    return Person(name="local", role=Role.ADMINISTRATOR)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


Whoever = Annotated[Person, Depends(person)]
