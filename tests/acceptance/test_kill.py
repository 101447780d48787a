"""kill -9 of the daemon while a sender sends: nothing acknowledged is lost, nothing scored twice."""

import time

import numpy as np
import pytest

from tests.support import studies
from tests.support.sender import StubbornSender
from tests.support.waiting import wait_until

OBJECTS, VIEWS = 200, 4
KINDS = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    return [
        sample
        for start in range(0, OBJECTS, VIEWS)
        for sample in studies.write_study(
            folder,
            f"KILL{start:03}",
            [studies.picture(number) for number in range(start, start + VIEWS)],
        )
    ]


@pytest.fixture(scope="module")
def undisturbed(samples, random_model, score_directly):
    """What the views score when nobody kills anything, by SOP Instance UID."""
    probabilities = score_directly(random_model, [sample.pixels for sample in samples])
    assert len(set(probabilities)) == OBJECTS, "mixed up views would go unnoticed"
    return {s.sop_instance_uid: p for s, p in zip(samples, probabilities, strict=True)}


def kill_and_restart(daemon, sender, random, number):
    """Kill it at a random moment of a transfer, every other time while it scores as well."""
    if number % 2:
        daemon.wait_for_scorer()
    time.sleep(random.uniform(0, 1.5))
    sender.in_flight.wait(1)
    time.sleep(random.uniform(0, 0.02))
    if number % 3 == 2:
        daemon.kill_alone()
    else:
        daemon.kill()
    daemon.start()


def survive(daemon, samples, kills, seed):
    """Send the samples and kill the daemon *kills* times meanwhile; return what was acknowledged."""
    random = np.random.default_rng(seed)
    sender = StubbornSender(daemon.port, samples, pause=5.0 * kills / len(samples))
    try:
        for number in range(kills):
            kill_and_restart(daemon, sender, random, number)
        sender.join(200)
    finally:
        sender.end()
    assert sender.interrupted, "no kill hit a transfer: the test has shown nothing"
    return sender.acknowledged


def check(daemon, undisturbed, acknowledged):
    assert sorted(acknowledged) == sorted(undisturbed)
    wait_until(
        lambda: (
            not daemon.sql(
                "SELECT id FROM study WHERE status <> 'scored'"
                " UNION ALL SELECT id FROM view WHERE state <> 'scored'"
            )
        ),
        "everything scored",
        seconds=120,
    )
    rows = daemon.sql("SELECT * FROM worklist")
    assert len(rows) == OBJECTS // VIEWS
    assert {(row["views"], row["views_scored"]) for row in rows} == {(VIEWS, VIEWS)}
    served = daemon.sql(
        "SELECT instance.sop_instance_uid, view.probability FROM view"
        " JOIN instance ON instance.id = view.instance_id"
    )
    assert len(served) == OBJECTS
    uids = [row["study_instance_uid"] for row in rows]
    assert {row["sop_instance_uid"]: row["probability"] for row in served} == pytest.approx(
        undisturbed, rel=0, abs=1e-6
    )
    for row, shown in zip(rows, daemon.show(*uids), strict=True):
        expected = [undisturbed[view["sop_instance_uid"]] for view in shown["instances"]]
        assert row["probability"] == pytest.approx(np.mean(expected), rel=0, abs=1e-6)


@pytest.mark.parametrize(
    "kind", ["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.soak])]
)
def test_no_acknowledged_image_is_lost_and_none_scored_twice_over_two_kills(
    kind, samples, undisturbed, random_model, new_database, start_daemon
):
    daemon = start_daemon(database__url=new_database(kind), model__path=random_model)

    acknowledged = survive(daemon, samples, kills=2, seed=3)

    check(daemon, undisturbed, acknowledged)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_no_acknowledged_image_is_lost_and_none_scored_twice_over_twenty_kills(
    kind, samples, undisturbed, random_model, new_database, start_daemon
):
    daemon = start_daemon(database__url=new_database(kind), model__path=random_model)

    acknowledged = survive(daemon, samples, kills=20, seed=20)

    check(daemon, undisturbed, acknowledged)
