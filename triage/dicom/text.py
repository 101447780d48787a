"""Attributes as clean text, whatever the peer wrote into them."""

import unicodedata

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

MAX_TEXT = 1024  # characters of a text that we keep; DICOM's own limits are shorter


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
    kept = (c for c in written if unicodedata.category(c) not in ("Cc", "Cs", "Co", "Cn"))
    return "".join(kept).strip()[:MAX_TEXT]
