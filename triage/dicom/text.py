"""Attributes as clean text, and the items of sequences, whatever the peer wrote into them."""

import unicodedata

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

MAX_TEXT = 1024  # characters of a text that we keep; DICOM's own limits are shorter
MAX_ITEMS = 32  # of a sequence that are read
_BREAKING = ("Cc", "Cs", "Co", "Cn")  # categories of Unicode


def text(dataset: Dataset, keyword: str) -> str:
    """Return an attribute as clean text, "" where it is missing or unreadable.

    A damaged text of no importance to the order must not lose us the image.
    """
    try:
        value = dataset.get(keyword)
        if isinstance(value, MultiValue):
            value = "\\".join(str(part) for part in value)
        return clean("" if value is None else str(value))
    except Exception:  # whatever pydicom makes of the bytes
        return ""


def clean(written: str) -> str:
    """Leave out what breaks logs (control characters) and the database (NUL, lone surrogates)."""
    # Cut first, since looking at each of millions of characters takes seconds.
    start = written.lstrip()[: 2 * MAX_TEXT]
    if start.isascii() and start.isprintable():  # as nearly all are
        return start.strip()[:MAX_TEXT]
    kept = (c for c in start if unicodedata.category(c) not in _BREAKING)
    return "".join(kept).strip()[:MAX_TEXT]


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the first items of a sequence, none where it is damaged."""
    try:
        value = dataset.get(keyword)
        return list(value[:MAX_ITEMS]) if isinstance(value, Sequence) else []
    except Exception:  # whatever pydicom makes of the bytes
        return []
