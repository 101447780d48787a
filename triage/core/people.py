"""The people who work with the web interface: their names, and what they may."""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from triage.core.audit import OURSELVES
from triage.core.printable import printable

LOCAL = "local"  # whoever asks on this machine without a name
LONGEST_NAME = 64  # characters
RESERVED = (OURSELVES, LOCAL)  # they mean somebody else in history and audit trail


class Role(StrEnum):
    """What a person may do; an administrator may all that a reader may."""

    READER = "reader"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may log in."""

    name: str
    role: Role


def user_name(written: str) -> str:
    """Return a name as it is stored and compared: however it is typed, it is the same person.

    Raises ValueError saying what is wrong with it.
    """
    name = unicodedata.normalize("NFC", unicodedata.normalize("NFC", written).casefold()).strip()
    if not name or len(name) > LONGEST_NAME:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} characters")
    if printable(name) != name or not name.isprintable():
        raise ValueError("a name has no control characters")
    if name in RESERVED:
        raise ValueError(f"{name!r} means somebody else in the audit trail; take another name")
    return name
