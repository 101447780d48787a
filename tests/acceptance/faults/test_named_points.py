"""kill -9 at each step from the first byte to the final result.

On SQLite strace kills the process as it asks the kernel for the step, which is
then not carried out; strace's own words prove where that was. On PostgreSQL a
relay kills it when it has asked for the COMMIT, before or after the server did it.
"""

import os
import signal
from dataclasses import dataclass

import pytest

from tests.support import dcmtk, strace
from tests.support.commits import commit_relay
from tests.support.invariants import examine_stored, settle
from tests.support.processes import decoders_of
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.dcmtk, pytest.mark.strace]

A_LONG_WHILE = 600  # seconds; no study completes while we look at something else
PATIENCE = 20  # seconds of quiet, in which we can find out where to kill
LOG = "triage.db-wal"  # SQLite's write-ahead log


@dataclass(frozen=True)
class Point:
    """A step of the receiver: a thread's *when*-th such system call, on a file of this name."""

    call: str
    file: str
    when: int = 1
    log_alone: bool = False


RECEIVING = {
    "half the file written": Point(
        "write", "/incoming/", when=3
    ),  # after "accepted" and the preamble
    "after write, before fsync": Point("fsync", "/incoming/"),
    "before rename": Point("rename", "/incoming/"),
    "after rename, before fsync of the folder": Point("fsync", "/spool/", when=2),
    "before commit": Point("pwrite64", LOG, log_alone=True),
    "half the commit written": Point("pwrite64", LOG, when=4, log_alone=True),
    "commit written, not synced": Point("fdatasync", LOG, log_alone=True),
    "after commit, before the answer": Point("sendto", "socket:", when=2),  # the first: "accepted"
}
FEW = (
    "after write, before fsync",
    "after rename, before fsync of the folder",
    "before commit",
    "after commit, before the answer",
)


def kill_while_receiving(daemon, sample, point, output):
    """Send *sample* and kill the daemon at the point; start it again."""
    log = daemon.folder / LOG if point.log_alone else None
    with strace.killing(daemon.pid, output, point.call, when=point.when, path=log) as trace:
        answers = dcmtk.store_each(daemon.port, [sample.file])
        where = trace.wait_for_kill(point.call)
    assert point.file in where
    assert answers == {}, "it was killed before it could answer"
    daemon.kill()
    daemon.start(roles="receive")


def stored(daemon, samples, acknowledged):
    findings = examine_stored(daemon, {s.sop_instance_uid: s for s in samples}, acknowledged)
    assert findings.wrong == []


def send(daemon, samples):
    """Send what must be acknowledged; return the SOP Instance UIDs."""
    answers = dcmtk.store_each(daemon.port, [sample.file for sample in samples])
    assert set(answers.values()) == {"Success"}
    assert len(answers) == len(samples)
    return [sample.sop_instance_uid for sample in samples]


def finish(daemon):
    """Let the studies complete."""
    daemon.kill()
    daemon.set(study__quiet=1)
    daemon.start()


def kill_at(points, daemon, department, tmp_path):
    """Kill the daemon at each point, with an object of its own; return what is acknowledged."""
    acknowledged = []
    for number, (sample, point) in enumerate(zip(department, points, strict=False)):
        kill_while_receiving(daemon, sample, point, tmp_path / f"strace{number}")
        stored(daemon, department, acknowledged)
        acknowledged += send(daemon, [sample])
    return acknowledged + send(daemon, department[len(points) :])


def test_a_kill_at_a_step_of_receiving_loses_nothing(
    department, random_model, start_daemon, tmp_path, verify
):
    daemon = start_daemon(roles="receive", model__path=random_model, study__quiet=A_LONG_WHILE)

    acknowledged = kill_at([RECEIVING[name] for name in FEW], daemon, department, tmp_path)

    finish(daemon)
    verify("kill -9 at a step of receiving", daemon, acknowledged, times=len(FEW))


@pytest.mark.soak
@pytest.mark.parametrize("name", RECEIVING)
def test_five_kills_at_any_step_of_receiving_lose_nothing(
    name, department, random_model, start_daemon, tmp_path, verify
):
    daemon = start_daemon(roles="receive", model__path=random_model, study__quiet=A_LONG_WHILE)

    acknowledged = kill_at([RECEIVING[name]] * 5, daemon, department, tmp_path)

    finish(daemon)
    verify(f"kill -9 at: {name}", daemon, acknowledged, times=5)


def hold_and_kill(daemon, samples):
    """Send *samples*, and kill the scoring process while it holds views of them."""
    daemon.wait_for_scorer()
    victim = daemon.scorer_pid
    for decoder in wait_until(lambda: decoders_of(victim), "decoders"):
        os.kill(decoder, signal.SIGSTOP)  # they end with their parent
    acknowledged = send(daemon, samples)
    held = "SELECT id FROM view WHERE state = 'pending' AND held_by IS NOT NULL"
    wait_until(lambda: daemon.sql(held), "views that are held", seconds=60)
    os.kill(victim, signal.SIGKILL)
    freed = daemon.wait_for("scorer_ended", pid=victim)["views_freed"]
    assert freed > 0, "it was killed between two batches"
    return acknowledged


def test_a_kill_in_the_middle_of_a_batch_costs_no_score(
    department, random_model, start_daemon, verify
):
    daemon = start_daemon(model__path=random_model)

    acknowledged = hold_and_kill(daemon, department[:8])

    acknowledged += send(daemon, department[8:])
    verify("kill -9 at: mid-batch", daemon, acknowledged)


SCORING = {
    "before views are held": Point("pwrite64", LOG, log_alone=True),
    "results written, not synced": Point("fdatasync", LOG, when=2, log_alone=True),  # 1: the hold
}


