"""Requests that the receiver does not serve: each has its answer, or its end, and its line."""

import gc
import re
import socket
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from struct import pack

import pytest

from tests.support import pdus
from tests.support.daemon import HOST, free_port
from tests.support.pdus import ABORT, ASSOCIATE_AC, COMPUTED_RADIOGRAPHY, answer_of, message
from tests.support.receiving import receiving
from tests.support.waiting import wait_until

VERIFICATION = b"1.2.840.10008.1.1\0"
CR = COMPUTED_RADIOGRAPHY + b"\0"
ECG = b"1.2.840.10008.5.1.4.1.1.9.1.1\0"  # 12-lead ECG Waveform Storage, which is not taken
PRIVATE = b"1.2.3.4.5\0"
# PS3.7 annex E.1: the elements of command sets, and the commands.
SOP_CLASS, REQUESTED_CLASS, COMMAND, MESSAGE_ID, ANSWERED = 0x0002, 0x0003, 0x0100, 0x0110, 0x0120
PRIORITY, DATA_SET, STATUS, COMMENT = 0x0700, 0x0800, 0x0900, 0x0902
INSTANCE, REQUESTED_INSTANCE, EVENT_TYPE = 0x1000, 0x1001, 0x1002
STORE, GET, FIND, MOVE, ECHO, CANCEL = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF
EVENT_REPORT, N_GET, N_SET, ACTION, CREATE, DELETE = range(0x0100, 0x0151, 0x0010)
NO_DATA_SET, SOME = pack("<H", 0x0101), pack("<H", 1)


def command(field, *, without=(), **changed):
    """Return the elements of a request, but for *without*, and some *changed* by their names."""
    made = {
        SOP_CLASS: VERIFICATION if field == ECHO else CR,
        COMMAND: pack("<H", field),
        MESSAGE_ID: pack("<H", 7),
        DATA_SET: NO_DATA_SET,
    }
    if field == STORE:
        made |= {PRIORITY: pack("<H", 0), DATA_SET: SOME, INSTANCE: b"1.2.3\0"}
    if field == EVENT_REPORT:
        made |= {INSTANCE: b"1.2.3\0", EVENT_TYPE: pack("<H", 1)}
    if field in (N_GET, N_SET, ACTION, DELETE):
        made |= {REQUESTED_CLASS: made.pop(SOP_CLASS), REQUESTED_INSTANCE: b"1.2.3\0"}
    made |= {globals()[name]: value for name, value in changed.items()}
    return {tag: value for tag, value in made.items() if tag not in without}


def sent(field, *, context_id=1, **options):
    data_set = bytes(40) if field == STORE else None
    return message(command(field, **options), data_set=data_set, context_id=context_id)


@dataclass
class Listening:
    """A receiver that all tests share: what it kept and told since the test began."""

    port: int
    kept: list
    events: list

    def named(self, name):
        return [event for event in self.events if event["event"] == name]


@pytest.fixture(scope="module")
def shared():
    kept = []
    port = free_port()
    with receiving(port, kept.append) as (receiver, events):
        yield receiver, Listening(port, kept, events)


@pytest.fixture
def listening(shared):
    receiver, listening = shared
    listening.kept.clear()
    listening.events.clear()
    yield listening
    wait_until(lambda: not receiver._server.active_associations, "no thread is left")


@contextmanager
def associated(port, sop_class=COMPUTED_RADIOGRAPHY):
    with socket.create_connection((HOST, port), timeout=30) as peer:
        peer.sendall(pdus.request(sop_class=sop_class.rstrip(b"\0")))
        assert answer_of(peer)[0] == ASSOCIATE_AC
        yield peer


def status_of(peer):
    answer = answer_of(peer)
    assert answer[0] == pdus.DATA_TF, answer
    elements = pdus.elements_of(answer)
    assert elements[ANSWERED] == pack("<H", 7)
    return int.from_bytes(elements[STATUS], "little"), elements


