"""More peers than there is room for: answered at once, logged, and the others unharmed."""

import socket
import ssl
import threading
import time
import tomllib
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tests.support import dcmtk, studies
from tests.support.certificates import Authority
from tests.support.daemon import HOST
from tests.support.pdus import (
    ABORT,
    ASSOCIATE_AC,
    COMPUTED_RADIOGRAPHY,
    DATA_TF,
    LOCAL_LIMIT_EXCEEDED,
    NOT_RECOGNISED,
    answer_of,
    is_closed,
    request,
    store_request,
)
from tests.support.receiving import receiving
from tests.support.studies import picture
from tests.support.waiting import wait_until
from triage.dicom import scu
from triage.dicom.connection import limits_of
from triage.pipeline.receive import READERS
from triage.settings import DicomSettings

A_SHORT_WHILE = 0.5  # seconds


@pytest.fixture
def connect():
    """Return a function that connects and sends; its connections last as long as the test."""
    with ExitStack() as peers:

        def connect(port, data=b"", host=HOST):
            peer = peers.enter_context(socket.create_connection((host, port), timeout=60))
            peer.sendall(data)
            return peer

        yield connect


def refusals(events):
    return [event for event in events if event["event"] == "association_refused"]


def accepted(answer):
    return answer[:1] == bytes([ASSOCIATE_AC])


