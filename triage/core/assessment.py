"""What a study's row says, derived from its views and nothing else.

Whoever changes a view or an instance derives the study's row again, in the
same transaction, so the row can never disagree with what lies under it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from triage.core.grouping import count_once, score_study
from triage.core.reasons import Code, code_of, reason
from triage.core.study import Score, StudyStatus, View, ViewState

AFTER_READING = reason(Code.IMAGE_AFTER_READING, "an image arrived after the study had been read")


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """The derived part of a study's row."""

    status: StudyStatus
    score: Score | None
    views: int
    views_scored: int
    reason: str | None


def assess(
    views: Sequence[View],
    *,
    closed: bool,
    unscorable_reasons: Sequence[str] = (),
    image_after_reading: bool = False,
) -> Assessment:
    """Derive a study's row.

    *closed* says that the study is complete. *unscorable_reasons* are those of
    the instances that are not for the network. *image_after_reading* says that
    the study was read before its newest image came.
    """
    own = [view for view in views if not view.stand_in]
    return Assessment(
        status=_status(own, closed=closed),
        score=score_study(views),
        views=len(own),
        views_scored=sum(view.state is ViewState.SCORED for view in own),
        reason=AFTER_READING
        if image_after_reading
        else _reason(own, unscorable_reasons) or _low_trust(views),
    )


def _status(views: Sequence[View], *, closed: bool) -> StudyStatus:
    states = {view.state for view in views}
    if not closed:
        return StudyStatus.RECEIVING
    if not states:
        return StudyStatus.UNSCORABLE
    if ViewState.PENDING in states:
        return StudyStatus.COMPLETE
    return StudyStatus.SCORED if ViewState.SCORED in states else StudyStatus.FAILED


# Of radiographs that are not scored.
_UNSEEN = (Code.OUTSIDE_UPPER_EXTREMITY, Code.UNKNOWN_PART, Code.TOO_LARGE)


def _weight(instance_reason: str) -> int:
    """Rank the reasons of instances: an image that was left out says more than a report."""
    order = (*_UNSEEN, Code.NOT_A_RADIOGRAPH, Code.ALGORITHM_RESULT)
    code = _code(instance_reason)
    return order.index(code) if code in order else len(order)


def _code(instance_reason: str) -> Code:
    return Code(code_of(instance_reason))


def _reason(views: Sequence[View], unscorable_reasons: Sequence[str]) -> str | None:
    if not views:
        return min(unscorable_reasons, key=_weight) if unscorable_reasons else None
    failed = [view.reason for view in views if view.state is ViewState.FAILED and view.reason]
    if len(failed) == len(views):
        return Counter(failed).most_common(1)[0][0]
    # A radiograph of the patient that the network has not seen may show what the others do not.
    unseen = failed + [why for why in unscorable_reasons if _code(why) in _UNSEEN]
    if unseen:
        total = len(views) + len(unseen) - len(failed)
        # The sentence carries the most frequent cause; `triage show` has each view's.
        cause = Counter(unseen).most_common(1)[0][0]
        sentence = f"{len(unseen)} of {total} views could not be scored ({cause})"
        return reason(Code.PARTLY_SCORED, sentence)
    return next((v.reason for v in views if v.state is ViewState.PENDING and v.reason), None)


def _low_trust(views: Sequence[View]) -> str | None:
    counted = count_once(views)
    raw = sum(view.low_trust for view in counted)
    if not raw:
        return None
    return reason(
        Code.LOW_TRUST,
        f"{raw} of {len(counted)} views are raw images ('for processing'), unlike those "
        "that the network has learnt from",
    )
