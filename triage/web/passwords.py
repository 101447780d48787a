"""Passwords: what is asked of one, and how it is kept (Argon2id, RFC 9106)."""

import unicodedata
from functools import cache
from secrets import token_urlsafe

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from triage.errors import PasswordUnusable

SHORTEST, LONGEST = 12, 256  # characters; NIST SP 800-63B 3.1.1.2 asks for no mixture of kinds

_hasher = PasswordHasher()  # RFC 9106 4, the second recommended option: 64 MiB, some 0.1 s


def require_usable(password: str, name: str) -> None:
    """Raise PasswordUnusable unless somebody with this name may take the password."""
    if not SHORTEST <= len(password) <= LONGEST or not password.isprintable():
        raise PasswordUnusable(f"a password has {SHORTEST} to {LONGEST} printable characters")
    is_name = len(name) > 2 and name in password.lower()  # of "jo" many words would be forbidden
    if len(set(password)) < 4 or is_name:
        raise PasswordUnusable("take a password that is not the name and not a letter or two")


def hashed(password: str) -> str:
    """Return what is stored of a password."""
    return _hasher.hash(_normal(password))


def is_right(password: str, stored: str | None) -> bool:
    """Say whether it is the password that was stored; None takes as long, and is never right."""
    try:
        return _hasher.verify(stored or _nobodys(), _normal(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(stored: str) -> bool:
    """Say whether today's parameters are others than those of the stored hash."""
    return _hasher.check_needs_rehash(stored)


@cache
def _nobodys() -> str:
    """Return the hash of a password that nobody has."""
    return _hasher.hash(token_urlsafe())


def _normal(password: str) -> str:
    """Return the password as every keyboard means it (RFC 8265 4.2.2)."""
    return unicodedata.normalize("NFC", password[: LONGEST + 1])
