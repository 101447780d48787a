"""PostgreSQL goes away, comes back, cuts connections, has none left: no false success, no loss."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import pytest

from tests.support import dcmtk, postgres
from tests.support.requirements import require
from tests.support.sender import StubbornSender
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.dcmtk, pytest.mark.postgres]

REFUSED = "Refused: OutOfResources"  # 0xA700: the sender keeps it and comes again
MODES = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


@pytest.fixture(scope="module")
def server():
    """A server that nobody else uses."""
    require("postgres")
    with postgres.running() as server:
        yield server


def insist(daemon, samples, *, seconds=120):
    """Send the samples until each is acknowledged, as a PACS does."""
    sender = StubbornSender(daemon.port, samples, pause=0)
    try:
        sender.join(seconds)
    finally:
        sender.end()
    return sender.acknowledged


def refused(daemon, samples):
    """Send what cannot be stored now: the answer must be a failure that can be tried again."""
    answers = dcmtk.store_each(daemon.port, [sample.file for sample in samples])
    assert set(answers.values()) == {REFUSED}


def test_objects_are_refused_while_postgresql_is_away_and_stored_when_it_is_back(
    server, department, random_model, start_daemon, verify
):
    daemon = start_daemon(database__url=server.new_database(), model__path=random_model)
    acknowledged = insist(daemon, department[:7])

    server.stop(signal.SIGINT)
    refused(daemon, department[7:10])
    server.start()

    acknowledged += insist(daemon, department[7:])
    verify("PostgreSQL stopped and started", daemon, acknowledged)
    assert daemon.events("loop_failed") == []
    daemon.stop()


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES)
def test_restarts_of_postgresql_in_the_midst_of_traffic_lose_nothing(
    mode, server, hospital, undisturbed_hospital, random_model, start_daemon, verify
):
    daemon = start_daemon(database__url=server.new_database(), model__path=random_model)
    daemon.wait_for_scorer()
    sender = StubbornSender(daemon.port, hospital, pause=0.2)
    try:
        for number in range(6):
            time.sleep(1 + number / 3)
            server.stop(MODES[mode])
            time.sleep(number / 3)
            server.start()
        sender.join(300)
    finally:
        sender.end()

    assert sender.interrupted, "no restart hit a transfer"
    verify(
        f"PostgreSQL restarted, {mode} mode", daemon, sender.acknowledged, times=6,
        among=hospital, expected=undisturbed_hospital,
    )  # fmt: skip
    assert daemon.events("loop_failed") == []
    daemon.stop()


TERMINATE = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = 'triage' AND xact_start IS NOT NULL
"""


@contextmanager
def terminating(server, killed):
    """End connections in the middle of their transactions, again and again."""
    over = threading.Event()

    def terminate():
        while not over.wait(0.02):
            killed[0] += server.execute(TERMINATE)[0][0]

    thread = threading.Thread(target=terminate)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.soak
def test_connections_that_are_killed_in_a_transaction_lose_nothing(
    server, hospital, undisturbed_hospital, random_model, start_daemon, verify
):
    daemon = start_daemon(database__url=server.new_database(), model__path=random_model)
    daemon.wait_for_scorer()
    sender = StubbornSender(daemon.port, hospital, pause=0.1)
    killed = [0]
    try:
        with terminating(server, killed):
            wait_until(
                lambda: len(sender.acknowledged) > len(hospital) * 2 // 3, "most of it", seconds=300
            )
        sender.join(300)
    finally:
        sender.end()

    assert killed[0] > 20
    verify(
        "PostgreSQL connection killed in a transaction", daemon, sender.acknowledged,
        times=killed[0], among=hospital, expected=undisturbed_hospital,
    )  # fmt: skip
    assert daemon.events("loop_failed") == []
    daemon.stop()


@pytest.mark.soak
def test_objects_are_refused_while_postgresql_has_no_connection_left(
    server, department, random_model, start_daemon, verify
):
    url = server.new_database(owner="crowded")
    daemon = start_daemon(database__url=url, model__path=random_model)
    daemon.wait_for_scorer()
    acknowledged = insist(daemon, department[:7])

    server.execute("ALTER ROLE crowded CONNECTION LIMIT 0")
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crowded'"
    )
    refused(daemon, department[7:10])
    server.execute("ALTER ROLE crowded CONNECTION LIMIT -1")

    acknowledged += insist(daemon, department[7:])
    verify("PostgreSQL out of connections", daemon, acknowledged)
    daemon.stop()


@pytest.mark.soak
def test_a_postgresql_that_hangs_gets_no_false_success(
    server, department, random_model, start_daemon, verify
):
    daemon = start_daemon(database__url=server.new_database(), model__path=random_model)
    daemon.wait_for_scorer()
    acknowledged = insist(daemon, department[:7])
    backends = [pid for (pid,) in server.execute("SELECT pid FROM pg_stat_activity")]

    everyone = [server.pid, *backends]  # a backend leads a process group of its own
    for pid in everyone:
        _signal(pid, signal.SIGSTOP)
    sender = StubbornSender(daemon.port, department[7:], pause=0)
    try:
        time.sleep(8)
        assert sender.acknowledged == []
        for pid in everyone:
            _signal(pid, signal.SIGCONT)
        sender.join(120)
    finally:
        sender.end()

    verify("PostgreSQL hangs for 8 s", daemon, acknowledged + sender.acknowledged)
    daemon.stop()


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # a backend that has ended meanwhile
        return
