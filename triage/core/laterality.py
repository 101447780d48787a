"""Which side of the body an image shows.

Image Laterality (0020,0062) and Laterality (0020,0060) hold it (PS3.3 C.8.11.2,
C.7.3.1); where they are missing, the codes of the anatomic region and the words
of the descriptions often do.
"""

from collections.abc import Sequence

from triage.core.anatomy import BUILT_IN, Coded, Evidence, PartTable
from triage.core.anatomy.codes import key_of, meaning_of
from triage.core.anatomy.records import Region
from triage.core.anatomy.table import LANGUAGES, Mention
from triage.core.anatomy.text import Words, read_words
from triage.core.study import Side
from triage.core.studytype import StudyType

_BOTH = frozenset({Side.LEFT, Side.RIGHT})
_LEFT = frozenset({Side.LEFT})
_RIGHT = frozenset({Side.RIGHT})

# In this order, and the descriptions after them as they come. Frame Laterality
# (0020,9072) and Image Laterality speak of this very image, so both sides in
# them end the search.
OF_THE_IMAGE = ("ImageLaterality", "FrameLaterality")
ORDER = (
    *OF_THE_IMAGE,
    "Laterality",
    "AnatomicRegionSequence",
    "PrimaryAnatomicStructureSequence",
    "ViewCodeSequence",
)
# PS3.16 CID 244, in SNOMED CT and SNOMED RT.
CODES = {
    ("SCT", "24028007"): _RIGHT,
    ("SCT", "7771000"): _LEFT,
    ("SCT", "51440002"): _BOTH,
    ("SRT", "G-A100"): _RIGHT,
    ("SRT", "G-A101"): _LEFT,
    ("SRT", "G-A102"): _BOTH,
}

# Words that say it wherever they stand.
_LEFT_WORDS = """left lt links linke linken linker linkes linksseitig lks gauche gauches gche
    izquierda izquierdo izquierdas izquierdos izq izqda izqdo izda izdo sinistra sinistro sinistre
    sinistri sinister esquerda esquerdo esquerdas esquerdos esq esqda esqdo"""
_RIGHT_WORDS = """right rt rechts rechte rechten rechter rechtes rechtsseitig rts droite droit
    droites droits dte drte derecha derecho derechas derechos dcha dcho drcha drcho destra destro
    destre destri dexter dextra direita direito direitas direitos"""
_BOTH_WORDS = """both bilateral bilat bilaterally bilaterale bilaterales bilaterali bilateraux
    bilaterais beidseits beidseitig beids bds bd beide beiden beider ambas ambos entrambe entrambi
    ambedue"""
WORDS = {
    **dict.fromkeys(_LEFT_WORDS.split(), _LEFT),
    **dict.fromkeys(_RIGHT_WORDS.split(), _RIGHT),
    **dict.fromkeys(_BOTH_WORDS.split(), _BOTH),
}
# Abbreviations that mean something else elsewhere (DX is a modality, *e* means
# "and"). They count beside the word for a part of the body in their language.
ABBREVIATIONS = {
    "l": (_LEFT, frozenset({"en", "de", "es", "pt"})),  # in French and Italian an article
    "r": (_RIGHT, LANGUAGES),
    "li": (_LEFT, frozenset({"de"})),
    "re": (_RIGHT, frozenset({"de"})),
    "g": (_LEFT, frozenset({"fr"})),
    "d": (_RIGHT, frozenset({"fr", "es", "it", "pt"})),
    "i": (_LEFT, frozenset({"es"})),
    "iz": (_LEFT, frozenset({"es"})),
    "der": (_RIGHT, frozenset({"es"})),
    "dch": (_RIGHT, frozenset({"es"})),
    "sx": (_LEFT, frozenset({"it"})),
    "sn": (_LEFT, frozenset({"it"})),
    "sin": (_LEFT, frozenset({"it"})),
    "dx": (_RIGHT, frozenset({"it"})),
    "e": (_LEFT, frozenset({"pt"})),
    "dir": (_RIGHT, frozenset({"pt"})),
}
# These are words of another of the six languages, too: *mano sin contraste*.
_NOT_IN = {"sin": "es", "der": "de"}
# And these mean something else to an English or Spanish writer (RE-CHECK, and DX for
# the modality or a diagnosis). Where the part may be in those languages, they count
# close behind it alone, with nothing behind them that speaks on.
_DOUBTFUL = frozenset({"re", "li", "dx", "sx"})
_DOUBTING = frozenset({"en", "es"})
# What may follow a single letter that is else a conjunction or a number.
_PROJECTIONS = frozenset({"ap", "pa", "dp", "dv", "lat", "lateral", "perfil", "frente", "f", "p"})
# What may follow a doubtful one: *Hand re in 2 Ebenen*, *Hand re + li*.
_BEHIND = frozenset({"", "in", "und", "u", "mit", "im", "seitlich", "schraeg", "schrag", "dig"})
_BOTH_PHRASES = frozenset({("2", "cotes"), ("deux", "cotes")})  # French, both sides