REFUSED = {
    "C-STORE without SOP class": (CR, sent(STORE, without=(SOP_CLASS,)), 0x0212, "argument"),
    "C-STORE with an empty one": (CR, sent(STORE, SOP_CLASS=b""), 0x0212, "argument"),
    "C-STORE without instance": (CR, sent(STORE, without=(INSTANCE,)), 0x0212, "argument"),
    "C-STORE of another class": (CR, sent(STORE, SOP_CLASS=ECG), 0x0212, "argument"),
    "C-STORE of a private class": (CR, sent(STORE, SOP_CLASS=PRIVATE), 0x0212, "argument"),
    "C-STORE of rubbish": (CR, sent(STORE, SOP_CLASS=b"\xe9\x1b[2J\xff\n"), 0x0212, "argument"),
    "C-STORE of Verification": (CR, sent(STORE, SOP_CLASS=VERIFICATION), 0x0212, "argument"),
    "and in its context": (
        VERIFICATION,
        sent(STORE, SOP_CLASS=VERIFICATION),
        0x0211,
        "operation",
    ),
    "C-STORE in its context": (VERIFICATION, sent(STORE), 0x0211, "operation"),
    "C-ECHO without SOP class": (
        VERIFICATION,
        sent(ECHO, without=(SOP_CLASS,)),
        0x0212,
        "argument",
    ),
    "C-ECHO of storage": (CR, sent(ECHO, SOP_CLASS=CR), 0x0211, "operation"),
    "N-EVENT-REPORT": (CR, sent(EVENT_REPORT), 0x0211, "operation"),
    "N-EVENT-REPORT without instance": (
        CR,
        sent(EVENT_REPORT, without=(INSTANCE,)),
        0x0211,
        "operation",
    ),
    **{
        f"{field:04X}": (CR, sent(field), 0x0211, "operation")
        for field in (FIND, GET, MOVE, N_GET, N_SET, ACTION, CREATE, DELETE)
    },
}


@pytest.mark.parametrize(("context", "request_", "status", "check"), REFUSED.values(), ids=REFUSED)
def test_a_request_that_is_not_served_is_answered_and_told(
    listening, context, request_, status, check
):
    with associated(listening.port, context) as peer:
        peer.sendall(request_)

        answered, elements = status_of(peer)

        # The association goes on.
        peer.sendall(sent(ECHO))
        assert status_of(peer)[0] == 0x0000
    (ended,) = wait_until(lambda: listening.named("association_ended"), "it has ended")

    assert answered == status
    (told,) = listening.named("request_refused")
    assert (told["status"], told["check"]) == (f"{status:04X}", check)
    comment = re.escape(elements[COMMENT].decode("ascii").strip())
    assert re.match(comment.replace(r"\?", "."), told["reason"])
    assert told["action"].startswith("at the sender: ")
    assert (told["calling_ae_title"], told["address"]) == ("PEER", HOST)
    assert {event["log_level"] for event in listening.events} == {"info", "warning"}
    assert listening.kept == []
    assert (ended["stored"], ended["failed"]) == (0, int(told["reason"].startswith("C-STORE")))


DROPPED = {
    "C-STORE without Message ID": (sent(STORE, without=(MESSAGE_ID,)), "Message ID"),
    "C-ECHO without Message ID": (sent(ECHO, without=(MESSAGE_ID,)), "Message ID"),
    "N-EVENT-REPORT without it": (sent(EVENT_REPORT, without=(MESSAGE_ID,)), "Message ID"),
    "a response": (
        message(command(STORE + 0x8000, without=(MESSAGE_ID,), ANSWERED=SOME, STATUS=bytes(2))),
        "Message ID",
    ),
    "a context that was refused": (sent(STORE, context_id=3), "presentation context"),
    "a context that was not proposed": (sent(STORE, context_id=5), "presentation context"),
    "N-EVENT-REPORT in none": (sent(EVENT_REPORT, context_id=5), "presentation context"),
    "an unknown command": (sent(0x0FFE), "message"),
    "no command": (sent(STORE, without=(COMMAND,)), "message"),
    "no word of a data set": (sent(STORE, without=(DATA_SET,)), "message"),
    "a UID that is too long": (sent(STORE, INSTANCE=b"1" * 66), "message"),
    "an unknown priority": (sent(STORE, PRIORITY=pack("<H", 9)), "message"),
    "a command that is none": (pdus.fragment(1, 3, b"\xff" * 40), "message"),
    "an empty command": (pdus.fragment(1, 3, b""), "message"),
    "a fragment that is longer than its PDU": (
        pdus.pdu(pdus.DATA_TF, b"\0\0\0\x50\1\3"),
        "message",
    ),
    "a second request": (pdus.request(), "message"),
    "a PDU of no type": (pdus.pdu(9, b""), "message"),
}


