"""What a study's row says, derived from its views and nothing else.

Whoever changes a view or an instance derives the study's row again, in the
same transaction, so the row can never disagree with what lies under it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from triage.core.grouping import count_once, score_study
from triage.core.reasons import Code, reason
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

    *closed* says that the study is complete. *unscorable_reasons* are those of the instances that are not for the network.
    *image_after_reading* says that the study was read before its newest image came.
    """
    return Assessment(
        status=_status(views, closed=closed),
        score=score_study(views),
        views=len(views),
        views_scored=sum(view.state is ViewState.SCORED for view in views),
        reason=AFTER_READING if image_after_reading else _reason(views, unscorable_reasons),
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


def _weight(instance_reason: str) -> int:
    """Rank the reasons of instances: an image that was left out says more than a report."""
    code = instance_reason.partition(":")[0]
    order = (
        Code.OUTSIDE_UPPER_EXTREMITY,
        Code.UNKNOWN_PART,
        Code.TOO_LARGE,
        Code.NOT_A_RADIOGRAPH,
        Code.ALGORITHM_RESULT,
    )
    return order.index(Code(code)) if code in order else len(order)


def _reason(views: Sequence[View], unscorable_reasons: Sequence[str]) -> str | None:
    failed = [view.reason for view in views if view.state is ViewState.FAILED and view.reason]
    if failed and len(failed) < len(views):
        # The sentence carries the most frequent cause; `triage show` has each view's.
        cause = Counter(failed).most_common(1)[0][0]
        return reason(
            Code.PARTLY_SCORED,
            f"{len(failed)} of {len(views)} views could not be scored ({cause})",
        )
    if failed:
        return Counter(failed).most_common(1)[0][0]
    for view in views:
        if view.state is ViewState.PENDING and view.reason:
            return view.reason
    if not views and unscorable_reasons:
        return min(unscorable_reasons, key=_weight)
    return _low_trust(views)


def _low_trust(views: Sequence[View]) -> str | None:
    counted = list(count_once(views))
    raw = sum(view.low_trust for view in counted)
    if not raw:
        return None
    return reason(
        Code.LOW_TRUST,
        f"{raw} of {len(counted)} views are raw images ('for processing'), unlike those "
        "that the network has learnt from",
    )
