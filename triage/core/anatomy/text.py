"""From the text of an attribute to the words that the tables know.

Case, accents and punctuation differ from site to site and mean nothing:
``Épaule_Dte``, ``EPAULE DTE`` and ``épaule dte`` are the same two words.
"""

import re
import unicodedata
from dataclasses import dataclass

MAX_TEXT = 1024  # characters that are read; DICOM's own limits are shorter
_LETTERS = str.maketrans({"ø": "o", "œ": "oe", "æ": "ae", "ı": "i", "ł": "l"})  # no NFKD for them
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_CAMEL = re.compile(r"(?<=[a-zß-öø-ÿ])(?=[A-Z])")  # HandAP
_ELIDED = re.compile(r"\b[dl]['’´`]")  # d'épaule, l'omero: an article, not a side
_RULE_OUT = re.compile(r"\br/o\b")  # English notes: rule out a fracture
_WORD = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True)
class Words:
    """The words of a text, letters and digits apart."""

    words: tuple[str, ...]
    glued: frozenset[int] = frozenset()  # words that touch a number: the l of L5, the d of D3

    @property
    def joined(self) -> str:
        """The words as one, as the defined terms are written."""
        return "".join(self.words)


def fold(text: str) -> str:
    """Write a text without case and accents."""
    text = text[:MAX_TEXT].casefold()
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(c for c in plain[: 2 * MAX_TEXT] if not unicodedata.combining(c))


def read_words(text: str) -> Words:
    """Split a text into folded words."""
    plain = fold(_CAMEL.sub(" ", text[:MAX_TEXT]))
    plain = _RULE_OUT.sub(" ", _ELIDED.sub(" ", plain))
    found = list(_WORD.finditer(plain))
    touching = {
        index for index in range(1, len(found)) if found[index].start() == found[index - 1].end()
    }
    return Words(
        tuple(match.group() for match in found),
        frozenset(touching | {index - 1 for index in touching}),
    )


def spellings(phrase: str) -> set[tuple[str, ...]]:
    """Return the ways in which a phrase is written: ä or ae, apart or as one word."""
    apart = {read_words(phrase).words, read_words(phrase.casefold().translate(_UMLAUTS)).words}
    return apart | {("".join(words),) for words in apart}
