"""How a site writes its own words and codes for parts of the body (`study.parts`)."""

from typing import Literal

from triage.core.anatomy.codes import key_of
from triage.core.anatomy.records import Place, Region
from triage.core.anatomy.text import read_words, spellings
from triage.core.studytype import StudyType

PLACES: dict[str, Place] = {
    **{study_type.value: study_type for study_type in StudyType},
    Region.OUTSIDE.value: Region.OUTSIDE,
    Region.UNKNOWN.value: Region.UNKNOWN,
}


def place_of(name: str) -> Place:
    """Return the place that a site's table names; ValueError says what is allowed."""
    try:
        return PLACES[name]
    except KeyError:
        raise ValueError(f"a part is one of {', '.join(PLACES)}") from None


SHORTEST_STEM = 3  # letters; fewer would catch half of a language


def check_key(key: str) -> str:
    """Return the key of a site's table as it is; ValueError says how one is written."""
    scheme, colon, value = key.partition(":")
    words = read_words(key).words
    if colon:
        if not (scheme.strip() and value.strip()):
            raise ValueError("a code is written SCHEME:VALUE")
    elif not words:
        raise ValueError("a term has a letter or a digit in it")
    elif "*" in key and (not key.endswith("*") or key.count("*") > 1 or len(words) > 1):
        raise ValueError("a * stands at the end of a single word")
    elif "*" in key and len(words[0]) < SHORTEST_STEM:
        raise ValueError(f"before a * stand at least {SHORTEST_STEM} letters")
    return key


def keys_of(key: str) -> tuple[Literal["code", "stem", "phrase"], set[tuple[str, ...]]]:
    """Return what kind of key it is, and how what it stands for is looked up."""
    scheme, colon, value = check_key(key).partition(":")
    if colon:
        return "code", {key_of(scheme, value)}
    if key.endswith("*"):
        return "stem", {phrase for phrase in spellings(key) if len(phrase) == 1}
    return "phrase", spellings(key)
