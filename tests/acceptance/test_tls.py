"""DICOM TLS: who gets in, who does not and why, and what the port is like meanwhile."""

import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack

import numpy as np
import pytest

from tests.support import dcmtk, studies
from tests.support.certificates import Authority, settings_of
from tests.support.daemon import HOST, Daemon, environment
from tests.support.pdus import (
    ABORT,
    ASSOCIATE_AC,
    DATA_TF,
    answer_of,
    is_closed,
    request,
    store_request,
)
from tests.support.receiving import receiving
from tests.support.studies import picture
from tests.support.waiting import wait_until

A_SHORT_WHILE = 0.5  # seconds


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A hospital's authority, and what it issued."""
    return Site(tmp_path_factory.mktemp("certificates"))


class Site:
    def __init__(self, folder):
        self.authority = Authority(folder, "hospital")
        self.server = self.authority.issue("triage")
        self.sender = self.authority.issue("modality")
        self.trust = ["+cf", str(self.authority.file)]  # DCMTK's options

    def settings(self, *, mutual=False):
        chosen = settings_of(self.server, self.authority.file if mutual else None)
        return {name.removeprefix("dicom__"): value for name, value in chosen.items()}

    def context(self, version=None):
        """What a peer's TLS needs, its own certificate with it."""
        context = ssl.create_default_context(cafile=self.authority.file)
        context.load_cert_chain(self.sender.certificate, self.sender.key)
        if version:
            context.minimum_version = context.maximum_version = version
        return context


@pytest.fixture
def connect(site):
    """Return a function that connects, over TLS unless told otherwise, and sends."""
    with ExitStack() as peers:

        def connect(port, data=b"", *, context=None, plain=False):
            peer = peers.enter_context(socket.create_connection((HOST, port), timeout=60))
            if not plain:
                context = context or site.context()
                peer = peers.enter_context(context.wrap_socket(peer, server_hostname=HOST))
            peer.sendall(data)
            return peer

        yield connect


@pytest.fixture
def image(tmp_path):
    (sample,) = studies.write_study(tmp_path / "image", "SECURE", [picture(1)])
    return sample


def refusals(events):
    return [event for event in events if event["event"] == "association_refused"]


@pytest.mark.dcmtk
def test_studies_come_over_tls_from_a_sender_with_a_certificate_and_from_one_without(
    start_daemon, site, tmp_path
):
    large = np.random.default_rng(1).integers(0, 256, (2500, 2000), dtype=np.uint8)
    with_one, without = (
        studies.write_study(tmp_path / name, name, [large, picture(1)]) for name in ("BOTH", "ONE")
    )
    for samples, client_ca, options in (
        (with_one, site.authority.file, site.sender.for_storescu),
        (without, None, ["+tla"]),
    ):
        daemon = start_daemon(roles="receive", **settings_of(site.server, client_ca))

        sent = dcmtk.storescu(
            daemon.port,
            [sample.file for sample in samples],
            *options,
            *site.trust,
            "-pdu",
            "131072",
        )

        assert sent.returncode == 0, sent.stderr
        assert daemon.study(samples[0].study_instance_uid)["views"] == 2
        assert daemon.events("association_refused") == []
        daemon.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_object_of_many_records_arrives_byte_for_byte(free_port, site, connect, version):
    kept = []
    data = np.random.default_rng(2).bytes(6_000_000)
    with receiving(free_port, kept.append, settings=site.settings(mutual=True)):
        peer = connect(free_port, request(), context=site.context(version))
        assert answer_of(peer)[0] == ASSOCIATE_AC
        for _ in range(2):
            peer.sendall(b"".join(store_request(data)))
            assert answer_of(peer)[0] == DATA_TF
        assert peer.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]

    assert [b"".join(arrival.fragments) == data for arrival in kept] == [True, True]


def stranger(site, tmp_path):
    return Authority(tmp_path, "abroad").issue("stranger").for_storescu + site.trust


def expired(site, _tmp_path):
    return site.authority.issue("expired", days=-1).for_storescu + site.trust


def misused(site, _tmp_path):
    return site.authority.issue("website", for_servers_alone=True).for_storescu + site.trust


def nameless(site, _tmp_path):
    return ["+tla", *site.trust]


def distrustful(site, tmp_path):
    return [*site.sender.for_storescu, "+cf", str(Authority(tmp_path, "elsewhere").file)]


def plain(_site, _tmp_path):
    return []


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("who", "reason", "action"),
    [
        (nameless, "presented no certificate", "authority in dicom.tls_client_ca"),
        (
            stranger,
            "unable to get local issuer certificate",
            "add the authority that issued its certificate to dicom.tls_client_ca",
        ),
        (expired, "certificate has expired", "renew its certificate"),
        (misused, "unsuitable certificate purpose", "extended key usage has clientAuth"),
        (distrustful, "unknown ca", "trust the authority of dicom.tls_certificate"),
        (plain, "plain DICOM", "turn TLS on; or empty dicom.tls_certificate"),
    ],
)
def test_a_sender_that_is_not_let_in_is_in_the_log_with_the_reason_and_what_to_do(
    free_port, site, tmp_path, image, who, reason, action
):
    kept = []
    with receiving(free_port, kept.append, settings=site.settings(mutual=True)) as (_, events):
        sent = dcmtk.storescu(free_port, [image.file], *who(site, tmp_path))

        assert sent.returncode != 0
        (event,) = wait_until(lambda: refusals(events), "a refusal")
        assert (event["check"], event["address"]) == ("tls", HOST)
        assert reason in event["reason"]
        assert action in event["action"]
    assert kept == []


