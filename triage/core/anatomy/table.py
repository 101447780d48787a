"""What the words, terms and codes stand for: ours, and before them the site's own."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from triage.core.anatomy import codes, elsewhere, words
from triage.core.anatomy.records import Coded, Place, Region
from triage.core.anatomy.site import keys_of, place_of
from triage.core.anatomy.terms import TERMS
from triage.core.anatomy.text import Words, spellings

LANGUAGES = frozenset({"en", "de", "fr", "es", "it", "pt"})
# A side written onto the term: LHAND, HANDLT. Longest first.
GLUED_SIDES = {"left": "L", "right": "R", "lt": "L", "rt": "R", "l": "L", "r": "R"}


@dataclass(frozen=True)
class Mention:
    """A place named in a text."""

    place: Place
    start: int  # its first word
    end: int  # behind its last
    languages: frozenset[str]  # whose word it is
    weak: bool = False  # the word has another meaning, too
    by_stem: bool = False  # the word begins or ends as a word of the table does


@dataclass(frozen=True)
class _Entry:
    phrase: tuple[str, ...]
    place: Place | None  # None: a phrase that means no part of the body
    languages: frozenset[str] = LANGUAGES
    ambiguous: bool = False  # counts in a French text alone
    weak: bool = False
    is_stem: bool = False


@dataclass(frozen=True)
class _Lexicon:
    """One table: phrases by their first word, the longest first, and stems."""

    phrases: Mapping[str, tuple[_Entry, ...]]
    beginnings: Mapping[str, _Entry]
    endings: Mapping[str, _Entry]
    longest: int  # letters of the longest of these stems

    @classmethod
    def of(
        cls,
        phrases: Mapping[tuple[str, ...], _Entry],
        beginnings: Mapping[str, _Entry],
        endings: Mapping[str, _Entry],
    ) -> "_Lexicon":
        by_first: dict[str, tuple[_Entry, ...]] = {}
        for phrase in sorted(phrases, key=len, reverse=True):
            by_first[phrase[0]] = (*by_first.get(phrase[0], ()), phrases[phrase])
        longest = max(map(len, [*beginnings, *endings]), default=0)
        return cls(by_first, beginnings, endings, longest)

    def match(self, text: Words, at: int) -> _Entry | None:
        """Return the entry that stands in *text* at a word, the longest phrase first."""
        word = text.words[at]
        for entry in self.phrases.get(word, ()):
            end = at + len(entry.phrase)
            if text.words[at:end] == entry.phrase and not (entry.ambiguous and _foreign(text, at)):
                return entry
        lengths = range(min(len(word), self.longest), 0, -1)
        found = (self.beginnings.get(word[:length]) for length in lengths)
        if (stem := next(filter(None, found), None)) is not None:
            return stem
        found = (self.endings.get(word[-length:]) for length in lengths)
        return next(filter(None, found), None)


class PartTable:
    """The tables that map words, terms and codes to the part of the body.

    *site* is `study.parts`: by word, phrase, beginning of a word (``schult*``)
    or ``SCHEME:VALUE``, one of the seven study types, "outside" or "unknown".
    What it says goes before what we say. Raises ValueError for a key or value
    that cannot be meant, and for two that contradict each other.
    """

    def __init__(self, site: Mapping[str, str]) -> None:
        self._site, site_codes = _site(site)
        self._codes = {**codes.CODES, **site_codes}

    def code(self, coded: Coded) -> Place | None:
        """Return what a code stands for, None where it is in no table."""
        return self._codes.get(codes.key_of(coded.scheme, coded.value))

    def mentions(self, text: Words) -> list[Mention]:
        """Return the places that a text names, in its order; the longest phrase counts."""
        return list(self._mentions(text))

    def _mentions(self, text: Words) -> Iterator[Mention]:
        at = 0
        while at < len(text.words):
            entry = self._site.match(text, at) or _OURS.match(text, at)
            end = at + (len(entry.phrase) if entry else 1)
            if entry is not None and entry.place is not None:
                weak = entry.weak or (entry.ambiguous and not _french(text, at))
                yield Mention(entry.place, at, end, entry.languages, weak, entry.is_stem)
            at = end

    def term(self, text: Words) -> tuple[Place | None, str]:
        """Return what a term of Body Part Examined stands for, and a side glued onto it.

        The defined terms are single words, in which sites write spaces and underscores.
        """
        if (place := self._whole(text.joined)) is not None:
            return place, ""
        for affix, side in GLUED_SIDES.items():
            for rest in (text.joined.removeprefix(affix), _without_suffix(text.joined, affix)):
                if rest != text.joined and (place := self._whole(rest)) is not None:
                    return place, side
        return None, ""

    def _whole(self, word: str) -> Place | None:
        entry = self._site.match(Words((word,)), 0)
        return entry.place if entry else TERMS.get(word)


def _without_suffix(word: str, side: str) -> str:
    """Take a side off the end; a letter behind a vowel makes an adjective (ULNAR), no side."""
    rest = word.removesuffix(side)
    return word if len(side) == 1 and rest.endswith(tuple("aeiou")) else rest


def _french(text: Words, at: int) -> bool:
    """Say whether the words beside the one at *at* show the text to be French."""
    return not words.FRENCH.isdisjoint((*text.words[:at], *text.words[at + 1 :]))


def _foreign(text: Words, at: int) -> bool:
    """Say whether the word at *at*, which two languages share, is not meant as the French one."""
    if _french(text, at):
        return False
    others = (*text.words[:at], *text.words[at + 1 :])
    neutral = all(word in words.NEUTRAL or word.isdigit() for word in others)
    return not (neutral and text.words[at] == "main")


def _phrases(listed: str) -> list[str]:
    return [phrase.strip() for phrase in listed.split(",")]


def _gather(
    listed: Iterable[tuple[Place, Mapping[str, str]]],
) -> dict[tuple[str, ...], _Entry]:
    """Enter the words of all languages, each with the languages that have it."""
    entries: dict[tuple[str, ...], _Entry] = {}
    weak = set(chain.from_iterable(map(spellings, _phrases(words.WEAK))))
    for place, by_language in listed:
        for language, names in by_language.items():
            for phrase in chain.from_iterable(map(spellings, _phrases(names))):
                known = entries[phrase].languages if phrase in entries else frozenset()
                ambiguous = len(phrase) == 1 and phrase[0] in words.AMBIGUOUS
                entries[phrase] = _Entry(
                    phrase, place, known | {language}, ambiguous, phrase in weak
                )
    return entries


def _stems(listed: Iterable[tuple[Place, Mapping[str, str]]]) -> dict[str, _Entry]:
    entries = _gather(listed).items()
    return {
        phrase[0]: replace(entry, is_stem=True) for phrase, entry in entries if len(phrase) == 1
    }


def _ours() -> _Lexicon:
    phrases = _gather(
        [
            (Region.UNKNOWN, words.VAGUE),
            (Region.OUTSIDE, elsewhere.WORDS),
            *words.WORDS.items(),
        ]
    )
    for phrase in chain.from_iterable(map(spellings, _phrases(words.IGNORED))):
        phrases[phrase] = _Entry(phrase, None)
    return _Lexicon.of(
        phrases,
        _stems([(Region.OUTSIDE, elsewhere.BEGINNINGS), *words.BEGINNINGS.items()]),
        _stems([(Region.OUTSIDE, elsewhere.ENDINGS), *words.ENDINGS.items()]),
    )


def _site(parts: Mapping[str, str]) -> tuple[_Lexicon, dict[tuple[str, str], Place]]:
    """Read a site's own table."""
    phrases: dict[tuple[str, ...], _Entry] = {}
    stems: dict[str, _Entry] = {}
    by_code: dict[tuple[str, str], Place] = {}
    written: dict[tuple[str, object], str] = {}
    for key, name in parts.items():
        place = place_of(name)
        kind, names = keys_of(key)
        for spelling in names:
            former = written.setdefault((kind, spelling), key)
            if parts[former] != name:
                raise ValueError(f"{former!r} and {key!r} contradict each other")
            if kind == "code":
                by_code[spelling[0], spelling[1]] = place
            elif kind == "stem":
                stems[spelling[0]] = _Entry(spelling, place)
            phrases |= {} if kind == "code" else {spelling: _Entry(spelling, place)}
    return _Lexicon.of(phrases, stems, {}), by_code


_OURS = _ours()
BUILT_IN = PartTable({})
