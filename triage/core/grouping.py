"""From the views' probabilities to the study's.

Within a group of views of one part and side the study's probability is the
arithmetic mean of the views' (Rajpurkar et al. 2017, section 3), each exposure
counting once. Between groups the worst decides, so that a healthy side never
dilutes a fracture.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from triage.core.study import Label, Score, Side, View
from triage.core.studytype import StudyType


@dataclass(frozen=True, kw_only=True)
class Group:
    """The views of one part and side."""

    study_type: StudyType | None
    side: Side
    probability: float  # mean over its views
    threshold: float
    views: int
    model: str | None

    @property
    def exceeds(self) -> bool:
        """Abnormal is strictly above the threshold."""
        return self.probability > self.threshold


def count_once(views: Iterable[View]) -> list[View]:
    """Return the views that count: of those that show one exposure, the most abnormal.

    So that nothing which an image shows is dropped for a copy that shows it less.
    """
    alone: list[View] = []
    best: dict[str, View] = {}
    for view in views:
        if not view.counts:
            continue
        if view.exposure is None:
            alone.append(view)
        elif view.exposure not in best or _rank(view) > _rank(best[view.exposure]):
            best[view.exposure] = view
    return [*alone, *best.values()]


def _rank(view: View) -> tuple[bool, float]:
    return not view.stand_in, view.probability or 0.0


def group_views(views: Iterable[View]) -> list[Group]:
    """Group the views that count by (study type, side), in a stable order."""
    members: dict[tuple[StudyType | None, Side], list[View]] = {}
    for view in count_once(views):
        members.setdefault((view.study_type, view.side), []).append(view)
    return [
        Group(
            study_type=study_type,
            side=side,
            # fsum-based, so the order of arrival cannot change the last bit.
            probability=fmean(v.probability for v in group if v.probability is not None),
            threshold=group[-1].threshold,
            views=len(group),
            model=group[-1].model,
        )
        for (study_type, side), group in sorted(
            members.items(), key=lambda item: (item[0][0] or "", item[0][1])
        )
    ]


def deciding_group(groups: Sequence[Group]) -> Group | None:
    """Return the group with the highest probability among those that exceed, else among all."""
    candidates = [group for group in groups if group.exceeds] or groups
    return max(candidates, key=lambda group: group.probability, default=None)


def score_study(views: Iterable[View]) -> Score | None:
    """Score a study from its views; None while none of them is scored."""
    group = deciding_group(group_views(views))
    if group is None:
        return None
    return Score(
        study_type=group.study_type,
        side=group.side,
        probability=group.probability,
        label=Label.ABNORMAL if group.exceeds else Label.NORMAL,
        model=group.model,
    )
