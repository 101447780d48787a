"""One exposure may reach us as several images; which of them speaks for it.

A detector writes the raw image ('for processing') and what a person is to see
('for presentation', PS3.3 C.8.11.1); a workstation adds copies and other
renderings under new UIDs. The raw image is left out when its presentation twin
is there, because the network has learnt from presentations; of the rest, one
for each exposure counts in the study's mean, so that copies outvote nobody.
"""

from collections.abc import Iterable, Sequence
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


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What becomes of a candidate beside the others of its study."""

    exposure: int | None = None  # key of the candidate that speaks for it; None: it is alone
    twin: str = ""  # SOP Instance UID of its presentation twin, for which it is left out


LOW_TRUST = reason(Code.LOW_TRUST, "a raw image ('for processing') without its presentation")


def left_out(twin: str) -> str:
    """Say why a raw image is not scored."""
    sentence = f"a raw image ('for processing'); its presentation {twin} is scored instead"
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
    standings = {key: Standing(twin=twin) for key, twin in twins.items()}
    remaining = [each for each in ordered if each.key not in twins]
    for same in _exposures(remaining):
        first = min(same, key=lambda each: _precedence(each, same))
        for each in same:
            standings[each.key] = Standing(exposure=first.key if len(same) > 1 else None)
    return standings


def _precedence(candidate: Candidate, same: Sequence[Candidate]) -> tuple[bool, bool, str]:
    """Order the images of one exposure: presentations first, and what was made of another last."""
    derived = candidate.exposure.source in {each.sop_instance_uid for each in same}
    raw = candidate.exposure.intent is Intent.PROCESSING
    return raw, derived, candidate.sop_instance_uid


def _exposures(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """Part the candidates into those of one exposure each."""
    leader = {each.key: each.key for each in candidates}
    known: dict[tuple[str, ...], int] = {}

    def lead(key: int) -> int:
        while leader[key] != key:
            key = leader[key]
        return key

    for each in candidates:
        for mark in _marks(each):
            leader[lead(each.key)] = lead(known.setdefault(mark, each.key))
    found: dict[int, list[Candidate]] = {}
    for each in candidates:
        found.setdefault(lead(each.key), []).append(each)
    return list(found.values())


def _marks(candidate: Candidate) -> list[tuple[str, ...]]:
    """Return what two images of one exposure share.

    An irradiation event alone is not enough: some devices repeat one over a
    whole study.
    """
    exposure = candidate.exposure
    marks: list[tuple[str, ...]] = [("image", candidate.sop_instance_uid)]
    if exposure.source:
        marks.append(("image", exposure.source))
    if candidate.pixel_digest:
        marks.append(("pixels", candidate.pixel_digest))
    if exposure.event:
        marks.append(("event", exposure.event, exposure.acquired, exposure.view_position))
    return marks


def _twins(candidates: Sequence[Candidate]) -> dict[int, str]:
    """Pair each raw image with its presentation: {key of the raw one: UID of the other}.

    First what the headers say for certain, then, one to one, what only looks
    alike: the same part, side and projection, and nothing that contradicts.
    """
    raw = [each for each in candidates if each.exposure.intent is Intent.PROCESSING]
    shown = [each for each in candidates if each.exposure.intent is not Intent.PROCESSING]
    found: dict[int, str] = {}
    free = list(shown)
    for certain in (True, False):
        for each in raw:
            if each.key in found:
                continue
            alike = _is_twin if certain else _looks_like_twin
            twin = next(
                (other for other in (shown if certain else free) if alike(each, other)), None
            )
            if twin is not None:
                found[each.key] = twin.sop_instance_uid
                free = [other for other in free if other is not twin]
    return found


def _is_twin(raw: Candidate, shown: Candidate) -> bool:
    one, other = raw.exposure, shown.exposure
    if other.source == raw.sop_instance_uid or one.source == shown.sop_instance_uid:
        return True
    if raw.pixel_digest and raw.pixel_digest == shown.pixel_digest:
        return True
    if one.event or other.event:
        return one.event == other.event and not _differ(one.acquired, other.acquired)
    return bool(one.acquired) and one.acquired == other.acquired and _same_group(raw, shown)


def _looks_like_twin(raw: Candidate, shown: Candidate) -> bool:
    one, other = raw.exposure, shown.exposure
    contradicted = (
        _differ(one.event, other.event)
        or _differ(one.acquired, other.acquired)
        or _differ(one.view_position, other.view_position)
        or other.source
    )
    return not contradicted and _same_group(raw, shown)


def _differ(one: str, other: str) -> bool:
    """Say whether two values contradict each other; a missing one contradicts nothing."""
    return bool(one and other and one != other)


def _same_group(one: Candidate, other: Candidate) -> bool:
    return (one.study_type, one.side) == (other.study_type, other.side)
