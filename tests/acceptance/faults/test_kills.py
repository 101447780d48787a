"""kill -9 of any process at any moment: nothing acknowledged is lost, nothing counts twice."""

import os
import signal
import time
from contextlib import suppress

import numpy as np
import pytest

from tests.support.daemon import free_port
from tests.support.processes import decoders_of
from tests.support.reader import StubbornReader
from tests.support.sender import StubbornSender
from tests.support.waiting import wait_until

KINDS = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))
IN_A_ROW = 4  # kills of one process, before the pause between its starts grows too long


def kill_daemon(daemon, sender, random, number):
    """Kill it in a transfer: every third time alone, so that its scoring process is an orphan."""
    if number % 2:
        daemon.wait_for_scorer()  # so that it scores as well
    time.sleep(random.uniform(0, 1.5))
    sender.in_flight.wait(1)
    time.sleep(random.uniform(0, 0.02))
    if number % 3 == 2:
        daemon.kill_alone()
    else:
        daemon.kill()
    daemon.start()


def kill_scorer(daemon, _sender, random, number):
    """Kill it while it loads or scores."""
    if number and number % IN_A_ROW == 0:
        daemon.stop()
        daemon.start()
    daemon.wait_for("scorer_started")
    if number % 3:
        daemon.wait_for_scorer()
    time.sleep(random.uniform(0, 2))
    victim = daemon.scorer_pid
    os.kill(victim, signal.SIGKILL)
    daemon.wait_for("scorer_ended", pid=victim)
    wait_until(lambda: daemon.scorer_pid != victim, "another scoring process", seconds=60)


def kill_decoder(daemon, _sender, random, _number):
    """Kill one of them, whatever it does."""
    daemon.wait_for_scorer()
    found = wait_until(lambda: sorted(decoders_of(daemon.scorer_pid)), "decoders", seconds=60)
    time.sleep(random.uniform(0, 0.7))
    victim = int(random.choice(found))
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    wait_until(
        lambda: victim not in decoders_of(daemon.scorer_pid), "the end of the decoder", seconds=60
    )


def kill_web(daemon, _sender, random, number):
    """Kill the web process while a reader claims and gives up."""
    if number and number % IN_A_ROW == 0:
        daemon.stop()
        daemon.start(roles=WITH_WEB)
    daemon.wait_for("web_started")
    victim = daemon.events("web_started")[-1]["pid"]
    time.sleep(random.uniform(0, 4))  # it begins to answer after 1 or 2
    os.kill(victim, signal.SIGKILL)
    wait_until(
        lambda: daemon.events("web_started")[-1]["pid"] != victim, "another web process", seconds=60
    )


WITH_WEB = "receive,score,web"
KILLS = {"daemon": kill_daemon, "scoring process": kill_scorer, "decoding process": kill_decoder}


def survive(daemon, samples, victims, *, seed, pause):
    """Send the samples and kill *victims* meanwhile, one after the other."""
    random = np.random.default_rng(seed)
    sender = StubbornSender(daemon.port, samples, pause=pause)
    try:
        for number, victim in enumerate(victims):
            KILLS[victim](daemon, sender, random, number)
        sender.join(600)
    finally:
        sender.end()
    assert sorted(sender.acknowledged) == sorted(s.sop_instance_uid for s in samples)
    return sender


def test_a_kill_of_each_process_costs_nothing(department, random_model, start_daemon, verify):
    daemon = start_daemon(model__path=random_model)
    victims = list(KILLS)

    sender = survive(daemon, department, victims, seed=3, pause=0.7)

    verify("kill -9 at random", daemon, sender.acknowledged, times=len(victims))


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("victim", "times", "pause"),
    [("daemon", 60, 1.7), ("scoring process", 24, 1.0), ("decoding process", 40, 0.4)],
)
def test_many_kills_cost_nothing(
    kind, victim, times, pause, hospital, undisturbed_hospital, random_model, new_database,
    start_daemon, verify,
):  # fmt: skip
    daemon = start_daemon(database__url=new_database(kind), model__path=random_model)

    sender = survive(daemon, hospital, [victim] * times, seed=times, pause=pause)

    if victim == "daemon":
        assert sender.interrupted, "no kill hit a transfer: the test has shown nothing"
    verify(
        f"kill -9 at random: {victim}",
        daemon,
        sender.acknowledged,
        times=times,
        among=hospital,
        expected=undisturbed_hospital,
    )


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_many_kills_of_the_web_process_cost_no_reader_a_claim(
    kind, hospital, undisturbed_hospital, random_model, new_database, start_daemon, verify
):
    port = free_port()
    daemon = start_daemon(
        roles=WITH_WEB, database__url=new_database(kind), model__path=random_model, web__port=port
    )
    reader = StubbornReader(port)
    random = np.random.default_rng(24)
    sender = StubbornSender(daemon.port, hospital, pause=0.5)
    try:
        for number in range(24):
            kill_web(daemon, sender, random, number)
        sender.join(600)
        reader.end()
    finally:
        sender.end()

    (claims,) = daemon.sql("SELECT count(*) AS n FROM audit WHERE kind = 'claimed'")
    assert reader.unheard, "no kill hit a reader's request: the test has shown nothing"
    assert claims["n"] >= reader.claimed > 24
    assert daemon.sql("SELECT 1 FROM study WHERE claimed_by IS NOT NULL") == []
    verify(
        "kill -9 at random: web process",
        daemon,
        sender.acknowledged,
        times=24,
        among=hospital,
        expected=undisturbed_hospital,
    )