@pytest.mark.parametrize(("request_", "check"), DROPPED.values(), ids=DROPPED)
def test_what_cannot_be_answered_ends_its_association_and_is_told(listening, request_, check):
    with associated(listening.port) as peer:
        peer.sendall(request_)

        assert answer_of(peer)[0] == ABORT
        assert answer_of(peer) == b""

    with associated(listening.port, VERIFICATION) as peer:
        peer.sendall(sent(ECHO))
        assert status_of(peer)[0] == 0x0000
    (told,) = listening.named("association_dropped")
    assert (told["check"], told["calling_ae_title"], told["address"]) == (check, "PEER", HOST)
    assert told["action"].startswith("at the sender: ")
    assert {event["log_level"] for event in listening.events} <= {"info", "warning"}
    assert listening.kept == []


@pytest.mark.parametrize(
    "request_",
    [
        message(command(STORE, DATA_SET=NO_DATA_SET)),
        message(command(STORE), data_set=b""),
        message(command(STORE)) + pdus.fragment(1, 0, b"") + pdus.fragment(1, 2, b""),
    ],
    ids=["none", "empty", "empty, in two fragments"],
)
def test_an_object_without_a_data_set_is_refused_for_that(listening, request_):
    with associated(listening.port) as peer:
        peer.sendall(request_)
        status, elements = status_of(peer)

    assert status == 0xC000
    assert elements[COMMENT].strip() == b"the request has no data set"
    (told,) = listening.named("instance_refused")
    assert (told["status"], told["reason"]) == ("C000", "the request has no data set")
    assert listening.kept == []


def test_a_context_that_was_not_accepted_is_named(listening):
    with associated(listening.port, ECG) as peer:
        peer.sendall(sent(STORE))
        assert answer_of(peer)[0] == ABORT
    with associated(listening.port) as peer:
        peer.sendall(sent(STORE, context_id=5))
        assert answer_of(peer)[0] == ABORT

    assert [event["reason"] for event in listening.named("association_dropped")] == [
        "C-STORE-RQ in presentation context 1, which was not accepted "
        "(12-lead ECG Waveform Storage)",
        "C-STORE-RQ in presentation context 5, which was not proposed",
    ]


def test_what_is_served_still_is(listening):
    with associated(listening.port) as peer:
        peer.sendall(b"".join(map(cancel, range(20))))
        answers = []
        for request_ in (sent(STORE), sent(ECHO), sent(EVENT_REPORT), sent(STORE)):
            peer.sendall(request_)
            answers.append(status_of(peer)[0])

    assert answers == [0x0000, 0x0000, 0x0211, 0x0000]
    assert [arrival.sop_instance_uid for arrival in listening.kept] == ["1.2.3"] * 2
    assert listening.named("association_dropped") == []


def cancel(number, **options):
    """Return a C-CANCEL: there is nothing to cancel, and no answer to it."""
    elements = command(
        CANCEL, without=(MESSAGE_ID, SOP_CLASS), ANSWERED=pack("<H", number), **options
    )
    return message(elements, data_set=bytes(100_000) if options else None)


