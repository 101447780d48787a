"""Who holds a view, and whether that process has ended."""

import os
import subprocess
import time

import pytest

from triage.pipeline.holder import holder, is_dead


@pytest.fixture
def process():
    """A process of ours that does nothing."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_that_runs_is_not_dead(process):
    assert not is_dead(holder(process.pid))
    assert not is_dead(holder(os.getpid()))


def test_a_process_that_has_ended_is_dead_before_and_after_it_is_reaped(process):
    name = holder(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie now

    assert is_dead(name)
    assert name == holder(process.pid)
    process.wait()
    assert is_dead(name)


def test_another_process_with_the_same_number_does_not_keep_the_hold(process):
    host, place, start, pid = holder(process.pid).rsplit(":", 3)

    assert is_dead(f"{host}:{place}:{int(start) - 1}:{pid}")


def test_two_processes_never_share_a_name(process):
    time.sleep(0.02)  # the clock that tells their starts ticks a hundred times a second
    assert holder(process.pid) != holder(os.getpid())


@pytest.mark.parametrize("part", ["host", "place"])
def test_nothing_is_known_of_a_process_on_another_machine_or_in_another_container(process, part):
    name = dict(
        zip(("host", "place", "start", "pid"), holder(process.pid).rsplit(":", 3), strict=True)
    )
    process.kill()
    process.wait()
    elsewhere = name | {part: "elsewhere"}

    assert is_dead(":".join(name.values()))
    assert not is_dead(":".join(elsewhere.values()))


def test_a_name_of_an_older_version_is_left_to_its_time(process):
    assert not is_dead("host:12345")