@pytest.mark.soak
@pytest.mark.parametrize("name", SCORING)
def test_a_kill_at_any_step_of_scoring_costs_no_score(
    name, department, random_model, start_daemon, tmp_path, verify
):
    daemon = start_daemon(model__path=random_model)
    daemon.wait_for_scorer()
    victim, point, log = daemon.scorer_pid, SCORING[name], daemon.folder / LOG

    with strace.killing(
        victim, tmp_path / "strace", point.call, when=point.when, path=log
    ) as trace:
        acknowledged = send(daemon, department)
        where = trace.wait_for_kill(point.call)

    assert LOG in where
    daemon.wait_for("scorer_ended", pid=victim)
    verify(f"kill -9 at: {name}", daemon, acknowledged)


def receive_all(daemon, department):
    """Send everything; the daemon's next change to the database will complete the last study."""
    daemon.wait_for_scorer()
    others, last = department[:1] + department[4:], department[1:4]
    acknowledged = send(daemon, others)
    assert settle(daemon, 120) == []
    acknowledged += send(daemon, last)
    assert daemon.study(last[0].study_instance_uid)["status"] == "receiving"
    return acknowledged


@pytest.mark.soak
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_a_kill_in_the_middle_of_a_completion_leaves_no_study_open(
    call, department, random_model, start_daemon, tmp_path, verify
):
    daemon = start_daemon(model__path=random_model, study__quiet=PATIENCE)
    acknowledged = receive_all(daemon, department)

    with strace.killing(daemon.pid, tmp_path / "strace", call, path=daemon.folder / LOG) as trace:
        assert LOG in trace.wait_for_kill(call)

    finish(daemon)
    verify("kill -9 at: mid-completion", daemon, acknowledged, as_sent=False)


def files(statements):
    return any(statement.startswith("INSERT INTO instance") for statement in statements)


def saves(statements):
    return any(s.startswith("UPDATE view") and "scored_at" in s for s in statements)


def holds(statements):
    return any(s.startswith("UPDATE view") and "held_by" in s for s in statements)


def completes(statements):
    updates = [s.partition(" SET")[0] for s in statements if s.startswith(("UPDATE", "INSERT"))]
    return "UPDATE study" in updates and not files(statements) and "UPDATE view" not in updates


COMMITS = pytest.mark.parametrize("committed", [False, True], ids=["before", "after"])


@pytest.fixture
def relay(postgres_server):
    with commit_relay(postgres_server.port) as relay:
        yield relay


def in_words(committed, what):
    return f"kill -9 at: {'after' if committed else 'before'} COMMIT of {what}"


@pytest.mark.soak
@pytest.mark.postgres
@COMMITS
def test_on_postgresql_kills_at_the_commit_of_an_object_lose_nothing(
    committed, relay, department, random_model, new_database, start_daemon, verify
):
    url = relay.url(new_database("postgres"))
    daemon = start_daemon(
        roles="receive", database__url=url, model__path=random_model, study__quiet=A_LONG_WHILE
    )
    acknowledged = []
    for sample in department[:5]:
        trap = relay.set_trap(daemon.kill, committed=committed, matches=files)
        assert dcmtk.store_each(daemon.port, [sample.file]) == {}
        assert trap.sprung.wait(30)
        daemon.start(roles="receive")
        rows = daemon.sql(
            f"SELECT id FROM instance WHERE sop_instance_uid = '{sample.sop_instance_uid}'"  # noqa: S608
        )
        assert len(rows) == committed
        acknowledged += send(daemon, [sample])
    acknowledged += send(daemon, department[5:])

    finish(daemon)
    verify(in_words(committed, "an object"), daemon, acknowledged, times=5)


@pytest.mark.soak
@pytest.mark.postgres
@COMMITS
@pytest.mark.parametrize("what", [holds, saves], ids=["a hold", "results"])
def test_on_postgresql_kills_at_the_commits_of_scoring_cost_no_score(
    what, committed, relay, department, random_model, new_database, start_daemon, verify
):
    url = relay.url(new_database("postgres"))
    daemon = start_daemon(database__url=url, model__path=random_model)
    daemon.wait_for_scorer()
    victim = daemon.scorer_pid
    trap = relay.set_trap(
        lambda: os.kill(victim, signal.SIGKILL), committed=committed, matches=what
    )

    acknowledged = send(daemon, department)

    assert trap.sprung.wait(60)
    daemon.wait_for("scorer_ended", pid=victim)
    verify(in_words(committed, "a hold" if what is holds else "results"), daemon, acknowledged)


@pytest.mark.soak
@pytest.mark.postgres
def test_on_postgresql_a_kill_in_the_middle_of_a_batch_costs_no_score(
    department, random_model, new_database, start_daemon, verify
):
    daemon = start_daemon(database__url=new_database("postgres"), model__path=random_model)

    acknowledged = hold_and_kill(daemon, department[:8])

    acknowledged += send(daemon, department[8:])
    verify("kill -9 at: mid-batch", daemon, acknowledged)


@pytest.mark.soak
@pytest.mark.postgres
@COMMITS
def test_on_postgresql_a_kill_in_the_middle_of_a_completion_leaves_no_study_open(
    committed, relay, department, random_model, new_database, start_daemon, verify
):
    url = relay.url(new_database("postgres"))
    daemon = start_daemon(database__url=url, model__path=random_model, study__quiet=PATIENCE)
    acknowledged = receive_all(daemon, department)
    trap = relay.set_trap(daemon.kill, committed=committed, matches=completes)

    assert trap.sprung.wait(60)

    finish(daemon)
    verify(in_words(committed, "a completion"), daemon, acknowledged, as_sent=False)