def test_a_sender_that_speaks_tls_to_a_port_without_hears_so_in_the_log(free_port, site, connect):
    with receiving(free_port) as (_, events):
        with pytest.raises(ssl.SSLError):
            connect(free_port, request())
        (event,) = wait_until(lambda: refusals(events), "a refusal")

    assert "set dicom.tls_certificate" in event["action"]


def test_a_sender_whose_key_is_too_short_hears_how_long_it_is_to_be(free_port, site, connect):
    pair = site.authority.issue("weak", rsa_bits=1024)
    context = ssl.create_default_context(cafile=site.authority.file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(pair.certificate, pair.key)
    with receiving(free_port, settings=site.settings(mutual=True)) as (_, events):
        with pytest.raises(OSError, match=r"(?i)alert|reset|pipe"):
            connect(free_port, request(), context=context).recv(1)
        (event,) = wait_until(lambda: refusals(events), "a refusal")

    assert "EE certificate key too weak" in event["reason"]
    assert "RSA 2048 bits or ECDSA 256 at least, signed with SHA-256" in event["action"]
    assert (event["subject"], event["issuer"]) == ("CN=weak", "CN=hospital")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_whose_certificate_was_refused_is_in_the_log(free_port, site, tmp_path, connect, version):
    pair = Authority(tmp_path, "A" * 64, parent=Authority(tmp_path, "abroad")).issue("stranger")
    context = site.context(version)
    context.load_cert_chain(pair.certificate, pair.key)
    with receiving(free_port, settings=site.settings(mutual=True)) as (_, events):
        with pytest.raises(OSError, match=r"(?i)alert|reset|pipe"):
            connect(free_port, request(), context=context).recv(1)
        (event,) = wait_until(lambda: refusals(events), "a refusal")

    assert (event["subject"], event["issuer"]) == ("CN=stranger", f"CN={'A' * 64}")


def test_a_sender_that_finds_our_certificate_expired_is_no_matter_of_trust(
    free_port, tmp_path, connect
):
    authority = Authority(tmp_path, "hospital")
    pair = authority.issue("triage", days=-1)
    settings = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    context = ssl.create_default_context(cafile=authority.file)
    with receiving(free_port, settings=settings) as (_, events):
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(free_port, context=context)
        (event,) = wait_until(lambda: refusals(events), "a refusal")

    assert "expired" in event["reason"]
    assert "renew dicom.tls_certificate" in event["action"]
    assert "subject" not in event


WEAK = "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"


@pytest.mark.openssl
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-tls1", "-cipher", "ALL@SECLEVEL=0"], "no version of TLS"),
        (["-tls1_1", "-cipher", "ALL@SECLEVEL=0"], "no version of TLS"),
        (["-tls1_2", "-cipher", WEAK], "no cipher suite"),
        (["-tls1_2"], None),
        (["-tls1_3"], None),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_old_versions_and_weak_suites_are_refused(free_port, site, options, reason):
    with receiving(free_port, settings=site.settings()) as (_, events):
        said = subprocess.run(
            ["openssl", "s_client", "-connect", f"{HOST}:{free_port}", *options],
            input=b"",
            capture_output=True,
            timeout=60,
            check=False,
        )

        if reason is None:
            assert said.returncode == 0, said.stderr
            assert b"Compression: NONE" in said.stdout
            assert b"GCM" in said.stdout
        else:
            assert said.returncode != 0
            (event,) = wait_until(lambda: refusals(events), "a refusal")
            assert reason in event["reason"]


@pytest.mark.openssl
def test_a_peer_cannot_renegotiate(free_port, site):
    with receiving(free_port, settings=site.settings()):
        said = subprocess.run(
            ["openssl", "s_client", "-connect", f"{HOST}:{free_port}", "-tls1_2"],
            input=b"R\n",
            capture_output=True,
            timeout=60,
            check=False,
        )

    assert b"RENEGOTIATING" in said.stdout + said.stderr
    assert b"no renegotiation" in said.stderr


def test_peers_that_are_silent_in_their_handshake_hold_nobody_up_and_lose_their_places(
    free_port, site, connect
):
    with receiving(
        free_port, slots=8, settings=site.settings(), handshake_seconds=2 * A_SHORT_WHILE
    ) as (receiver, events):
        threads = threading.active_count()
        half_a_greeting = bytes([0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])
        silent = [connect(free_port, half_a_greeting[:n], plain=True) for n in (0, 1, 5, 11, 11)]

        assert answer_of(connect(free_port, request()))[0] == ASSOCIATE_AC
        assert receiver.answers()

        assert all(is_closed(peer) for peer in silent)
        wait_until(lambda: len(receiver._server._places) == 1, "their places are free")
        wait_until(lambda: threading.active_count() <= threads + 2, "their threads are gone")
    assert [event["reason"] for event in refusals(events)] == ["no handshake within 1 s"] * 5


def test_peers_in_their_handshake_do_not_hold_up_the_end(free_port, site, connect):
    with receiving(free_port, slots=8, settings=site.settings()) as (receiver, _):
        for _ in range(4):
            connect(free_port, b"\x16", plain=True)
        stopping = threading.Thread(target=receiver.stop)

        stopping.start()
        stopping.join(5)

        assert not stopping.is_alive()


def test_a_connection_that_is_closed_before_a_word_is_no_refusal(free_port, site, connect):
    with receiving(free_port, settings=site.settings()) as (receiver, events):
        for _ in range(3):
            connect(free_port, plain=True).close()
        assert receiver.answers()
        wait_until(lambda: not receiver._server._places, "their places are free")

    assert refusals(events) == []


def test_half_a_record_does_not_keep_an_answer_from_being_sent(free_port, site, connect):
    """A record that is half here makes a socket readable that has nothing to read."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = site.context().wrap_bio(coming, going, server_hostname=HOST)
    with receiving(free_port, settings=site.settings()):
        peer = connect(free_port, plain=True)

        def exchange(work):
            while True:
                try:
                    return work()
                except ssl.SSLWantReadError:
                    peer.sendall(going.read())
                    coming.write(peer.recv(65536))

        exchange(tls.do_handshake)
        tls.write(request())
        whole = going.read()
        tls.write(b"".join(store_request(bytes(100))))
        next_one = going.read()
        peer.sendall(whole + next_one[:7])

        assert exchange(lambda: tls.read(1)) == bytes([ASSOCIATE_AC])

        exchange(lambda: tls.read(65536))
        peer.sendall(next_one[7:])
        assert exchange(lambda: tls.read(1)) == bytes([DATA_TF])


def test_noise_inside_tls_is_answered_as_outside(free_port, site, connect):
    with receiving(free_port, settings=site.settings()) as (_, events):
        peer = connect(free_port, b"GET / HTTP/1.1\r\n\r\n")

        assert answer_of(peer)[0] == ABORT
    assert [event["check"] for event in refusals(events)] == ["request"]


def test_a_renewed_certificate_is_served_and_a_broken_one_is_not(free_port, tmp_path, connect):
    authority = Authority(tmp_path, "hospital")
    pair = authority.issue("triage")
    settings = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}

    def served():
        return ssl.get_server_certificate((HOST, free_port), ca_certs=authority.file)

    with receiving(free_port, settings=settings) as (receiver, events):
        first = served()
        assert first.strip() == pair.certificate.read_text().strip()

        authority.issue("triage")
        second = served()
        pair.key.write_text("half a k")
        third = served()

        assert second.strip() == pair.certificate.read_text().strip() != first.strip()
        assert third == second
        assert receiver.answers()
        (unusable,) = [e for e in events if e["event"] == "certificate_unusable"]
        assert "dicom.tls_key" in unusable["reason"]

        authority.issue("triage")
        assert served() not in (first, second)

        pair.key.chmod(0o640)  # what a renewal may have forgotten, and somebody mends
        served()
    assert len([e for e in events if e["event"] == "certificate_loaded"]) == 4


@pytest.mark.dcmtk
def test_an_authority_that_is_added_while_the_daemon_runs_admits_its_senders(
    free_port, tmp_path, image
):
    authority, another = Authority(tmp_path, "hospital"), Authority(tmp_path, "another")
    pair, sender = authority.issue("triage"), another.issue("modality")
    trusted = tmp_path / "senders.pem"
    trusted.write_bytes(authority.pem)
    settings = {
        "tls_certificate": str(pair.certificate),
        "tls_key": str(pair.key),
        "tls_client_ca": str(trusted),
    }
    options = [*sender.for_storescu, "+cf", str(authority.file)]
    with receiving(free_port, settings=settings):
        before = dcmtk.storescu(free_port, [image.file], *options)
        trusted.write_bytes(authority.pem + another.pem)

        after = dcmtk.storescu(free_port, [image.file], *options)

    assert before.returncode != 0
    assert after.returncode == 0


def test_the_end_of_a_connection_is_said_so_that_nobody_takes_it_for_a_cut(
    free_port, site, connect
):
    with receiving(free_port, settings=site.settings()):
        peer = connect(free_port, b"GET / HTTP/1.1\r\n\r\n")
        peer.suppress_ragged_eofs = False  # a connection without a farewell raises SSLEOFError

        assert is_closed(peer)


def test_serve_ends_with_a_sentence_when_a_file_is_wrong(tmp_path, site):
    wrong = tmp_path / "nothing.pem"
    daemon = Daemon(tmp_path, **{**settings_of(site.server), "dicom__tls_key": str(wrong)})

    ended = subprocess.run(
        daemon.command("serve", "--role", "receive"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 2
    assert f"dicom.tls_key={wrong}: cannot be read (No such file" in ended.stderr
    assert "Traceback" not in ended.stderr
