"""An hour of a department's traffic with kills every few minutes: nothing lost, nothing grows.

    pytest -m soak -s tests/acceptance/test_soak.py

SOAK_SECONDS sets its length (3600), SOAK_DATABASE its database (sqlite or postgres). Real
radiographs are sent where FracAtlas lies beside the checkout, else made-up pictures. They are
scored by a network that was never trained, at 64 pixels, so that a busy machine keeps the pace;
SOAK_MODEL=interim takes the interim weights. A leak is looked for in lives of a quarter of an
hour and more, so a short run shows that all of it works, and no more.

In its first third everything is killed in turn; in the second no more the receiver, in the last
one only decoders: so each kind of process lives long enough for a leak to show.
"""

import hashlib
import logging
import os
import random
import signal
import statistics
import time
from collections import Counter
from contextlib import suppress
from itertools import cycle

import pytest

from tests.support import studies
from tests.support.daemon import daemon_in
from tests.support.requirements import SHARED_DATA, lack
from tests.support.traffic import Traffic
from tests.support.usage import Watch, processes, slope
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.soak,
    # pynetdicom, as our sender, forgets the socket of a connection that was refused.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
DATABASE = os.environ.get("SOAK_DATABASE", "sqlite")
MODEL = os.environ.get("SOAK_MODEL", "random")
A_SECOND = 5.0  # images
SAMPLED_EVERY = min(10.0, SECONDS / 60)
KILLS_APART = min(150.0, SECONDS / 8)
YOUNG = min(60.0, SECONDS / 15)  # seconds; daemons are compared at this age up to twice of it
WARM = 300.0  # seconds of life in which pools fill and the allocator settles
LONG = 600.0  # seconds of life beyond that in which a leak tells itself from noise
LEAK = 0.5 * 2**20 / 60  # bytes a second: half of a megabyte a minute
PHASES = (
    ("daemon", "scorer", "decoder", "daemon alone"),
    ("scorer", "decoder"),
    ("decoder",),
)
# What is acknowledged and must be there, with what must be under it.
LEFT = """
SELECT id FROM study WHERE status IN ('receiving', 'complete')
UNION ALL SELECT view.id FROM view JOIN instance ON instance.id = instance_id
WHERE view.state = 'pending' AND instance.state = 'scorable'
"""


@pytest.fixture
def pictures():
    if lack("fracatlas"):
        return [studies.picture(number) for number in range(100)]
    files = sorted((SHARED_DATA / "FracAtlas-MURA" / "train").rglob("*.jpg"))
    return [studies.read_picture(file) for file in files[::10]]


@pytest.fixture
def model(request):
    return request.getfixturevalue(f"{MODEL}_model")


def test_an_hour_of_traffic_with_kills_loses_nothing_and_grows_nothing(
    tmp_path, new_database, model, pictures, report_figure, caplog
):
    caplog.set_level(logging.CRITICAL, logger="pynetdicom")  # the kills, as the sender sees them
    settings = {
        "database__url": new_database(DATABASE),
        "model__path": model,
        "study__quiet": 5,
        "dicom__allow": [{"address": "127.0.0.1"}],
    }
    with daemon_in(tmp_path, **settings) as daemon:
        traffic = Traffic(daemon, pictures, a_second=A_SECOND, seed=5)
        watch = Watch(daemon, SAMPLED_EVERY)
        traffic.start()
        watch.start()
        try:
            kills = disturb(daemon)
        finally:
            traffic.stop()
            watch.stop()
        ledger = traffic.ledger
        report_figure(f"soak of {SECONDS:.0f} s on {DATABASE}, {model.name}")
        report_figure(f"  sent: {dict(sorted(ledger.counts.items()))}, kills: {dict(kills)}")
        wait_until(lambda: not daemon.sql(LEFT), "nothing is stuck", seconds=300)
        found = check(daemon, ledger)
        report_figure(f"  acknowledged: {len(ledger.current)} instances, {found}; lost, stuck: 0")
        daemon.stop()
    for line in usage(watch.samples):
        report_figure(f"  {line}")
    check_usage(watch.samples)
    assert sum(ledger.counts.values()) > 0.5 * A_SECOND * SECONDS, "hardly any traffic: no soak"


def disturb(daemon):
    """Kill every few minutes what the phase says; return how often what was killed."""
    chance = random.Random(7)  # noqa: S311  moments, not secrets
    kills = Counter()
    for phase in PHASES:
        ends = time.monotonic() + SECONDS / len(PHASES)
        daemon.kill()  # a phase begins with new processes, whose ages can be compared
        daemon.start()
        kills["daemon"] += 1
        for what in cycle(phase):
            pause = KILLS_APART * chance.uniform(0.8, 1.2)
            if time.monotonic() + pause > ends:
                time.sleep(max(0.0, ends - time.monotonic()))
                break
            time.sleep(pause)
            kill(daemon, what)
            kills[what] += 1
    return kills


def kill(daemon, what):
    if what == "daemon":
        daemon.kill()
        daemon.start()
    elif what == "daemon alone":
        daemon.kill_alone()
        daemon.start()
    else:
        pids = [pid for pid, kind in processes(daemon.pid).items() if kind == what]
        with suppress(ProcessLookupError, IndexError):
            os.kill(pids[0], signal.SIGKILL)


