"""How many are let in."""

from triage.dicom.gate import Gate

A_PEER, ANOTHER = "192.0.2.1", "192.0.2.2"


def test_there_are_places_for_so_many_and_each_that_leaves_frees_one():
    gate = Gate(at_once=2, per_peer=2, per_second=0)

    assert [gate.enter(A_PEER, 0), gate.enter(ANOTHER, 0)] == ["", ""]
    assert gate.enter("192.0.2.3", 0) == "dicom.max_associations"
    gate.leave(A_PEER)
    assert gate.enter("192.0.2.3", 0) == ""


def test_a_peer_with_all_its_places_taken_leaves_those_of_the_others():
    gate = Gate(at_once=10, per_peer=2, per_second=0)

    entered = [gate.enter(A_PEER, 0) for _ in range(4)]

    assert entered == ["", "", *["dicom.max_associations_per_peer"] * 2]
    assert gate.enter(ANOTHER, 0) == ""
    gate.leave(A_PEER)
    assert gate.enter(A_PEER, 0) == ""


def test_a_peer_comes_no_more_often_than_it_may_and_one_that_paused_may_again():
    gate = Gate(at_once=1000, per_peer=1000, per_second=5)

    burst = [gate.enter(A_PEER, 100.0) for _ in range(7)]

    assert burst == [*[""] * 5, *["dicom.max_associations_per_second"] * 2]
    assert gate.enter(ANOTHER, 100.0) == ""
    assert [gate.enter(A_PEER, 100.4) for _ in range(3)] == [
        *[""] * 2,
        "dicom.max_associations_per_second",
    ]
    assert [gate.enter(A_PEER, 999.0) for _ in range(6)].count("") == 5


def test_the_pace_of_a_peer_can_be_left_unlimited():
    gate = Gate(at_once=1000, per_peer=1000, per_second=0)

    assert {gate.enter(A_PEER, 0) for _ in range(1000)} == {""}


def test_the_addresses_of_a_whole_network_do_not_pile_up():
    gate = Gate(at_once=10, per_peer=10, per_second=1)

    for number in range(20_000):
        address = f"2001:db8::{number:x}"
        assert gate.enter(address, number / 1000) == ""
        gate.leave(address)

    assert len(gate._paces) < 10_000
    assert not gate._inside
