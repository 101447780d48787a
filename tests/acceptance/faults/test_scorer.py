"""Memory that ends in the scoring process, and model files that are not what they were."""

import resource
import time
from pathlib import Path

import pytest

from tests.support import dcmtk, models
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.dcmtk]


def send(daemon, samples):
    answers = dcmtk.store_each(daemon.port, [sample.file for sample in samples])
    assert set(answers.values()) == {"Success"}
    assert len(answers) == len(samples)
    return [sample.sop_instance_uid for sample in samples]


def memory_of(pid):
    """Return the bytes of address space that the process has."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0]) * resource.getpagesize()


@pytest.mark.soak
def test_a_scorer_whose_memory_ends_gives_its_views_to_the_next_one(
    department, random_model, start_daemon, verify
):
    daemon = start_daemon(model__path=random_model)
    daemon.wait_for_scorer()
    victim = daemon.scorer_pid
    # Before its first view: what that took, it keeps, and the next would find it.
    limit = memory_of(victim)
    resource.prlimit(victim, resource.RLIMIT_AS, (limit, limit))

    acknowledged = send(daemon, department)

    verify("scoring process out of memory", daemon, acknowledged)
    assert daemon.events("scorer_ended"), "its memory sufficed: the test has shown nothing"
    daemon.stop()


def damaged(model):
    """Yield what a broken copy may leave of a checkpoint: a name, and the bytes."""
    good = model.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    yield "noise", bytes(range(256)) * 64
    yield "nothing", b""
    yield "half of its header", good[: header // 2]
    yield "half of it", good[: len(good) // 2]
    yield "all but its last byte", good[:-1]


def wait_for_reason(daemon):
    def explained():
        rows = daemon.sql("SELECT reason FROM worklist WHERE status = 'complete'")
        return rows and all((row["reason"] or "").startswith("no_model: ") for row in rows)

    wait_until(explained, "the reason no_model in each row", seconds=60)


@pytest.mark.soak
def test_a_model_that_is_damaged_scores_nothing_until_a_whole_one_is_there(
    department, random_model, start_daemon, tmp_path, verify
):
    model = tmp_path / "model.safetensors"
    cases = list(damaged(random_model))
    model.write_bytes(cases[0][1])
    daemon = start_daemon(model__path=model)
    acknowledged = send(daemon, department)
    for name, content in cases:
        model.write_bytes(content)
        time.sleep(6)  # it looks every 5 s
        assert daemon.sql("SELECT id FROM view WHERE probability IS NOT NULL") == [], name
    wait_for_reason(daemon)

    model.write_bytes(random_model.read_bytes())

    verify("model file damaged", daemon, acknowledged, times=len(cases))
    daemon.stop()


@pytest.mark.soak
def test_a_model_that_is_written_slowly_is_not_used_before_it_is_whole(
    department, random_model, start_daemon, tmp_path, verify
):
    """The file has its full length from the beginning, as a copy that reserves space makes it."""
    model = tmp_path / "model.safetensors"
    good = random_model.read_bytes()
    daemon = start_daemon(model__path=model)
    acknowledged = send(daemon, department)
    step = len(good) // 40
    with model.open("wb", buffering=0) as file:
        file.truncate(len(good))
        for start in range(0, len(good), step):
            file.write(good[start : start + step])
            time.sleep(0.3)

    verify("model file half-written", daemon, acknowledged)
    daemon.stop()


@pytest.mark.soak
def test_a_model_that_is_replaced_counts_from_the_next_start_and_the_log_says_so(
    department, random_model, start_daemon, tmp_path, verify
):
    model = tmp_path / "model.safetensors"
    model.write_bytes(random_model.read_bytes())
    other = models.moved(random_model, tmp_path, bias=3.0)
    daemon = start_daemon(model__path=model)
    daemon.wait_for_scorer()
    acknowledged = send(daemon, department[:7])

    model.write_bytes(other.read_bytes())
    event = daemon.wait_for("model_replaced", seconds=30)
    acknowledged += send(daemon, department[7:])

    assert event["model"] == "random 1"
    assert str(model) in event["paths"]
    verify("model file replaced while running", daemon, acknowledged)
    daemon.stop()
    daemon.start()
    daemon.wait_for_scorer()
    assert daemon.events("scorer_ready")[-1]["model"] == "moved 1"
    daemon.stop()