def threads_of(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


@pytest.mark.dcmtk
def test_of_five_hundred_at_once_those_beyond_the_limit_are_answered_and_the_others_unharmed(
    start_daemon, tmp_path, connect
):
    daemon = start_daemon(roles="receive", dicom__max_associations_per_second=0)
    (sample,) = studies.write_study(tmp_path / "image", "FLOOD", [picture(1)])
    idle = threads_of(daemon.pid)

    peers = [connect(daemon.port, request(calling=b"FLOOD")) for _ in range(500)]
    most = threads_of(daemon.pid)
    answers = [answer_of(peer) for peer in peers]

    inside = [peer for peer, answer in zip(peers, answers, strict=True) if accepted(answer)]
    assert len(inside) == 48
    assert answers.count(LOCAL_LIMIT_EXCEEDED) == 500 - 48
    # Two of pynetdicom's for an association, and one that brings it about.
    assert max(most, threads_of(daemon.pid)) - idle <= 3 * 48 + 8
    for peer in inside:
        peer.sendall(b"".join(store_request(bytes(1000))))
    assert {answer_of(peer)[0] for peer in inside} == {DATA_TF}
    told = daemon.events("association_refused")  # the same error once a minute
    assert {e["check"] for e in told} == {"dicom.max_associations_per_peer"}
    assert {e["calling_ae_title"] for e in told} == {"FLOOD"}
    assert len(told) < 10
    for peer in peers:
        peer.close()
    # Those that read headers stay.
    wait_until(lambda: threads_of(daemon.pid) <= idle + READERS + 2, "the threads are gone")
    assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
    daemon.stop()


def test_a_peer_that_fills_its_places_leaves_the_others_theirs(free_port, connect):
    settings = {"max_associations_per_peer": 2, "host": "::", "allow": [{"address": "::1"}]}
    settings["allow"].append({"address": HOST})
    with receiving(free_port, slots=4, settings=settings) as (_, events):
        mine = [answer_of(connect(free_port, request())) for _ in range(3)]
        others = [answer_of(connect(free_port, request(), host="::1")) for _ in range(3)]

        assert [accepted(answer) for answer in mine] == [True, True, False]
        assert [accepted(answer) for answer in others] == [True, True, False]
        assert answer_of(connect(free_port, request())) == LOCAL_LIMIT_EXCEEDED

    checks = [(event["check"], event["address"]) for event in refusals(events)]
    assert checks == [
        ("dicom.max_associations_per_peer", HOST),
        ("dicom.max_associations", "::1"),
        ("dicom.max_associations", HOST),
    ]
    assert all(
        check in event["action"] for (check, _), event in zip(checks, refusals(events), strict=True)
    )


def test_a_peer_that_comes_too_often_is_put_off_and_comes_in_later(free_port, connect):
    settings = {"max_associations_per_second": 1}
    with receiving(free_port, slots=50, settings=settings) as (_, events):
        answers = [answer_of(connect(free_port, request())) for _ in range(40)]

        assert LOCAL_LIMIT_EXCEEDED in answers
        wait_until(lambda: accepted(answer_of(connect(free_port, request()))), "its turn")

    assert {event["check"] for event in refusals(events)} == {"dicom.max_associations_per_second"}


def test_a_peer_beyond_the_limit_that_speaks_tls_hears_it_as_an_alert(free_port, tmp_path, connect):
    pair = Authority(tmp_path, "ca").issue("server")
    settings = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with receiving(free_port, slots=1, settings=settings) as (receiver, events):
        connect(free_port)
        wait_until(lambda: receiver._server._places, "it has the only place")

        with pytest.raises(ssl.SSLError, match="ALERT_INTERNAL_ERROR"):
            context.wrap_socket(connect(free_port), server_hostname=HOST)

        assert receiver.answers()
    assert [event["check"] for event in refusals(events)] == ["dicom.max_associations"]


def test_the_daemons_own_check_needs_no_place_no_entry_and_no_certificate(
    free_port, tmp_path, connect
):
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("server")
    settings = {
        "host": "",
        "allow": [{"ae_title": "PACS", "address": HOST}],
        "max_associations_per_second": 1,
        "check_called_ae_title": True,
    }
    tls = {
        "tls_certificate": str(pair.certificate),
        "tls_key": str(pair.key),
        "tls_client_ca": str(authority.file),
    }
    for asked in (settings, {**settings, "host": "::"}, {**settings, **tls}):
        with receiving(free_port, slots=1, settings=asked) as (receiver, events):
            connect(free_port)
            wait_until(lambda: receiver._server._places, "it has the only place")

            assert all(receiver.answers() for _ in range(3))

        assert refusals(events) == []


def test_strangers_take_no_place_from_those_who_are_listed(free_port, connect):
    settings = {"host": "::", "allow": [{"ae_title": "PACS", "address": HOST}]}
    with receiving(free_port, slots=1, settings=settings) as (receiver, events):
        silent = [connect(free_port, host="::1") for _ in range(3)]
        refused = connect(free_port, request(calling=b"STRANGER"), host="::1")
        assert answer_of(refused) == NOT_RECOGNISED

        assert not receiver._server._places
        assert accepted(answer_of(connect(free_port, request(calling=b"PACS"))))
        assert all(is_closed(peer) for peer in silent)

    assert {event["check"] for event in refusals(events)} == {"dicom.allow"}
    assert sorted(event["action"] for event in refusals(events)) == [
        *["add {address = '::1'} to dicom.allow, and restart the daemon"] * 3,
        "add {ae_title = 'STRANGER', address = '::1'} to dicom.allow, and restart the daemon",
    ]


def test_a_stranger_that_speaks_tls_is_refused_before_its_handshake(free_port, tmp_path, connect):
    pair = Authority(tmp_path, "ca").issue("server")
    tls = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    settings = {"host": "::", "allow": [{"address": HOST}], **tls}
    with (
        receiving(free_port, slots=1, settings=settings) as (_, events),
        pytest.raises(ssl.SSLError, match="ALERT_INTERNAL_ERROR"),
    ):
        context.wrap_socket(connect(free_port, host="::1"), server_hostname=HOST)

    assert [event["action"] for event in refusals(events)] == [
        "add {address = '::1'} to dicom.allow, and restart the daemon"
    ]


def test_the_name_of_the_daemons_own_check_admits_nobody_else(free_port, connect):
    settings = {"allow": [{"ae_title": "PACS"}]}
    with receiving(free_port, settings=settings) as (receiver, events):
        assert receiver.answers()
        assert not accepted(answer_of(connect(free_port, request(calling=b"TRIAGE-CHECK"))))

    assert [event["check"] for event in refusals(events)] == ["dicom.allow"]


def test_nobody_on_this_machine_passes_for_the_daemons_own_check(free_port, connect):
    settings = {"host": "", "allow": [{"ae_title": "PACS", "address": HOST}]}
    with (
        receiving(free_port, settings=settings) as (receiver, events),
        socket.create_server((HOST, 0)) as deaf,  # so that the check lasts
    ):
        check = threading.Thread(
            target=receiver._door.self_check.answers,
            args=(HOST, deaf.getsockname()[1], "TRIAGE", None, 10),
        )
        check.start()
        asked, (_, port) = deaf.accept()

        with socket.socket() as peer:
            peer.bind(("127.0.0.2", port))
            peer.connect(("127.0.0.2", free_port))
            peer.sendall(request(calling=b"TRIAGE-CHECK"))
            assert answer_of(peer) == NOT_RECOGNISED
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                peer.bind((HOST, port))
        asked.close()
        check.join()

    assert [event["address"] for event in refusals(events)] == ["127.0.0.2"]


def test_the_daemons_own_check_may_verify_and_nothing_else(free_port):
    entity = AE("TRIAGE-CHECK")
    entity.add_requested_context(Verification)
    entity.add_requested_context(COMPUTED_RADIOGRAPHY.decode())
    with (
        receiving(free_port, settings={"allow": [{"ae_title": "PACS"}]}) as (receiver, _),
        socket.socket() as own,
    ):
        own.bind((HOST, 0))
        end = own.getsockname()
        receiver._door.self_check._ends.add(end)
        own.close()

        association = entity.associate(HOST, free_port, bind_address=end)

        accepted_ones = [context.abstract_syntax for context in association.accepted_contexts]
        association.release()
    assert accepted_ones == [Verification]


def test_objects_on_their_way_take_so_much_memory_together_and_no_more(free_port, connect):
    kept = []
    limits = {"object_bytes": 1_000_000, "waiting_bytes": 2_000_000}
    with receiving(free_port, kept.append, **limits) as (_, events):
        whole = b"".join(store_request(bytes(900_000)))
        peers = [connect(free_port, request()) for _ in range(3)]
        assert all(accepted(answer_of(peer)) for peer in peers)
        for peer in peers[:2]:
            peer.sendall(whole[:-10])
        time.sleep(A_SHORT_WHILE)
        peers[2].sendall(whole[:500_000])

        assert is_closed(peers[2])

        for peer in peers[:2]:
            peer.sendall(whole[-10:])
            assert answer_of(peer)[0] == DATA_TF
        (event,) = [e for e in events if e["event"] == "association_dropped"]
        assert event["check"] == "objects in flight"
        assert "dicom.max_object_size" in event["reason"]
    assert len(kept) == 2


def test_what_a_peer_sends_without_waiting_for_answers_counts_until_it_is_answered(
    free_port, connect
):
    slow = threading.Event()
    kept = []

    def keep(arrival):
        slow.wait(20)
        kept.append(arrival)

    with receiving(free_port, keep, object_bytes=1_000_000) as (_, events):
        peer = connect(free_port, request())
        assert accepted(answer_of(peer))
        for _ in range(3):
            with suppress(OSError):  # it hung up meanwhile
                peer.sendall(b"".join(store_request(bytes(400_000))))
        wait_until(
            lambda: any(e["event"] == "association_dropped" for e in events), "it is dropped"
        )
        slow.set()

    assert {e["check"] for e in events if e["event"] == "association_dropped"} == {"object size"}
    assert len(kept) <= 2


def test_a_peer_that_sends_more_after_each_answer_may_go_on_for_ever(free_port, connect):
    kept = []
    with receiving(free_port, kept.append, object_bytes=1_000_000) as (_, events):
        peer = connect(free_port, request())
        assert accepted(answer_of(peer))
        for _ in range(6):
            peer.sendall(b"".join(store_request(bytes(400_000))))
            assert answer_of(peer)[0] == DATA_TF

        assert [e for e in events if e["event"] == "association_dropped"] == []
    assert len(kept) == 6


def test_a_data_set_before_its_command_or_in_another_context_ends_the_association(
    free_port, connect
):
    command, data = store_request(bytes(1000))
    elsewhere = data[:10] + bytes([99]) + data[11:]
    kept = []
    with receiving(free_port, kept.append) as (receiver, events):
        for pdus in ((data, command), (command, elsewhere)):
            peer = connect(free_port, request())
            assert accepted(answer_of(peer))
            peer.sendall(b"".join(pdus))
            assert answer_of(peer)[0] == ABORT

        assert receiver.answers()
    assert [e["check"] for e in events if e["event"] == "association_dropped"] == [
        "order of fragments"
    ] * 2
    assert kept == []


@pytest.mark.parametrize("size", [2**20, 2**26, 2**30, 2**32])
def test_a_lower_limit_on_an_object_leaves_room_for_many_senders_at_once(size):
    limits = limits_of(DicomSettings(max_object_size=size))

    assert limits.object_bytes == size
    assert limits.waiting_bytes >= max(2 * size, 64 * 12_000_000)  # a radiograph an association


@pytest.mark.dcmtk
def test_the_site_says_how_large_an_object_may_be_and_how_long_an_association_is_idle(
    start_daemon, tmp_path, connect
):
    daemon = start_daemon(roles="receive", dicom__max_object_size=2**20, dicom__idle_timeout=1)
    (small,) = studies.write_study(tmp_path / "small", "SMALL", [picture(1)])
    (large,) = studies.write_study(
        tmp_path / "large", "LARGE", [np.zeros((1100, 1000), dtype=np.uint8)]
    )
    idle = connect(daemon.port, request())
    assert accepted(answer_of(idle))

    refused = dcmtk.storescu(daemon.port, [large.file])

    assert refused.returncode != 0
    event = daemon.wait_for("association_dropped", check="object size")
    assert "1048576" in event["reason"]
    assert "dicom.max_object_size" in event["reason"]
    assert is_closed(idle)
    assert "dicom.idle_timeout" in daemon.wait_for("association_dropped", check="silence")["reason"]
    assert dcmtk.storescu(daemon.port, [small.file]).returncode == 0
    daemon.stop()


def test_an_association_may_be_idle_for_as_long_as_the_site_says(free_port, connect):
    with receiving(free_port, silent_seconds=600) as (receiver, _):
        assert accepted(answer_of(connect(free_port, request())))

        (association,) = receiver._server.active_associations

        assert association.network_timeout is None  # pynetdicom's own would end it after 60 s


def test_peers_without_a_place_that_say_nothing_cost_no_threads(free_port, connect):
    with receiving(free_port, slots=1) as (receiver, events):
        connect(free_port)
        wait_until(lambda: receiver._server._places, "it has the only place")
        threads = threading.active_count()

        silent = [connect(free_port) for _ in range(100)]
        assert answer_of(connect(free_port, request())) == LOCAL_LIMIT_EXCEEDED

        assert threading.active_count() < threads + 10
        assert all(is_closed(peer) for peer in silent)
        assert len(refusals(events)) == 101


def test_addresses_of_ipv4_are_the_same_where_ipv6_is_listened_on(free_port, connect):
    settings = {"host": "::", "allow": [{"ae_title": "PEER", "address": HOST}]}
    with receiving(free_port, settings=settings) as (_, events):
        assert accepted(answer_of(connect(free_port, request())))
        assert not accepted(answer_of(connect(free_port, request(), host="::1")))

    (event,) = refusals(events)
    assert event["action"] == (
        "add {ae_title = 'PEER', address = '::1'} to dicom.allow, and restart the daemon"
    )


def test_on_this_machine_alone_either_loopback_will_do(free_port):
    with receiving(free_port, settings={"host": "::"}):
        scu.echo(host=HOST, port=free_port)
        scu.echo(host="::1", port=free_port)


@pytest.mark.parametrize("calling", [b"SIXTEEN LETTERS.", b"  PADDED  ", b'A"}, {B="'])
def test_the_line_that_would_admit_a_peer_is_valid_whatever_its_title(free_port, calling, connect):
    settings = {"allow": [{"ae_title": "PACS"}]}
    with receiving(free_port, settings=settings) as (_, events):
        assert not accepted(answer_of(connect(free_port, request(calling=calling))))

    (event,) = refusals(events)
    entry = event["action"].removeprefix("add ").partition(" to dicom.allow")[0]
    assert tomllib.loads(f"allow = [{entry}]") == {
        "allow": [{"ae_title": calling.decode().strip(), "address": HOST}]
    }
    with receiving(free_port, settings=tomllib.loads(f"allow = [{entry}]")):
        assert accepted(answer_of(connect(free_port, request(calling=calling))))
