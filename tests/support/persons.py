"""The persons whose images the tests send, and the look for them in what a daemon logs."""

import json
import re
from collections.abc import Iterator
from typing import Any
from zlib import crc32

# Family names that occur nowhere else, in letters that every layer between may mangle.
FAMILIES = ("TEST", "Prüfling-Müßig", "O'Testerlé", "Проверочный", "検査")
BIRTH_DATE = "18870214"
# A DICOM name with its parts; nothing else that is logged has a caret between letters.
_ANY_NAME = re.compile(r"\w\^\w")
_DATES = re.compile(r"(?<!\d)(1887([-./]?)02\2?14|14\.0?2\.1887|0?2/14/1887|1887, 0?2, 14)(?!\d)")


def name_of(study: str) -> str:
    """Return the patient's name of a study, as DICOM writes it; always the same one."""
    return f"{FAMILIES[crc32(study.encode()) % len(FAMILIES)]}^{study}"[:64]


def found_in(log: bytes) -> list[str]:
    """Return the lines of a log that hold a person's name or birth date, however it is spelt."""
    needles = [spelling.casefold() for name in FAMILIES[1:] for spelling in _spellings(name)]
    lines = log.decode("utf-8", "backslashreplace").splitlines()
    return [
        line
        for line in lines
        if any(
            _ANY_NAME.search(text)
            or _DATES.search(text)
            or any(needle in text.casefold() for needle in needles)
            for text in (line, *_texts(line))
        )
    ]


def _spellings(name: str) -> set[str]:
    """Return a name as it is, and as encodings and Python's own notations make it."""
    utf8 = name.encode()
    return {
        name,
        name.encode("unicode_escape").decode(),
        utf8.decode("latin-1"),
        repr(utf8)[2:-1],
        repr(name.encode("utf-16-le"))[2:-1],
    }


def _texts(line: str) -> Iterator[str]:
    """Give the strings of a line's JSON document, where it is one."""
    try:
        yield from _strings(json.loads(line))
    except ValueError:
        return


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.items() if isinstance(value, dict) else value:
            yield from _strings(list(each) if isinstance(each, tuple) else each)
