"""Peers that go silent, claim too much or cannot be served: they cost neither slot nor trace."""

import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu import A_ABORT_RQ

from tests.support import dcmtk, studies
from tests.support.daemon import HOST
from tests.support.pdus import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    COMPUTED_RADIOGRAPHY,
    DATA_TF,
    RELEASE_RQ,
    answer_of,
    is_closed,
    pdu,
    request,
    store_request,
)
from tests.support.receiving import receiving
from tests.support.studies import picture
from tests.support.waiting import wait_until
from triage.dicom import scu

ECG_WAVEFORM = b"1.2.840.10008.5.1.4.1.1.9.1.1"  # 12-lead ECG Waveform Storage
IMPLICIT_LITTLE_ENDIAN = b"1.2.840.10008.1.2"
MPEG4 = b"1.2.840.10008.1.2.4.102"
A_SHORT_WHILE = 0.5  # seconds


@pytest.fixture
def connect():
    """Return a function that connects and sends; its connections last as long as the test."""
    with ExitStack() as peers:

        def connect(port, *data):
            peer = peers.enter_context(socket.create_connection((HOST, port), timeout=30))
            for piece in data:
                peer.sendall(piece)
            return peer

        yield connect


@pytest.fixture
def associate(connect):
    """Return a function that connects and establishes an association."""

    def associate(port):
        peer = connect(port, request())
        assert answer_of(peer)[0] == ASSOCIATE_AC
        return peer

    return associate


def dropped(events, check):
    return [e for e in events if e["event"] == "association_dropped" and e["check"] == check]