def check(daemon, ledger):
    """Hold what was acknowledged against what is there; return how the instances ended."""
    rows = daemon.sql(
        "SELECT instance.id, sop_instance_uid, digest, state, instance.reason, frames,"
        " study_instance_uid, study.status"
        " FROM instance JOIN study ON study.id = study_id"
    )
    views = {}
    for row in daemon.sql("SELECT instance_id, state, probability, reason FROM view"):
        views.setdefault(row["instance_id"], []).append(row)
    current = [row for row in rows if row["state"] != "replaced"]
    assert len(current) == len({row["sop_instance_uid"] for row in current})
    there = {row["sop_instance_uid"]: row for row in current}
    former = {row["digest"] for row in rows if row["state"] == "replaced"}
    assert ledger.former <= former, "an earlier version is gone"
    ends = Counter()
    for uid, sent in ledger.current.items():
        row = there[uid]
        assert row["digest"] == sent.digest, uid
        assert row["study_instance_uid"] == sent.study_instance_uid
        assert row["status"] in ("scored", "unscorable", "failed"), row
        data = (daemon.spool / sent.digest[:2] / f"{sent.digest}.dcm").read_bytes()
        assert digest_of(data, sent.size) == sent.digest
        ends[end_of(row, views.get(row["id"], []), sent)] += 1
    return dict(sorted(ends.items()))


def digest_of(file, size):
    """Return the digest of a file's transfer syntax and of its last *size* bytes, the data set."""
    start = file.index(b"\x02\x00\x10\x00UI") + 6  # Transfer Syntax UID, PS3.10 7.1
    length = int.from_bytes(file[start : start + 2], "little")
    syntax = file[start + 2 : start + 2 + length].rstrip(b"\0")
    return hashlib.sha256(syntax + b"\0" + file[-size:]).hexdigest()


def end_of(row, views, sent):
    """Say how an instance ended: scored, or with a reason for why not."""
    if row["state"] == "unscorable":
        assert row["reason"], row
        return row["reason"].partition(":")[0]
    assert len(views) == row["frames"], row
    states = {view["state"] for view in views}
    if sent.kind == "damaged":
        assert states == {"failed"}, views
        assert all(view["reason"] for view in views)
        return "failed"
    assert states == {"scored"}, (row, views)
    assert all(view["probability"] is not None for view in views)
    return "scored"


def lives(samples, kind):
    """Return the samples of each process of this kind by its process id."""
    found = {}
    for sample in samples:
        for process in sample.processes:
            if process.kind == kind:
                found.setdefault(process.pid, []).append((sample.at, process))
    return found


def usage(samples):
    """Describe what the daemon took, early and late, and how the longest lives went."""
    for what, of in (("PSS", "pss"), ("their own, no file's", "own")):
        totals = [getattr(sample, of) / 2**20 for sample in samples]
        third = len(totals) // 3
        early, late = (statistics.median(part) for part in (totals[:third], totals[-third:]))
        yield f"memory of all processes, {what}: median {early:.0f} MiB early, {late:.0f} late"
    for kind in ("receiver", "scorer", "decoder"):
        found = lives(samples, kind)
        longest = max(found.values(), key=len)
        grown = growth(longest)
        speed = "too short a life to say" if grown is None else f"{grown * 60 / 2**20:+.2f} MiB/min"
        threads, files = ([getattr(p, what) for _, p in longest] for what in ("threads", "files"))
        half = max(1, len(longest) // 2)
        yield (
            f"{kind}: {len(found)} lives, the longest {longest[-1][1].age:.0f} s; "
            f"own memory {longest[-1][1].own / 2**20:.0f} MiB, {speed}; "
            f"threads {statistics.median(threads[:half]):g} then {statistics.median(threads[half:]):g}"
            f" (most {max(threads)}), files {statistics.median(files[:half]):g} then "
            f"{statistics.median(files[half:]):g} (most {max(files)})"
        )


def growth(life):
    """Return the bytes a second by which a long life's memory grows; None of a short one."""
    settled = [(at, process.own) for at, process in life if process.age > WARM]
    if len(settled) < 4 or settled[-1][0] - settled[0][0] < LONG:
        return None
    moments, values = zip(*settled, strict=True)
    return slope(moments, values)


def check_usage(samples):
    """Nothing grows: neither in a long life, nor from the first daemon to the last at one age."""
    for kind in ("receiver", "scorer"):
        for life in lives(samples, kind).values():
            if (grown := growth(life)) is not None:
                assert grown < LEAK, f"{kind} grows by {grown * 60 / 2**20:.2f} MiB a minute"
                half = len(life) // 2
                for what in ("threads", "files"):
                    counts = [getattr(process, what) for _, process in life]
                    first, then = statistics.median(counts[:half]), statistics.median(counts[half:])
                    assert then <= first + 3, f"{kind}: {what} go from {first} to {then}"
    young = [sample for sample in samples if YOUNG < sample.age < 2 * YOUNG]
    between = young[-1].at - young[0].at
    first = statistics.median(s.own for s in young if s.at < young[0].at + YOUNG)
    last = statistics.median(s.own for s in young if s.at > young[-1].at - YOUNG)
    allowed = LEAK * between + 0.05 * first
    assert last - first < allowed, f"at one age {first / 2**20:.0f}, later {last / 2**20:.0f} MiB"
