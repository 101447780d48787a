"""How often somebody may try."""

from triage.core import attempts
from triage.core.attempts import Attempts


def test_as_many_as_the_limit_may_be_tried_and_then_one_waits_for_the_first_to_be_forgotten():
    tries = Attempts(3, 60.0)
    for now in (0.0, 10.0, 20.0):
        assert tries.wait("anna", now) == 0
        tries.count("anna", now)

    assert tries.wait("anna", 25.0) == 35.0
    assert tries.wait("bob", 25.0) == 0
    assert tries.wait("anna", 60.0) == 0

    tries.count("anna", 60.0)

    assert tries.wait("anna", 61.0) == 9.0


def test_a_try_that_is_taken_back_does_not_count():
    tries = Attempts(1, 60.0)
    tries.count("anna", 0.0)
    tries.take_back("anna")
    tries.take_back("nobody")

    assert tries.wait("anna", 1.0) == 0


def test_those_that_tried_longest_ago_are_forgotten_where_too_many_try(monkeypatch):
    monkeypatch.setattr(attempts, "KEYS", 2)
    tries = Attempts(1, 60.0)
    for now, name in enumerate(["anna", "bob", "anna", "carl"]):
        tries.count(name, now)

    assert [bool(tries.wait(name, 4)) for name in ("anna", "bob", "carl")] == [True, False, True]