@pytest.mark.parametrize(
    ("cancels", "options"),
    [(1, {}), (20, {}), (12, {"DATA_SET": SOME})],
    ids=["one", "twenty", "with data sets"],
)
def test_what_gets_no_answer_does_not_count_as_unanswered(free_port, cancels, options):
    kept = []
    with (
        receiving(free_port, kept.append, object_bytes=1_000_000) as (receiver, events),
        associated(free_port) as peer,
    ):
        (connection,) = connections(receiver)
        for number in range(cancels):
            peer.sendall(cancel(number, **options))
        for _ in range(6):
            peer.sendall(b"".join(pdus.store_request(bytes(400_000))))
            assert pdus.elements_of(answer_of(peer))[STATUS] == bytes(2)
        begun = pdus.store_request(bytes(1000))[0]
        peer.sendall(cancel(1, **options) + begun)
        wait_until(lambda: connection.unanswered == len(begun), "only what was begun counts")

        assert [event for event in events if event["event"] == "association_dropped"] == []
    assert len(kept) == 6


def connections(receiver):
    """Return the connections of a receiver's associations."""
    return [association.dul.socket for association in receiver._server.active_associations]


def test_a_peer_that_does_not_wait_has_an_answer_to_each_request(listening):
    sequence = [STORE, EVENT_REPORT, STORE, ECHO, N_GET, STORE]
    with associated(listening.port) as peer:
        peer.sendall(b"".join(map(sent, sequence)))
        answers = sorted(status_of(peer)[0] for _ in sequence)

    assert answers == [0x0000] * 4 + [0x0211] * 2
    assert len(listening.kept) == 3


def test_an_object_leaves_the_memory_once_it_is_answered_whatever_follows_it(free_port):
    came, alive = [], []

    def keep(arrival):
        alive.append(sum(fragment() is not None for fragment in came))
        large = [each for each in arrival.fragments if isinstance(each, memoryview)]
        came.extend(weakref.ref(fragment) for fragment in large)

    gc.disable()  # it comes too late for large objects
    try:
        with receiving(free_port, keep), associated(free_port) as peer:
            for _ in range(5):  # they wait for one another, and not for an answer
                peer.sendall(b"".join(pdus.store_request(bytes(100_000))))
            for _ in range(5):
                assert pdus.elements_of(answer_of(peer))[STATUS] == bytes(2)
    finally:
        gc.enable()

    assert (alive, len(came) >= 5) == ([0] * 5, True)


ABORTED = pack(">BBLBBBB", ABORT, 0, 4, 0, 0, 0, 0)  # PS3.8 9.3.8


def test_what_waits_behind_an_abort_is_not_served(free_port):
    kept, go_on = [], threading.Event()

    def keep(arrival):
        kept.append(arrival)
        assert go_on.wait(30)

    with receiving(free_port, keep) as (receiver, _), associated(free_port) as peer:
        peer.sendall(b"".join(pdus.store_request(bytes(100))) * 3 + ABORTED)
        wait_until(lambda: kept, "the first has come")
        (association,) = receiver._server.active_associations
        wait_until(association.acse.is_aborted, "the abort has come")
        go_on.set()
        wait_until(lambda: not receiver._server.active_associations, "it has ended")

    assert len(kept) == 1


def test_what_follows_a_request_that_ends_the_association_is_not_served(listening):
    with associated(listening.port) as peer:
        peer.sendall(sent(STORE) + sent(STORE, without=(MESSAGE_ID,)) + sent(STORE))
        assert status_of(peer)[0] == 0
        assert answer_of(peer)[0] == ABORT
    wait_until(lambda: listening.named("association_ended"), "it has ended")

    assert len(listening.kept) == 1


def test_a_peer_that_sends_on_and_on_does_not_hold_up_the_end(free_port):
    kept, answered = [], []

    def send(peer):
        with suppress(OSError, AssertionError):
            while True:
                peer.sendall(b"".join(pdus.store_request(bytes(100))))
                assert answer_of(peer)[0] == pdus.DATA_TF
                answered.append(1)

    with receiving(free_port, kept.append) as (receiver, _), associated(free_port) as peer:
        sender = threading.Thread(target=send, args=[peer])
        sender.start()
        wait_until(lambda: len(answered) > 20, "it sends")
        begun = time.monotonic()
        receiver.stop()
        took = time.monotonic() - begun
        sender.join(10)

    assert not sender.is_alive()
    assert took < 10  # and not the 20 s after which it is cut off
    assert len(kept) - len(answered) in (0, 1)
