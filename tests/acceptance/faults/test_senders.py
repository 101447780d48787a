"""Senders that misbehave in a crowd, and one study from everywhere: the others are unharmed."""

import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import numpy as np
import pytest

from tests.acceptance.test_hostile_peers import (
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    DATA_TF,
    answer_of,
    pdu,
    request,
    store_request,
)
from tests.support import dcmtk
from tests.support.daemon import HOST
from tests.support.sender import StubbornSender

# What a single bad peer can do is tried in test_hostile_peers.py, in every run.
pytestmark = [pytest.mark.dcmtk, pytest.mark.soak]

KINDS = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))
REFUSED = "Refused: OutOfResources"


ABORT = pdu(7, bytes(4))  # PS3.8 9.3.8
OBJECT = b"".join(store_request(bytes(50_000)))
MISBEHAVIOUR = {
    "silent in the middle of an object": [request(), OBJECT[:20_000]],
    "aborts in the middle of an object": [request(), OBJECT[:16_390], ABORT],
    "garbage in the middle of an object": [request(), OBJECT[:16_390], bytes(range(256)) * 100],
    "half a PDU": [request(), pdu(DATA_TF, bytes(100), claimed=5000)],
    "a length of 4 GiB": [request(), pdu(DATA_TF, b"", claimed=0xFFFF_FFFF)],
    "a request of 4 GiB": [pdu(ASSOCIATE_RQ, b"", claimed=0xFFFF_FFFF)],
    "garbage": [np.random.default_rng(1).bytes(20_000)],
}


@contextmanager
def misbehaving(daemon, kinds):
    """Have a peer of each kind connected."""
    with ExitStack() as peers:
        for pieces in kinds:
            peer = peers.enter_context(socket.create_connection((HOST, daemon.port), timeout=30))
            with suppress(OSError):  # the daemon may have closed it already
                for piece in pieces:
                    peer.sendall(piece)
                    if piece[0] == ASSOCIATE_RQ and len(pieces) > 1:
                        assert answer_of(peer)[0] == ASSOCIATE_AC
        yield


def insist(daemon, samples):
    sender = StubbornSender(daemon.port, samples, pause=0)
    try:
        sender.join(120)
    finally:
        sender.end()
    return sender.acknowledged


def test_peers_that_misbehave_harm_no_other(department, random_model, start_daemon, verify):
    daemon = start_daemon(model__path=random_model)
    crowd = list(MISBEHAVIOUR.values()) * 4

    with misbehaving(daemon, crowd):
        acknowledged = insist(daemon, department)

    verify("sender misbehaves", daemon, acknowledged, times=len(crowd))
    assert daemon.events("store_failed") == []
    daemon.stop()


SLOTS = 16
TRANSIENT_LOCAL_LIMIT = (2, 3, 2)  # PS3.8 9.3.4: result, source (presentation), reason


def knock(port):
    """Ask for an association; return its connection and how that was answered."""
    peer = socket.create_connection((HOST, port), timeout=60)
    peer.sendall(request())
    return peer, answer_of(peer)


def test_five_hundred_associations_at_once_harm_none_that_were_accepted(
    department, random_model, start_daemon, verify
):
    daemon = start_daemon(model__path=random_model, dicom__max_associations=SLOTS)
    with ExitStack() as stack:
        with ThreadPoolExecutor(100) as threads:
            knocks = list(threads.map(lambda _: knock(daemon.port), range(500)))
        for peer, _ in knocks:
            stack.enter_context(peer)
        accepted = [peer for peer, answer in knocks if answer and answer[0] == ASSOCIATE_AC]
        rejected = [answer for _, answer in knocks if answer and answer[0] == ASSOCIATE_RJ]

        assert 0 < len(accepted) <= SLOTS
        assert len(accepted) + len(rejected) == 500
        assert {tuple(answer[7:10]) for answer in rejected} == {TRANSIENT_LOCAL_LIMIT}
        for peer in accepted:  # they are served, whatever there is to say of such an object
            peer.sendall(OBJECT)
            assert answer_of(peer)[0] == DATA_TF

    acknowledged = insist(daemon, department)
    verify("500 associations at once", daemon, acknowledged, times=500)
    daemon.stop()


def send_everything(port, samples, seed):
    """Send the samples in an order of its own; return what was answered for each."""
    order = np.random.default_rng(seed).permutation(len(samples))
    return dcmtk.store_each(port, [samples[number].file for number in order])


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_studies_over_twenty_associations_are_there_once(
    kind, department, random_model, new_database, start_daemon, verify
):
    daemon = start_daemon(database__url=new_database(kind), model__path=random_model)

    with ThreadPoolExecutor(20) as threads:
        answers = list(
            threads.map(lambda seed: send_everything(daemon.port, department, seed), range(20))
        )

    given = Counter(answer for each in answers for answer in each.values())
    assert given.keys() <= {"Success", REFUSED}, given
    assert given.total() == 20 * len(department)
    acknowledged = insist(daemon, department)
    # They came in any order, and each study when its first object did.
    verify("same studies over 20 associations", daemon, acknowledged, times=20, as_sent=False)
    daemon.stop()
