"""The preliminary reading of a normal study: whether there is one, and what it speaks of.

It is a text of the site's own, to be copied and confirmed. It is withheld wherever the network
has not seen, as it was meant to, every radiograph that a reader must look at.
"""

from dataclasses import dataclass

from triage.core.detail import StudyDetail
from triage.core.reasons import Code, code_of
from triage.core.study import Label, Side

ANY = "any"  # the text for study types that have none of their own

# Of instances and views: a radiograph is there that has not been judged as it should.
_UNJUDGED = {
    Code.UNKNOWN_PART,
    Code.OUTSIDE_UPPER_EXTREMITY,
    Code.NOT_ACCEPTED_BY_MODEL,
    Code.LOW_TRUST,
    Code.UNDECODABLE,
    Code.TOO_LARGE,
    Code.FILE_MISSING,
    Code.SCORER_CRASHED,
    Code.SCORING_FAILED,
}
SIDES = {Side.LEFT: "left", Side.RIGHT: "right"}


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What the text says of one part and side."""

    study_type: str
    side: str | None  # "left" or "right"
    views: int
    probability: float  # of an abnormality, 0 to 1
    threshold: float  # above it the network calls it abnormal


def withheld(detail: StudyDetail) -> str | None:
    """Say why the study has no preliminary reading; None where it has one."""
    row = detail.row
    if row.label is None:
        return "The study is not scored."
    if row.label is Label.ABNORMAL:
        return "The network calls the study abnormal; there is a text for normal studies alone."
    if row.provisional:
        return "Images may still arrive."
    if row.views_scored < row.views:
        return f"{row.views - row.views_scored} of {row.views} views are not scored."
    if any(code_of(each.reason) in _UNJUDGED for each in detail.instances):
        return "A radiograph of the study is not scored, or is one of low trust."
    if any(group.study_type is None for group in detail.groups):
        return "The part of the body is not known."
    return None


def passages(detail: StudyDetail) -> list[Passage]:
    """Return what the text of a study speaks of, part by part; it must not be withheld."""
    return [
        Passage(
            study_type=group.study_type or "",
            side=SIDES.get(Side(group.side or "")),
            views=group.views,
            probability=group.probability,
            threshold=group.threshold,
        )
        for group in detail.groups
    ]


def mark(model: str | None) -> str:
    """Return the line that stands before every text, whatever the site has written."""
    return f"PRELIMINARY, computed by {model}, to be confirmed by a radiologist"
