"""Several daemons on one PostgreSQL and one spool: each may die, the others finish its work."""

import os
import signal
import time
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from tests.support.daemon import daemon_in
from tests.support.sender import StubbornSender
from tests.support.waiting import wait_until
from triage.store.scoring import HOLD

pytestmark = [pytest.mark.postgres, pytest.mark.soak]

# A host name of its own: nobody here can ask for its processes, as on another machine.
ELSEWHERE = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec "$@"', "sh"]


@pytest.fixture
def start_several(new_database, random_model, tmp_path):
    """Return a function that starts daemons on one database and one spool, each with its roles."""
    with ExitStack() as running:
        url = new_database("postgres")

        def start(*roles, prefix=()):
            return [
                running.enter_context(
                    daemon_in(
                        _made(tmp_path / f"daemon{len(list(tmp_path.iterdir()))}"),
                        roles=role,
                        prefix=prefix,
                        database__url=url,
                        spool__directory=tmp_path / "spool",
                        model__path=random_model,
                    )
                )
                for role in roles
            ]

        yield start


def _made(folder):
    folder.mkdir()
    return folder


@contextmanager
def sending(daemons, samples, pause):
    """Send to all the daemons at once, every study to each of them in part."""
    senders = [
        StubbornSender(daemon.port, samples[start :: len(daemons)], pause=pause)
        for start, daemon in enumerate(daemons)
    ]
    try:
        yield senders
    finally:
        for sender in senders:
            sender.end()


def acknowledged_of(senders, seconds=300):
    for sender in senders:
        sender.join(seconds)
    return [uid for sender in senders for uid in sender.acknowledged]


HELD_BY = "SELECT id FROM view WHERE state = 'pending' AND held_by LIKE '%:{}'"


def wait_until_held(daemon):
    """Wait until the daemon's scoring process holds views; return their row ids."""
    query = HELD_BY.format(daemon.scorer_pid)
    return {row["id"] for row in wait_until(lambda: daemon.sql(query), "held views", every=0.001)}


def test_the_survivors_of_three_daemons_finish_everything(department, start_several, verify):
    receiver, scorer, both = start_several("receive", "score", "receive,score")
    with sending([receiver, both], department, pause=0.2) as senders:
        scorer.wait_for_scorer()
        wait_until_held(scorer)
        scorer.kill()
        time.sleep(0.5)
        receiver.kill()
        receiver.start(roles="receive")
        acknowledged = acknowledged_of(senders)

    verify("one of three daemons killed", both, acknowledged, times=2, as_sent=False)


def test_what_a_dead_machine_held_is_taken_over_within_seconds(
    department, start_several, verify, report_figure
):
    (there,) = start_several("score", prefix=ELSEWHERE)
    there.wait_for_scorer()
    os.kill(there.scorer_pid, signal.SIGSTOP)
    (here,) = start_several("receive,score")
    here.wait_for_scorer()
    os.kill(here.scorer_pid, signal.SIGSTOP)
    with sending([here], department, pause=0) as senders:
        acknowledged = acknowledged_of(senders)
    os.kill(there.scorer_pid, signal.SIGCONT)
    held = wait_until_held(there)

    there.kill()
    killed = time.monotonic()
    os.kill(here.scorer_pid, signal.SIGCONT)
    still = f"SELECT id FROM view WHERE state = 'pending' AND id IN ({', '.join(map(str, held))})"  # noqa: S608
    assert here.sql(still), "it had saved them all before it was killed"
    wait_until(lambda: not here.sql(still), "their scores", seconds=60)
    seconds = time.monotonic() - killed

    report_figure(f"what a dead machine held is scored {seconds:.1f} s after its death")
    verify("machine of a scorer dead", here, acknowledged, as_sent=False)


def test_a_scorer_that_was_only_slow_saves_nothing_twice(department, start_several, verify):
    slow, quick = start_several("receive,score", "score")
    slow.wait_for_scorer()
    quick.wait_for_scorer()
    os.kill(quick.scorer_pid, signal.SIGSTOP)
    with sending([slow], department, pause=0) as senders:
        wait_until_held(slow)
        os.kill(slow.scorer_pid, signal.SIGSTOP)
        acknowledged = acknowledged_of(senders)
    held = slow.sql(HELD_BY.format(slow.scorer_pid))
    assert held, "it had saved them all before it was stopped"

    os.kill(quick.scorer_pid, signal.SIGCONT)
    wait_until(
        lambda: not slow.sql("SELECT id FROM view WHERE state = 'pending'"),
        "the other one's work",
        seconds=HOLD.total_seconds() + 60,
    )
    before = slow.sql("SELECT id, scored_at FROM view ORDER BY id")
    os.kill(slow.scorer_pid, signal.SIGCONT)
    time.sleep(5)

    assert slow.sql("SELECT id, scored_at FROM view ORDER BY id") == before
    verify("scorer stopped beyond its hold", quick, acknowledged, as_sent=False)


def test_three_daemons_with_all_roles_survive_kills_at_random(
    hospital, undisturbed_hospital, start_several, verify
):
    daemons = start_several(*["receive,score"] * 3)
    random = np.random.default_rng(11)
    with sending(daemons, hospital, pause=1.0) as senders:
        for number in range(24):
            time.sleep(random.uniform(0, 3))
            victim = daemons[random.integers(3)]
            if number % 3 == 2:
                victim.kill_alone()
            else:
                victim.kill()
            victim.start()
        acknowledged = acknowledged_of(senders)

    assert sum(sender.interrupted for sender in senders) > 0
    verify(
        "kill -9 at random: one of three daemons", daemons[0], acknowledged, times=24,
        among=hospital, expected=undisturbed_hospital, as_sent=False,
    )  # fmt: skip
