"""The network's threads: as many as cores, or as the environment says."""

import pytest

from triage.model.cores import usable_cores, usable_threads


@pytest.mark.parametrize(("said", "threads"), [("1", 1), ("7", 7), ("3,2", 3)])
def test_openmps_variable_says_how_many_threads_there_are(said, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)

    assert usable_threads() == threads


@pytest.mark.parametrize("said", ["", "many", "-1", "0"])
def test_without_a_number_there_they_are_the_cores(said, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)

    assert usable_threads() == usable_cores()
