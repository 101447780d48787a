"""Which part of the body, decided from everything that the header says."""

from collections.abc import Sequence
from dataclasses import dataclass

from triage.core.anatomy.codes import meaning_of
from triage.core.anatomy.records import Evidence, Part, Place, Region
from triage.core.anatomy.table import GLUED_SIDES, PartTable
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

    places: tuple[Place, ...]  # in its order, each once
    said_by: str
    unrecognised: bool = False  # it names something, and no table knows it

    @property
    def outside(self) -> bool:
        return Region.OUTSIDE in self.places

    @property
    def study_types(self) -> tuple[StudyType, ...]:
        """The study types named; a finger of the hand is a finger."""
        types = [place for place in self.places if isinstance(place, StudyType)]
        if StudyType.FINGER in types and StudyType.HAND in types:
            types.remove(StudyType.HAND)
        return tuple(types)


def find_part(evidence: Sequence[Evidence], table: PartTable) -> Part:
    """Find the part of the body; *evidence* stands nearest to the image first.

    The first attribute that names one place alone decides. Where none does, a
    part outside the seven that was named anywhere keeps the image from being
    scored; else the first of two study types named together is taken, since
    both can be scored.
    """
    readings = []
    for item in evidence:
        reading = _read(item, table)
        readings.append(reading)
        types = reading.study_types
        if len(types) == 1 and not reading.outside:
            return Part(
                region=Region.UPPER_EXTREMITY, study_type=types[0], decided_by=reading.said_by
            )
        if reading.outside and not types:
            return _without_type(Region.OUTSIDE, reading)
    for reading in readings:
        if reading.outside:
            return _without_type(Region.OUTSIDE, reading)
    for reading in readings:
        if types := reading.study_types:
            return Part(
                region=Region.UPPER_EXTREMITY,
                study_type=types[0],
                decided_by=f"{reading.said_by}, {types[0]} named first",
            )
    for reading in readings:
        if reading.unrecognised:
            return _without_type(Region.UNRECOGNISED, reading)
    return Part(region=Region.UNKNOWN, study_type=None, decided_by="")


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
            return _Reading((place,), said_by)
    places = _named(words, table)
    unrecognised = item.attribute in NAMING and bool(words.words) and not places
    return _Reading(places, said_by, unrecognised)


def _read_codes(item: Evidence, table: PartTable) -> _Reading:
    """Read the codes of a sequence; a code that a table knows says more than its meaning."""
    places: list[Place] = []
    speaking = []
    for coded in item.codes:
        known = table.code(coded)
        named = _named(read_words(meaning_of(coded)), table) if known is None else (known,)
        if named:
            speaking.append(str(coded))
            places += named
    said_by = "; ".join(speaking or [str(item.codes[0])])
    return _Reading(
        tuple(dict.fromkeys(places)),
        f"{item.attribute} {said_by[: 2 * _QUOTED]}",
        unrecognised=item.attribute in NAMING and not places,
    )


def _named(words: Words, table: PartTable) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(mention.place for mention in table.mentions(words)))


def _without_sides(words: Words) -> Words:
    return Words(tuple(word for word in words.words if word not in _BESIDE))