def find_side(evidence: Sequence[Evidence], table: PartTable = BUILT_IN) -> tuple[Side, str]:
    """Return the side and which attribute decided, ``(Side.UNKNOWN, "")`` where none did.

    An attribute that names both sides leaves the decision to the next one.
    """
    for item in sorted(evidence, key=_rank):
        sides = _sides(item, table)
        said_by = f"{item.attribute} {_quote(item)}"
        if len(sides) == 1:
            return next(iter(sides)), said_by
        if sides and item.attribute in OF_THE_IMAGE:
            return Side.UNKNOWN, said_by
    return Side.UNKNOWN, ""


def _rank(item: Evidence) -> int:
    return ORDER.index(item.attribute) if item.attribute in ORDER else len(ORDER)


def _quote(item: Evidence) -> str:
    return "; ".join(map(str, item.codes))[:128] if item.codes else repr(item.text[:64])


def _sides(item: Evidence, table: PartTable) -> frozenset[Side]:
    if item.codes:
        return frozenset().union(*(_of_code(code, item.attribute, table) for code in item.codes))
    if item.attribute in ORDER:
        return _of_value(item.text)
    words = read_words(item.text)
    sides = sides_named(words, table)
    if not sides and item.attribute == "BodyPartExamined":
        _, glued = table.term(words)
        sides = _of_value(glued)
    return sides


def _of_value(value: str) -> frozenset[Side]:
    """Read the enumerated values of the laterality attributes, and the words that stand for them."""
    word = "".join(read_words(value).words)
    return {"l": _LEFT, "r": _RIGHT, "b": _BOTH}.get(word) or WORDS.get(word, frozenset())


def _of_code(coded: Coded, attribute: str, table: PartTable) -> frozenset[Side]:
    known = CODES.get(key_of(coded.scheme, coded.value))
    if known is not None:
        return known
    if attribute == "ViewCodeSequence":
        return frozenset()  # "left lateral" says how the ray goes
    if meaning := meaning_of(coded):
        return sides_named(read_words(meaning), table)
    return _of_value(coded.value) if coded.value.upper() in ("L", "R") else frozenset()


def sides_named(text: Words, table: PartTable = BUILT_IN) -> frozenset[Side]:
    """Return the sides that a text names."""
    mentions = [mention for mention in table.mentions(text) if mention.place is not Region.OUTSIDE]
    languages = frozenset().union(*(mention.languages for mention in mentions))
    sides: frozenset[Side] = frozenset()
    doubtful: frozenset[Side] = frozenset()
    safe = languages.isdisjoint(_DOUBTING)
    for at, word in enumerate(text.words):
        if at in text.glued and len(word) == 1:
            continue  # L5, D3
        sides |= WORDS.get(word, frozenset())
        if text.words[at : at + 2] in _BOTH_PHRASES:
            sides |= _BOTH
        if word not in ABBREVIATIONS or not _is_meant(text, at, mentions, languages):
            continue
        if word in _DOUBTFUL:
            doubtful |= ABBREVIATIONS[word][0]
            safe = safe or _is_behind(text, at, mentions)
        else:
            sides |= ABBREVIATIONS[word][0]
    # One that is meant shows that the others are: *Hand re Fraktur, Hand li*.
    return sides | doubtful if safe else sides


def _is_behind(text: Words, at: int, mentions: Sequence[Mention]) -> bool:
    """Say whether a doubtful abbreviation stands so that it can only be a side."""
    following = text.words[at + 1] if at + 1 < len(text.words) else ""
    listed = any(mention.start == at + 1 for mention in mentions)  # Hand re, Hand links
    known = following in _BEHIND | _PROJECTIONS or following.isdigit() or _names_side(following)
    if not (known or listed):
        return False
    ends = [mention.end for mention in mentions if mention.end <= at]
    between = text.words[max(ends) : at] if ends else ("",)
    return all(
        _names_side(word) or (word in _PROJECTIONS and text.words[at] != "dx") for word in between
    )


def _names_side(word: str) -> bool:
    return word in WORDS or word in ABBREVIATIONS


def _is_meant(text: Words, at: int, mentions: Sequence[Mention], languages: frozenset[str]) -> bool:
    word = text.words[at]
    if languages.isdisjoint(ABBREVIATIONS[word][1]) or _NOT_IN.get(word) in languages:
        return False
    if any(mention.start <= at < mention.end for mention in mentions):
        return False
    following = text.words[at + 1] if at + 1 < len(text.words) else ""
    if word in ("e", "i"):
        counted = any(mention.place is StudyType.FINGER for mention in mentions)
        between = at > 0 and text.words[at - 1] in _PROJECTIONS  # AP e perfil
        spoken = following == "" or (following in _PROJECTIONS and not between)
        return spoken and not (word == "i" and counted)
    # "radio d epaule": the article whose apostrophe was lost.
    return word != "d" or all(mention.start != at + 1 for mention in mentions)
