"""Turning away more at once than are kept: whoever said a word has its answer."""

import socket
import threading

from tests.support.pdus import LOCAL_LIMIT_EXCEEDED, answer_of, request
from triage.dicom import refusal


def test_whoever_has_spoken_is_answered_before_one_is_let_go_for_another(monkeypatch):
    monkeypatch.setattr(refusal, "AT_MOST", 2)
    slow = threading.Event()
    pairs = [socket.socketpair() for _ in range(8)]
    said = []

    def say(title):
        slow.wait(10)  # so that the others wait together
        said.append(title)

    refuser = refusal.Refuser()
    try:
        for ours, peer in pairs:
            peer.sendall(request(calling=b"MANY"))
            if len(said) + refuser._arrived.qsize() >= 2:
                slow.set()
            refuser.take(ours, LOCAL_LIMIT_EXCEEDED, say)

        assert [answer_of(peer) for _, peer in pairs] == [LOCAL_LIMIT_EXCEEDED] * len(pairs)
        assert said == ["MANY"] * len(pairs)
    finally:
        slow.set()
        refuser.close()
        for _, peer in pairs:
            peer.close()


def test_of_those_who_say_nothing_the_oldest_goes_first(monkeypatch):
    monkeypatch.setattr(refusal, "AT_MOST", 2)
    pairs = [socket.socketpair() for _ in range(3)]
    refuser = refusal.Refuser()
    try:
        for ours, _ in pairs:
            refuser.take(ours, LOCAL_LIMIT_EXCEEDED)

        assert pairs[0][1].recv(1) == b""
        for _, peer in pairs[1:]:
            peer.sendall(request())
            assert answer_of(peer) == LOCAL_LIMIT_EXCEEDED
    finally:
        refuser.close()
        for _, peer in pairs:
            peer.close()
