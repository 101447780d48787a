"""How an identifier stands in an address of ours.

What peers send as a UID is not always one: it may hold a slash, or be "..", and then a browser or
a server would make another path of it, escaped or not (RFC 3986 5.2.4, 6.2.2). Such a one stands
there as a tilde and the hexadecimal digits of its UTF-8; `static/address.js` does the same.
"""

import re

_PLAIN = re.compile(r"(?!\.+$)[0-9A-Za-z._-]+")
NAMED = r"^([^~\x00/][^\x00/]*|~([0-9a-f]{2})+)$"  # what a part of an address may be
LONGEST = 1 + 2 * 4 * 64  # characters: of 64 that take four bytes each


def written(identifier: str) -> str:
    """Return what stands in the address for *identifier*."""
    if _PLAIN.fullmatch(identifier):
        return identifier
    return "~" + identifier.encode("utf-8", "replace").hex()


def meant(part: str) -> str:
    """Return the identifier that a part of an address stands for.

    Raises ValueError where a tilde begins what is not written so.
    """
    if not part.startswith("~"):
        return part
    try:
        identifier = bytes.fromhex(part[1:]).decode()
    except ValueError as error:
        raise ValueError("after a tilde stand the hexadecimal digits of UTF-8") from error
    if not identifier or "\0" in identifier:
        raise ValueError("nothing is named so")
    return identifier
