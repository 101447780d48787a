"""What must hold after every fault, seen from outside: files, rows, and the worklist as a reader sees it.

`examine` never stops at the first thing that is wrong: it counts, so that a
table can be made of what it finds.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.filereader import read_file_meta_info, read_preamble

from tests.support.daemon import Daemon
from tests.support.order import reading_order
from tests.support.studies import Sample

TOLERANCE = 1e-6  # of a probability at float32
# What of a study's row must be as in a run in which nothing went wrong.
COMPARED = ("label", "status", "views", "views_scored", "study_type", "priority", "overdue")


@dataclass(frozen=True)
class Worklist:
    """The worklist of a run, in reading order, and what each view came to."""

    rows: list[dict[str, Any]]
    views: dict[tuple[str, int], tuple[str, float | None]]  # by instance and frame


@dataclass
class Findings:
    """What is wrong after a fault, a sentence for each."""

    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Everything that is."""
        return [
            f"{name}: {sentence}"
            for name in ("lost", "doubled", "stuck", "differences")
            for sentence in getattr(self, name)
        ]


def data_digest(file: Path) -> str:
    """Return the SHA-256 of a DICOM file's transfer syntax and data set, as the spool names it."""
    with file.open("rb") as stream:
        read_preamble(stream, force=False)
        syntax = str(read_file_meta_info(file).TransferSyntaxUID)
    content = file.read_bytes()
    # PS3.10 7.1: the group length says where the file meta information ends.
    length = int.from_bytes(content[140:144], "little")
    return hashlib.sha256(syntax.encode() + b"\0" + content[144 + length :]).hexdigest()


def worklist_of(daemon: Daemon) -> Worklist:
    """Return the worklist as it is now."""
    views = daemon.sql(
        "SELECT instance.sop_instance_uid, view.frame, view.state, view.probability FROM view"
        " JOIN instance ON instance.id = view.instance_id"
    )
    return Worklist(
        rows=daemon.sql("SELECT * FROM worklist ORDER BY position"),
        views={
            (row["sop_instance_uid"], row["frame"]): (row["state"], row["probability"])
            for row in views
        },
    )


def settle(daemon: Daemon, seconds: float) -> list[str]:
    """Wait until nothing is under way; return what still is when the time is over."""
    give_up = time.monotonic() + seconds
    while (left := under_way(daemon)) and time.monotonic() < give_up:
        time.sleep(0.1)
    return left


def under_way(daemon: Daemon) -> list[str]:
    """Return the studies that still grow, and the views that wait or are held."""
    studies = daemon.sql(
        "SELECT study_instance_uid FROM study WHERE status IN ('receiving', 'complete')"
    )
    views = daemon.sql(
        "SELECT id, held_by, attempts FROM view WHERE state = 'pending' OR held_by IS NOT NULL"
    )
    return [f"study {row['study_instance_uid']}" for row in studies] + [
        f"view {row['id']} held by {row['held_by']} after {row['attempts']} attempts"
        for row in views
    ]


def examine_stored(
    daemon: Daemon, samples: Mapping[str, Sample], acknowledged: Iterable[str]
) -> Findings:
    """Look whether each acknowledged instance is there once, with the bytes that were sent.

    *samples* are those that may have been sent, by SOP Instance UID.
    """
    findings = Findings()
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in daemon.sql(
        "SELECT sop_instance_uid, digest, size, study_instance_uid"
        " FROM instance JOIN study ON study.id = instance.study_id"
    ):
        rows.setdefault(row["sop_instance_uid"], []).append(row)
    for uid in set(acknowledged):
        findings.acknowledged += 1
        found = rows.get(uid, [])
        if not found:
            findings.lost.append(f"{uid} has no row")
            continue
        if why := _damage(daemon.spool, found[0], samples[uid]):
            findings.lost.append(f"{uid} {why}")
    # Of what was not acknowledged there may be one as well: the answer came too late.
    findings.doubled += [f"{uid} has {len(found)} rows" for uid, found in rows.items() if found[1:]]
    findings.doubled += _repeated(daemon)
    return findings


def _damage(spool: Path, row: Mapping[str, Any], sample: Sample) -> str:
    """Say what is wrong with an instance's file or study, if anything is."""
    file = spool / row["digest"][:2] / f"{row['digest']}.dcm"
    if row["study_instance_uid"] != sample.study_instance_uid:
        return f"is in the study {row['study_instance_uid']}"
    if not file.is_file():
        return f"has no file {file}"
    if file.stat().st_size != row["size"]:
        return f"has {file.stat().st_size} bytes and not {row['size']}"
    if data_digest(file) != row["digest"]:
        return "has other bytes than its name says"
    if row["digest"] != data_digest(sample.file):
        return "has other bytes than were sent"
    return ""


