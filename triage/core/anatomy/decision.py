"""Which part of the body, decided from everything that the header says."""

from collections.abc import Sequence
from dataclasses import dataclass

from triage.core.anatomy.codes import meaning_of
from triage.core.anatomy.records import Evidence, Part, Place, Region
from triage.core.anatomy.table import GLUED_SIDES, LANGUAGES, Mention, PartTable
from triage.core.anatomy.text import Words, read_words
from triage.core.studytype import StudyType

# These hold the name of a part and nothing else, so that a term which is in no
# table still names one.
NAMING = frozenset({"BodyPartExamined", "AnatomicRegionSequence"})
_QUOTED = 64  # characters of a value in `decided_by`
_BESIDE = frozenset({*GLUED_SIDES, "both", "bilateral", "bilat", "unilateral", "b", "lr", "u"})


@dataclass(frozen=True)
class _Reading:
    """What one attribute says."""

    mentions: tuple[Mention, ...]  # in its order
    said_by: str
    unrecognised: bool = False  # it names something, and no table knows it

    @property
    def outside(self) -> bool:
        return any(mention.place is Region.OUTSIDE for mention in self.mentions)

    @property
    def weak(self) -> bool:
        """Say whether every word for a study type in it has another meaning, too."""
        return all(mention.weak for mention in self.mentions if _is_type(mention))

    @property
    def study_types(self) -> tuple[StudyType, ...]:
        """The study types named, each once; a finger of the hand is a finger, one of the foot a toe."""
        if self.outside and self.weak:
            return ()
        places = dict.fromkeys(mention.place for mention in self.mentions)
        types = [place for place in places if isinstance(place, StudyType)]
        if StudyType.FINGER in types and StudyType.HAND in types:
            types.remove(StudyType.HAND)
        return tuple(types)

    def confirms(self, weak: "_Reading") -> bool:
        """Say whether this reading shows that the weak word of another was meant as it was read.

        It does in a word of the same language, and where it names the hand,
        which finger and carpus are parts of. An English wrist says nothing for
        a French hand: MAIN was English, then.
        """
        if StudyType.HAND in self.study_types:
            return True
        return not _languages(self).isdisjoint(_languages(weak))


def _is_type(mention: Mention) -> bool:
    return isinstance(mention.place, StudyType)


def _languages(reading: _Reading) -> frozenset[str]:
    return frozenset().union(*(m.languages for m in reading.mentions if _is_type(m)))


def find_part(evidence: Sequence[Evidence], table: PartTable) -> Part:
    """Find the part of the body; *evidence* stands nearest to the image first.

    The first attribute that names one place alone decides. A word that has
    another meaning, too (`words.WEAK`), waits for what the later attributes
    say: it decides unless one of them names a part outside the seven. Where
    nothing decides, a part outside that was named anywhere keeps the image from
    being scored; else the first of two study types named together is taken,
    since both can be scored. A coded anatomic region outside the seven goes
    before Body Part Examined, which devices often preset.
    """
    for item in evidence:
        if item.attribute == "AnatomicRegionSequence" and item.codes:
            region = _read(item, table)
            if region.outside and not region.study_types:
                return _without_type(Region.OUTSIDE, region)
    readings = []
    waiting: _Reading | None = None
    for item in evidence:
        reading = _read(item, table)
        readings.append(reading)
        types = reading.study_types
        if reading.outside and not types:
            return _without_type(Region.OUTSIDE, reading)
        if len(types) == 1 and not reading.outside:
            if not reading.weak:
                return _of_type(waiting if waiting and reading.confirms(waiting) else reading)
            waiting = waiting or reading
    return _left_over(readings, waiting)


def _left_over(readings: Sequence[_Reading], waiting: _Reading | None) -> Part:
    """Decide where no attribute did by itself."""
    if outside := next((reading for reading in readings if reading.outside), None):
        return _without_type(Region.OUTSIDE, outside)
    if named := waiting or next((reading for reading in readings if reading.study_types), None):
        return _of_type(named)
    if other := next((reading for reading in readings if reading.unrecognised), None):
        return _without_type(Region.UNRECOGNISED, other)
    return Part(region=Region.UNKNOWN, study_type=None, decided_by="")


def _of_type(reading: _Reading) -> Part:
    first, *others = reading.study_types
    decided_by = f"{reading.said_by}, {first} named first" if others else reading.said_by
    return Part(region=Region.UPPER_EXTREMITY, study_type=first, decided_by=decided_by)


def _without_type(region: Region, reading: _Reading) -> Part:
    return Part(region=region, study_type=None, decided_by=reading.said_by)


def _read(item: Evidence, table: PartTable) -> _Reading:
    if item.codes:
        return _read_codes(item, table)
    words = read_words(item.text)
    said_by = f"{item.attribute} {item.text[:_QUOTED]!r}"
    if item.attribute == "BodyPartExamined":
        words = _without_sides(words)
        place, _ = table.term(words)
        if place is not None:
            return _Reading((_known(place),), said_by)
    mentions = tuple(table.mentions(words))
    unrecognised = item.attribute in NAMING and bool(words.words) and not mentions
    return _Reading(mentions, said_by, unrecognised)


def _read_codes(item: Evidence, table: PartTable) -> _Reading:
    """Read the codes of a sequence; a code that a table knows says more than its meaning."""
    mentions: list[Mention] = []
    speaking = []
    for coded in item.codes:
        known = table.code(coded)
        named = table.mentions(read_words(meaning_of(coded))) if known is None else [_known(known)]
        if item.attribute == "ViewCodeSequence":  # "caudo-cranial" says how the ray goes
            named = [m for m in named if not (m.by_stem and m.place is Region.OUTSIDE)]
        if named:
            speaking.append(str(coded))
            mentions += named
    said_by = "; ".join(speaking or [str(item.codes[0])])
    return _Reading(
        tuple(mentions),
        f"{item.attribute} {said_by[: 2 * _QUOTED]}",
        unrecognised=item.attribute in NAMING and not mentions,
    )


def _known(place: Place) -> Mention:
    """A term or a code: it stands for one place in every language."""
    return Mention(place, 0, 0, LANGUAGES)


def _without_sides(words: Words) -> Words:
    return Words(tuple(word for word in words.words if word not in _BESIDE))
