"""The reading order, computed a second time: by the words of the rule, not by the product's code."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

THRESHOLD = 0.5


def reading_order(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the Study Instance UIDs in the order in which the studies are to be read.

    Overdue ones by arrival; abnormal ones by probability, highest first; those
    not scored by arrival; normal ones by arrival; ties by arrival, then UID.
    """
    rows = sorted(rows, key=lambda row: (row["received_at"], row["study_instance_uid"]))
    overdue = [row for row in rows if row["overdue"]]
    waiting = [row for row in rows if not row["overdue"]]
    abnormal = [row for row in waiting if row["label"] == "abnormal"]
    abnormal.sort(key=lambda row: row["probability"], reverse=True)  # stable: ties by arrival
    unscored = [row for row in waiting if row["label"] is None]
    normal = [row for row in waiting if row["label"] == "normal"]
    return [row["study_instance_uid"] for row in overdue + abnormal + unscored + normal]


def judge(views: Iterable[Mapping[str, Any]]) -> tuple[float, str]:
    """Return the probability and label of a study from its views' `group` and `probability`."""
    groups = defaultdict(list)
    for view in views:
        groups[view["group"]].append(view["probability"])
    worst = max(sum(group) / len(group) for group in groups.values())
    return worst, "abnormal" if worst > THRESHOLD else "normal"