def _repeated(daemon: Daemon) -> list[str]:
    """Return what stands in the database or in the worklist more often than it should."""
    listed = Counter(
        row["study_instance_uid"] for row in daemon.sql("SELECT study_instance_uid FROM worklist")
    )
    found = [f"study {uid} is listed {times} times" for uid, times in listed.items() if times > 1]
    views = daemon.sql(
        "SELECT sop_instance_uid, frames, count(view.id) AS views FROM instance"
        " LEFT JOIN view ON view.instance_id = instance.id"
        " GROUP BY instance.id, sop_instance_uid, frames HAVING count(view.id) > frames"
    )
    found += [f"{row['sop_instance_uid']} has {row['views']} views" for row in views]
    events = daemon.sql(
        "SELECT study_id, kind, count(*) AS times FROM history WHERE kind = 'received'"
        " GROUP BY study_id, kind HAVING count(*) > 1"
    )
    return found + [
        f"study row {row['study_id']} was received {row['times']} times" for row in events
    ]


def examine(
    daemon: Daemon,
    samples: Sequence[Sample],
    acknowledged: Iterable[str],
    undisturbed: Worklist,
    *,
    seconds: float = 120,
    as_sent: bool = True,
) -> Findings:
    """Wait until all is done, and look at everything that must hold.

    *undisturbed* is the worklist of the same samples when nothing goes wrong;
    *as_sent* says that the studies arrived in its order, as those of a single
    sender do whatever happens to it.
    """
    stuck = settle(daemon, seconds)
    findings = examine_stored(daemon, {s.sop_instance_uid: s for s in samples}, acknowledged)
    findings.stuck += stuck + _unexplained(daemon)
    findings.differences += compare(worklist_of(daemon), undisturbed, as_sent=as_sent)
    return findings


def _unexplained(daemon: Daemon) -> list[str]:
    """Return the instances, views and studies that are neither scored nor say why not."""
    instances = daemon.sql(
        "SELECT sop_instance_uid FROM instance WHERE state <> 'scorable' AND reason IS NULL"
    )
    views = daemon.sql(
        "SELECT id FROM view WHERE (state = 'scored' AND probability IS NULL)"
        " OR (state <> 'scored' AND reason IS NULL)"
    )
    studies = daemon.sql(
        "SELECT study_instance_uid FROM study WHERE status <> 'scored' AND reason IS NULL"
    )
    return (
        [f"{row['sop_instance_uid']} is not explained" for row in instances]
        + [f"view {row['id']} is not explained" for row in views]
        + [f"study {row['study_instance_uid']} is not explained" for row in studies]
    )


def compare(found: Worklist, expected: Worklist, *, as_sent: bool = True) -> list[str]:
    """Say where a worklist differs from that of an undisturbed run."""
    there = {row["study_instance_uid"]: row for row in found.rows}
    wanted = {row["study_instance_uid"]: row for row in expected.rows}
    said = [f"study {uid} is missing" for uid in wanted.keys() - there.keys()]
    said += [f"study {uid} is not expected" for uid in there.keys() - wanted.keys()]
    for uid in wanted.keys() & there.keys():
        said += _row_differences(uid, there[uid], wanted[uid])
    said += _view_differences(found, expected)
    order = [row["study_instance_uid"] for row in found.rows]
    if order != reading_order(found.rows):
        said.append(f"the order is not the reading order: {order}")
    if as_sent and not said and order != list(wanted):
        said.append(f"the order is {order} and not {list(wanted)}")
    if not as_sent and _abnormal(found) != _abnormal(expected):
        said.append("the abnormal studies are in another order")
    return said


def _row_differences(uid: str, row: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    said = [
        f"study {uid}: {column} is {row[column]!r} and not {wanted[column]!r}"
        for column in COMPARED
        if row[column] != wanted[column]
    ]
    if _code(row["reason"]) != _code(wanted["reason"]):
        said.append(f"study {uid}: the reason is {row['reason']!r} and not {wanted['reason']!r}")
    if _differ(row["probability"], wanted["probability"]):
        said.append(f"study {uid}: {row['probability']} and not {wanted['probability']}")
    return said


def _view_differences(found: Worklist, expected: Worklist) -> list[str]:
    said = []
    for key in found.views.keys() | expected.views.keys():
        state, probability = found.views.get(key, ("missing", None))
        wanted_state, wanted = expected.views.get(key, ("missing", None))
        if state != wanted_state or _differ(probability, wanted):
            said.append(f"view {key}: {state} {probability} and not {wanted_state} {wanted}")
    return said


def _abnormal(worklist: Worklist) -> list[str]:
    return [row["study_instance_uid"] for row in worklist.rows if row["label"] == "abnormal"]


def _code(reason: str | None) -> str:
    return (reason or "").partition(":")[0]


def _differ(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) > TOLERANCE