def minimal():
    """Return a data set that can be sent."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = COMPUTED_RADIOGRAPHY.decode(), "1.2.3"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


SILENT = {
    "nothing": [],
    "half a header": [request()[:3]],
    "half a request": [request()[:100]],
}


@pytest.mark.parametrize("sent", SILENT.values(), ids=SILENT)
def test_a_peer_that_never_finishes_its_request_loses_its_slot(free_port, sent, connect):
    with receiving(free_port, request_seconds=A_SHORT_WHILE) as (_, events):
        threads, files = threading.active_count(), open_files()
        peers = [connect(free_port, *sent) for _ in range(4)]

        assert all(is_closed(peer) for peer in peers)

        wait_until(lambda: threading.active_count() == threads, "no thread is left")
        scu.echo(host=HOST, port=free_port)
        wait_until(lambda: open_files() == files + len(peers), "no file is left")
        assert len(dropped(events, "silence")) == len(peers)


@pytest.mark.parametrize(
    "sent",
    [pdu(DATA_TF, bytes(100), claimed=5000), pdu(DATA_TF, b"", claimed=5000)[:3], b""],
    ids=["half a PDU", "half a header", "nothing"],
)
def test_a_peer_that_falls_silent_in_its_association_loses_its_slot(free_port, sent, associate):
    with receiving(free_port, silent_seconds=A_SHORT_WHILE) as (_, events):
        threads, files = threading.active_count(), open_files()
        peers = [associate(free_port) for _ in range(4)]
        for peer in peers:
            peer.sendall(sent)

        assert all(is_closed(peer) for peer in peers)

        wait_until(lambda: threading.active_count() == threads, "no thread is left")
        scu.echo(host=HOST, port=free_port)
        wait_until(lambda: open_files() == files + len(peers), "no file is left")
        assert {e["calling_ae_title"] for e in dropped(events, "silence")} == {"PEER"}


def test_a_slow_sender_and_a_slow_disk_are_waited_for(free_port, associate):
    arrivals = []

    def keep(arrival):
        time.sleep(4 * A_SHORT_WHILE)
        arrivals.append(arrival)

    with receiving(free_port, keep, silent_seconds=A_SHORT_WHILE) as (_, events):
        peer = associate(free_port)
        sent = b"".join(store_request(bytes(40)))
        for start in range(0, len(sent), 20):
            peer.sendall(sent[start : start + 20])
            time.sleep(0.1)

        assert answer_of(peer)[0] == DATA_TF

        assert dropped(events, "silence") == []
    assert [sum(map(len, arrival.fragments)) for arrival in arrivals] == [40]


def test_an_object_that_there_is_no_memory_for_is_sent_again_later(free_port):
    kept = []

    def keep(arrival):
        if not kept:
            kept.append(None)
            raise MemoryError
        kept.append(arrival)

    entity = AE("PEER")
    entity.add_requested_context(COMPUTED_RADIOGRAPHY.decode(), ExplicitVRLittleEndian)
    with receiving(free_port, keep) as (_, events):
        association = entity.associate(HOST, free_port)
        answers = [association.send_c_store(minimal()).Status for _ in range(2)]
        association.release()

    assert answers == [0xA700, 0x0000]
    assert "memory_exhausted" in [event["event"] for event in events]


def test_the_sender_of_an_object_has_the_address_that_the_log_has(free_port, associate):
    kept = []
    with receiving(free_port, kept.append, settings={"host": "::"}):
        peer = associate(free_port)
        peer.sendall(b"".join(store_request(bytes(40))))
        assert answer_of(peer)[0] == DATA_TF

    assert [(arrival.calling_ae_title, arrival.calling_address) for arrival in kept] == [
        ("PEER", HOST)
    ]


def test_a_connection_whose_peer_lost_its_power_ends_with_the_kernels_help(free_port, associate):
    with receiving(free_port) as (receiver, _):
        associate(free_port)

        (association,) = receiver._server.active_associations
        accepted = association.dul.socket.socket

        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert 0 < accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 60_000


def test_a_request_that_claims_four_gigabytes_is_not_read(start_daemon, connect):
    daemon = start_daemon(roles="receive")
    peer = connect(daemon.port, pdu(ASSOCIATE_RQ, b"", claimed=0xFFFF_FFF0))

    assert is_closed(peer)

    event = daemon.wait_for("association_dropped")
    assert (event["check"], event["address"]) == ("PDU length", HOST)
    scu.echo(host=HOST, port=daemon.port)
    daemon.stop()


@pytest.mark.parametrize(
    ("claimed", "check"), [(262_144, "silence"), (262_145, "PDU length")], ids=["most", "more"]
)
def test_a_request_is_as_long_as_the_conformance_statement_says_and_no_longer(
    free_port, connect, claimed, check
):
    with receiving(free_port, request_seconds=A_SHORT_WHILE) as (_, events):
        peer = connect(free_port, pdu(ASSOCIATE_RQ, b"", claimed=claimed))

        assert answer_of(peer) == b""
        wait_until(lambda: dropped(events, check), "it is told")


def test_data_beyond_what_was_advertised_is_not_read(start_daemon, associate):
    daemon = start_daemon(roles="receive")
    peer = associate(daemon.port)
    peer.sendall(pdu(DATA_TF, b"", claimed=2**31))

    assert is_closed(peer)

    event = daemon.wait_for("association_dropped")
    assert (event["check"], event["calling_ae_title"]) == ("PDU length", "PEER")
    daemon.stop()


def test_an_object_that_does_not_end_is_not_read_for_ever(free_port, associate):
    kept = []
    with receiving(free_port, kept.append, object_bytes=1_000_000) as (_, events):
        small = associate(free_port)
        for _ in range(3):
            small.sendall(b"".join(store_request(bytes(600_000))))
            assert answer_of(small)[0] == DATA_TF
        large = associate(free_port)
        with suppress(OSError):  # the end may come while this still sends
            large.sendall(b"".join(store_request(bytes(1_100_000))))

        assert is_closed(large)
        assert [sum(map(len, arrival.fragments)) for arrival in kept] == [600_000] * 3
        assert [e["calling_ae_title"] for e in dropped(events, "object size")] == ["PEER"]


ABORTED = pdu(ABORT, bytes(4))
RELEASED = pdu(RELEASE_RQ, bytes(4))
OBJECT = store_request(bytes(100_000))
SMALL = b"".join(store_request(bytes(4)))  # in two PDUs, the command's and the data set's


@pytest.mark.parametrize(
    ("sent", "failed"),
    [
        (b"", 0),
        (ABORTED, 0),
        (RELEASED, 0),
        (SMALL[:3], 1),
        (SMALL[:30], 1),  # the first PDU
        (OBJECT[0], 1),  # its command alone
        (b"".join(OBJECT[:3]), 1),
        (b"".join(OBJECT[:3]) + OBJECT[3][:100], 1),
        (b"".join(OBJECT[:3]) + ABORTED, 1),
        (b"".join(OBJECT[:3]) + pdu(DATA_TF, b"", claimed=2**30), 1),
        ("silence", 1),
    ],
    ids=range(11),
)
def test_an_object_that_is_cut_off_is_one_that_failed(free_port, associate, sent, failed):
    silent = sent == "silence"
    limits = {"silent_seconds": A_SHORT_WHILE} if silent else {}
    with receiving(free_port, **limits) as (_, events):
        peer = associate(free_port)
        peer.sendall(b"".join(OBJECT))
        assert answer_of(peer)[0] == DATA_TF
        with suppress(OSError):
            peer.sendall(b"".join(OBJECT[:3]) if silent else sent)
        if silent:
            assert is_closed(peer)
        peer.close()

        (ended,) = wait_until(
            lambda: [e for e in events if e["event"] == "association_ended"], "it has ended"
        )
    assert (ended["stored"], ended["failed"]) == (1, failed)


def test_peers_that_vanish_after_their_object_do_not_hold_up_the_end(free_port, associate):
    abort = A_ABORT_RQ()
    abort.source = abort.reason_diagnostic = 0
    with receiving(free_port, slots=100) as (receiver, _):
        for _ in range(40):
            peer = associate(free_port)
            peer.sendall(b"".join([*store_request(bytes(100)), abort.encode()]))
            peer.close()
        wait_until(lambda: not receiver._server.active_associations, "all have gone")

        begun = time.monotonic()
        receiver.stop()

        assert time.monotonic() - begun < 5


def test_silent_peers_do_not_hold_up_the_end_of_the_daemon(start_daemon, connect, associate):
    daemon = start_daemon(roles="receive")
    peers = [connect(daemon.port, request()[:length]) for length in (0, 3, 100)]
    peers += [associate(daemon.port), associate(daemon.port)]
    peers[-1].sendall(pdu(DATA_TF, bytes(100), claimed=5000))
    time.sleep(A_SHORT_WHILE)

    begun = time.monotonic()
    daemon.stop()

    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("sop_class", "syntax"),
    [(ECG_WAVEFORM, IMPLICIT_LITTLE_ENDIAN), (COMPUTED_RADIOGRAPHY, MPEG4)],
    ids=["SOP class", "transfer syntax"],
)
def test_a_sender_that_offers_nothing_we_take_is_in_the_log(free_port, sop_class, syntax, connect):
    with receiving(free_port) as (_, events):
        peer = connect(free_port, request(sop_class=sop_class, syntax=syntax))
        assert answer_of(peer)[0] == ASSOCIATE_AC
        (event,) = wait_until(lambda: list(events), "an event")

    assert (event["event"], event["check"]) == ("association_refused", "sop_class")
    assert event["sop_classes"] == [sop_class.decode()]
    assert event["transfer_syntaxes"] == [syntax.decode()]
    assert event["calling_ae_title"] == "PEER"


UNREADABLE = {
    "no AE title": request(calling=b" "),
    "a backslash in it": request(calling=b"A\\B"),
    "an escape sequence in it": request(calling=b"A\x1b[2J"),
    "an unknown version": request(version=2),
    "a web request": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_a_request_that_cannot_be_read_is_in_the_log_and_frees_its_slot(free_port, data, connect):
    with receiving(free_port) as (receiver, events):
        peer = connect(free_port, data)
        assert answer_of(peer)[0] in (ASSOCIATE_RJ, ABORT)

        wait_until(lambda: not receiver._server.active_associations, "its thread ends", seconds=5)

    (event,) = events
    assert (event["event"], event["check"]) == ("association_refused", "request")
    assert event["address"] == HOST


@pytest.mark.dcmtk
def test_a_full_house_of_silent_peers_keeps_nobody_out_for_long(free_port, tmp_path, connect):
    (sample,) = studies.write_study(tmp_path / "image", "FULL HOUSE", [picture(1)])
    kept = []
    with receiving(free_port, kept.append, slots=8, request_seconds=2 * A_SHORT_WHILE):
        for _ in range(8):
            connect(free_port, request()[:100])
        refused = dcmtk.storescu(free_port, [sample.file])

        sent = wait_until(
            lambda: dcmtk.storescu(free_port, [sample.file]).returncode == 0, "a slot", seconds=10
        )

    assert refused.returncode != 0
    assert sent
    assert [arrival.sop_instance_uid for arrival in kept] == [sample.sop_instance_uid]
