"""What the study page shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from triage import reporting
from triage.core.activation import ScoredView
from triage.core.detail import GroupDetail, HistoryLine, InstanceDetail, StudyDetail
from triage.core.reasons import Code, code_of
from triage.core.report import SIDES, withheld
from triage.core.study import Side
from triage.errors import TemplateFailed
from triage.model.cam import full_strength
from triage.store import activations, queries
from triage.store.images import digests_of
from triage.web.address import written
from triage.web.site import Site

NAME = 16  # hexadecimal digits that tell one picture from another of the same view
# Of instances that are no view and still radiographs: a reader wants to see them.
_SEEN = (Code.UNKNOWN_PART, Code.OUTSIDE_UPPER_EXTREMITY)


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One picture of the page."""

    number: int  # from 1
    name: str  # an HTML id, the same as long as the view is there
    of: InstanceDetail
    group: str
    frame: int  # from 1
    address: str  # of its pictures, without what tells them apart
    pixels: str  # another where other bytes came under the same UID; "" where they were deleted
    map: str  # another where its map looks otherwise; "" where there is none


@dataclass(frozen=True, kw_only=True)
class Told:
    """A line of the history."""

    what: str
    line: HistoryLine


@dataclass(frozen=True, kw_only=True)
class Report:
    """The preliminary reading, or why there is none."""

    text: str | None = None
    why_not: str | None = None


def study_values(site: Site, study_id: int) -> dict[str, Any]:
    """Return what the template `study.html` is given.

    It is the same as long as the study is, so that nothing depends on the moment.
    """
    detail = queries.show_study(site.database, study_id, datetime.now(UTC))
    scored = activations.scored_views(site.database, study_id)
    full = full_strength(each.map for each in scored if each.map)
    digests = digests_of(site.database, study_id)
    return {
        "study": detail,
        "row": detail.row,
        "words_of": words_of,
        "person": person(detail.row.patient_name),
        "since": queries.waiting_since(site.database, study_id),
        "tiles": _tiles(detail, digests, _looks_of(scored, full)),
        "full_strength": full,
        "unscored": [each for each in detail.instances if each.frame is None],
        "reading": next((each for each in reversed(detail.history) if each.kind == "read"), None),
        "history": [Told(what=_words(line.kind), line=line) for line in detail.history],
        "report": report(site.settings.report.normal, detail),
    }


def report(templates: Mapping[str, str], detail: StudyDetail) -> Report:
    """Return the preliminary reading, or why there is none."""
    if why := withheld(detail):
        return Report(why_not=why)
    try:
        text = reporting.write(templates, detail)
    except TemplateFailed as error:
        return Report(why_not=f"The template of this site failed: {error}.")
    if text is None:
        return Report(why_not="This site has no text for studies of this type (report.normal).")
    return Report(text=text)


def person(name: str | None) -> str:
    """Write a name as people do, `Doe, Jane`, which DICOM writes `Doe^Jane` (PS3.5 6.2.1)."""
    written = []
    for group in (name or "").split("="):
        family, *given = (part.strip() for part in group.split("^")[:3])
        written.append(", ".join(filter(None, (family, " ".join(filter(None, given))))))
    return " / ".join(filter(None, written))


def words_of(part: GroupDetail | InstanceDetail) -> str:
    """Name a part and its side, `Wrist, left`."""
    named = (part.study_type or "unknown part").capitalize()
    return ", ".join(filter(None, (named, SIDES.get(Side(part.side or "")))))


def _looks_of(scored: Sequence[ScoredView], full: float) -> dict[tuple[str, int], str]:
    """Name the look of each view's map, which all of the study's maps make together."""
    return {
        (each.sop_instance_uid, each.frame): sha256(
            repr((each.digest, each.map, full)).encode()
        ).hexdigest()[:NAME]
        for each in scored
        if each.map is not None
    }


def _tiles(
    detail: StudyDetail, digests: Mapping[str, str], maps: Mapping[tuple[str, int], str]
) -> list[Tile]:
    shown = [
        each
        for each in detail.instances
        if each.state != "replaced" and (each.frame is not None or code_of(each.reason) in _SEEN)
    ]
    study = written(detail.row.study_instance_uid)
    tiles = []
    for number, each in enumerate(shown, start=1):
        uid, frame = written(each.sop_instance_uid), each.frame or 1
        deleted = code_of(each.reason) == Code.PIXELS_DELETED
        tiles.append(
            Tile(
                number=number,
                name=f"view-{uid}-{frame}",
                of=each,
                group=words_of(each),
                frame=frame,
                address=f"/api/v1/studies/{study}/views/{uid}/{frame}",
                pixels="" if deleted else digests.get(each.sop_instance_uid, "unknown")[:NAME],
                map=maps.get((each.sop_instance_uid, frame), ""),
            )
        )
    return tiles


_WORDS = {
    "received": "First image arrived",
    "complete": "Complete, and not every view is scored",
    "unscorable": "Nothing in it can be scored",
    "failed": "No view could be scored",
    "moved": "Moved on the worklist",
    "unread": "Not read after all",
    "overdue": "Moved to the top: overdue",
    "rescore": "Sent to be scored again",
    "reopened": "Reopened by a new image",
}


def _words(kind: str) -> str:
    return _WORDS.get(kind, kind.replace("_", " ").capitalize())
