"""One exposure may reach us as several images; which of them speaks for it.

A detector writes the raw image ('for processing') and what a person is to see
('for presentation', PS3.3 C.8.11.1); a workstation adds copies and other
renderings under new UIDs. The raw image is left out when its presentation twin
is there, because the network has learnt from presentations; the rest count once
for each exposure in the study's mean, so that copies outvote nobody.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from triage.core.reasons import Code, reason
from triage.core.study import Exposure, Intent, Side
from triage.core.studytype import StudyType


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One radiograph of a study that could be scored."""

    key: int
    sop_instance_uid: str
    pixel_digest: str  # of the encoded pixels; "" where it is not known
    study_type: StudyType | None
    side: Side
    exposure: Exposure
    readable: bool = True  # False: all its views were tried, and none could be scored


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What becomes of a candidate beside the others of its study."""

    exposure: int | None = None  # key of the one that the exposure is named by; None: it is alone
    twin: str = ""  # SOP Instance UID of its presentation twin, for which it is left out


LOW_TRUST = reason(Code.LOW_TRUST, "a raw image ('for processing') without its presentation")


def left_out(twin: str) -> str:
    """Say why a raw image is not scored."""
    sentence = f"a raw image ('for processing'); its presentation {twin} takes its place"
    return reason(Code.PRESENTATION_TWIN, sentence)


def counts_with(other: str) -> str:
    """Say how a view counts that shows the exposure of another one."""
    sentence = f"it shows the exposure of {other}, and they count once"
    return reason(Code.DUPLICATE_EXPOSURE, sentence)


def stand(candidates: Iterable[Candidate]) -> dict[int, Standing]:
    """Say of each candidate, by key, how it stands among *candidates*, all of one study.

    The order in which they came changes nothing.
    """
    ordered = sorted(candidates, key=lambda each: each.sop_instance_uid)
    twins = _twins(ordered)
    standings: dict[int, Standing] = {}
    for same in _exposures([each for each in ordered if each.key not in twins]):
        first = min(same, key=lambda each: _precedence(each, same))
        raws = [key for key, twin in twins.items() if twin in same]
        named = first.key if len(same) > 1 or raws else None
        standings |= {each.key: Standing(exposure=named) for each in same}
        standings |= {
            key: Standing(exposure=named, twin=twins[key].sop_instance_uid) for key in raws
        }
    return standings


def _precedence(candidate: Candidate, same: Sequence[Candidate]) -> tuple[bool, bool, str]:
    """Order the images of one exposure: presentations first, and what was made of another last."""
    derived = candidate.exposure.source in {each.sop_instance_uid for each in same}
    raw = candidate.exposure.intent is Intent.PROCESSING
    return raw, derived, candidate.sop_instance_uid


def _exposures(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Part the candidates into those of one exposure each."""
    leader = {each.key: each.key for each in candidates}
    known: dict[tuple[object, ...], int] = {}

    def lead(key: int) -> int:
        while leader[key] != key:
            key = leader[key] = leader[leader[key]]
        return key

    for each in candidates:
        for mark in _marks(each):
            leader[lead(each.key)] = lead(known.setdefault(mark, each.key))
    found: dict[int, list[Candidate]] = {}
    for each in candidates:
        found.setdefault(lead(each.key), []).append(each)
    return list(found.values())


def _marks(candidate: Candidate) -> list[tuple[object, ...]]:
    """Return what two images of one exposure share.

    An event's moment and projection belong to it, because some devices repeat
    an irradiation event over a whole study; and so do part and side, because
    both hands may be exposed at once and cut apart.
    """
    exposure, group = candidate.exposure, _group(candidate)
    marks: list[tuple[object, ...]] = [("image", candidate.sop_instance_uid, *group)]
    if exposure.source:
        marks.append(("image", exposure.source, *group))
    if candidate.pixel_digest:
        marks.append(("pixels", candidate.pixel_digest))
    if exposure.event:
        marks.append(("event", exposure.event, exposure.acquired, exposure.view_position, *group))
    return marks


def _twins(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """Pair raw images, by key, with their presentations, one to one.

    First what the headers say for certain, then what agrees, then what only
    looks alike; nothing is paired that contradicts itself.
    """
    raw = [each for each in candidates if each.exposure.intent is Intent.PROCESSING]
    if not raw:
        return {}
    free = {
        each.key: each
        for each in candidates
        if each.exposure.intent is not Intent.PROCESSING and each.readable
    }
    found: dict[int, Candidate] = {}
    for marks in _PAIRING:
        by_mark: dict[tuple[object, ...], list[Candidate]] = {}
        for shown in free.values():
            for mark in marks(shown):
                by_mark.setdefault(mark, []).append(shown)
        for each in (each for each in raw if each.key not in found):
            alike = [
                shown
                for mark in marks(each)
                for shown in by_mark.get(mark, ())
                if shown.key in free and (marks is _references or not _contradict(each, shown))
            ]
            if alike:
                found[each.key] = free.pop(alike[0].key)
    return found


def _references(candidate: Candidate) -> list[tuple[object, ...]]:
    """Raw image and presentation name each other, or hold the same pixels."""
    exposure = candidate.exposure
    marks = [("made from", candidate.sop_instance_uid)]
    if exposure.source:
        marks.append(("made from", exposure.source))
    if candidate.pixel_digest:
        marks.append(("pixels", candidate.pixel_digest))
    return [*marks]


def _moments(candidate: Candidate) -> list[tuple[object, ...]]:
    """They were acquired at one moment, of one part and side."""
    acquired = candidate.exposure.acquired
    return [(acquired, *_group(candidate))] if acquired else []


def _events(candidate: Candidate) -> list[tuple[object, ...]]:
    """They come from one irradiation event, of one part and side."""
    event = candidate.exposure.event
    return [(event, *_group(candidate))] if event else []


_PAIRING: tuple[Callable[[Candidate], list[tuple[object, ...]]], ...] = (
    _references,
    _moments,
    _events,
    lambda candidate: [_group(candidate)],
)


def _contradict(raw: Candidate, shown: Candidate) -> bool:
    """Say whether the headers of the two cannot be of one exposure; silence contradicts nothing."""
    one, other = raw.exposure, shown.exposure
    return bool(
        _differ(one.event, other.event)
        or _differ(one.acquired, other.acquired)
        or _differ(one.view_position, other.view_position)
        or _differ(raw.sop_instance_uid, other.source)
    )


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _group(candidate: Candidate) -> tuple[StudyType | None, Side]:
    return candidate.study_type, candidate.side
