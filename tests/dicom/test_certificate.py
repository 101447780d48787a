"""The files of DICOM TLS: what is wrong with them is said, by the setting that names them."""

import socket
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from tests.support.certificates import Authority
from tests.support.daemon import HOST, free_port
from tests.support.pdus import answer_of, request
from tests.support.receiving import receiving
from triage import doctor, settings
from triage.dicom import certificate
from triage.dicom.certificate import Files
from triage.dicom.tls import Certificates
from triage.errors import ConfigurationError


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "hospital")


def load(pair, client_ca=None, **other):
    chosen = {
        "tls_certificate": str(pair.certificate),
        "tls_key": str(pair.key),
        "tls_client_ca": str(client_ca or ""),
        **other,
    }
    files = certificate.files_of(settings.DicomSettings(**chosen))
    with capture_logs() as events:
        Certificates(files)
    return events


def missing(authority, pair):
    pair.certificate.unlink()


def not_pem(authority, pair):
    pair.certificate.write_bytes(b"\x30\x82\x01\x0a")


def key_for_certificate(authority, pair):
    pair.certificate.write_bytes(pair.key.read_bytes())


def of_another(authority, pair):
    authority.issue("other").key.rename(pair.key)


def with_password(authority, pair):
    authority.issue(pair.certificate.name.partition(".")[0], password=b"secret")


def too_short(authority, pair):
    authority.issue(pair.certificate.name.partition(".")[0], rsa_bits=1024)


def no_key(authority, pair):
    pair.key.write_text("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n")


@pytest.mark.parametrize(
    ("spoil", "setting", "word"),
    [
        (missing, "dicom.tls_certificate", "No such file"),
        (not_pem, "dicom.tls_certificate", "no certificate in PEM form"),
        (key_for_certificate, "dicom.tls_certificate", "no certificate in PEM form"),
        (of_another, "dicom.tls_key", "key of another certificate"),
        (with_password, "dicom.tls_key", "has a password"),
        (no_key, "dicom.tls_key", "no private key in PEM form"),
        (too_short, "dicom.tls_certificate", "2048 bits"),
    ],
)
def test_a_wrong_file_is_named_by_its_setting(authority, spoil, setting, word):
    pair = authority.issue("triage")
    spoil(authority, pair)

    with pytest.raises(ConfigurationError, match=f"(?s)^{setting}=.*{word}"):
        load(pair)


def test_without_a_certificate_there_is_no_tls():
    assert certificate.files_of(settings.DicomSettings()) is None


def test_the_senders_authorities_are_checked_too(authority, tmp_path):
    pair = authority.issue("triage")

    with pytest.raises(ConfigurationError, match=r"dicom\.tls_client_ca=.*No such file"):
        load(pair, tmp_path / "nothing.pem")
    with pytest.raises(ConfigurationError, match=r"dicom\.tls_client_ca=.*no certificate"):
        load(pair, pair.key)


def test_a_key_that_everybody_can_read_is_used_with_a_warning(authority):
    pair = authority.issue("triage")
    pair.key.chmod(0o644)

    (event,) = load(pair)

    assert (event["event"], event["log_level"]) == ("certificate_loaded", "warning")
    assert "everybody on this machine can read it" in event["reason"]


def test_the_log_says_whose_certificate_it_is_and_until_when(authority):
    (event,) = load(authority.issue("triage", rsa_bits=2048))

    assert (event["log_level"], event["subject"], event["days"]) == ("info", "CN=triage", 364)


def test_an_expired_certificate_is_served_with_a_warning(authority):
    (event,) = load(authority.issue("triage", days=-1))

    assert event["log_level"] == "warning"
    assert "to be renewed" in event["reason"]


def test_the_order_of_a_chain_is_checked(authority, tmp_path):
    middle = Authority(tmp_path, "department", parent=authority)
    pair = middle.issue("triage")
    own = pair.certificate.read_bytes()
    files = Files(certificate=pair.certificate, key=pair.key, client_ca=None)

    pair.certificate.write_bytes(own + middle.pem + authority.pem)
    right = certificate.read(files, datetime.now(UTC))
    pair.certificate.write_bytes(own + authority.pem)
    wrong = certificate.read(files, datetime.now(UTC))

    assert (right.chain, right.doubts) == (3, ())
    assert (right.subject, right.issuer) == ("CN=triage", "CN=department")
    assert "certificate 1 was not issued by certificate 2" in wrong.doubts[0]


def test_an_authority_that_has_expired_is_named(authority):
    pair = authority.issue("triage")
    files = Files(certificate=pair.certificate, key=pair.key, client_ca=authority.file)

    found = certificate.read(files, datetime.now(UTC) + timedelta(days=400))

    assert "CN=hospital expired" in found.doubts[0]


def diagnose(check, chosen, tmp_path):
    """Return what `triage doctor` finds of one check."""
    site = settings.Settings(
        database={"url": f"sqlite:///{tmp_path / 'none.db'}"},
        spool={"directory": tmp_path / "none"},
        model={"path": str(tmp_path / "none.safetensors")},
        dicom=chosen,
    )
    return next(finding for finding in doctor.examine(site) if finding.check == check)


@pytest.mark.parametrize(
    ("days", "status", "word"),
    [(365, "ok", "valid until"), (20, "warning", "19 days are left"), (-1, "failed", "not valid")],
)
def test_doctor_says_how_long_the_certificate_counts(authority, tmp_path, days, status, word):
    pair = authority.issue("triage", days=days)
    chosen = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}

    finding = diagnose("certificate", chosen, tmp_path)

    assert finding.status == status
    assert word in finding.message
    assert "CN=triage, issued by CN=hospital" in finding.message
    assert (finding.action is None) == (status == "ok")


def test_doctor_names_everything_that_is_to_be_done(authority, tmp_path):
    pair = authority.issue("triage", days=20)
    pair.key.chmod(0o604)
    chosen = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}

    finding = diagnose("certificate", chosen, tmp_path)

    assert finding.action.count("renew it") == 1
    assert "chmod" in finding.action


def test_doctor_names_what_is_wrong_with_the_files(authority, tmp_path):
    pair = authority.issue("triage")
    pair.key.chmod(0o604)
    chosen = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}

    open_key = diagnose("certificate", chosen, tmp_path)
    of_another(authority, pair)
    mismatch = diagnose("certificate", chosen, tmp_path)

    assert open_key.status == "warning"
    assert "chmod" in open_key.action
    assert mismatch.status == "failed"
    assert "key of another certificate" in mismatch.message


def test_doctor_has_nothing_to_say_of_a_site_without_tls(tmp_path):
    finding = diagnose("certificate", {}, tmp_path)

    assert (finding.status, finding.action) == ("ok", None)
    assert "no DICOM TLS" in finding.message


def test_doctor_hears_the_port_over_tls_whoever_may_come_in(authority, tmp_path):
    pair = authority.issue("triage")
    elsewhere = Authority(tmp_path, "elsewhere")
    port = free_port()
    chosen = {
        "host": HOST,
        "port": port,
        "tls_certificate": str(pair.certificate),
        "tls_key": str(pair.key),
    }
    found = {}
    for name, client_ca in {
        "anybody": "",
        "ours": authority.file,
        "others": elsewhere.file,
    }.items():
        chosen["tls_client_ca"] = str(client_ca)
        with receiving(port, settings=chosen):
            found[name] = diagnose("receiver", chosen, tmp_path)
    with receiving(port):
        without = diagnose("receiver", chosen, tmp_path)
    with receiving(port, settings=chosen):
        plain = diagnose("receiver", {"host": HOST, "port": port}, tmp_path)
    nobody = diagnose("receiver", chosen, tmp_path)

    assert {finding.status for finding in found.values()} == {"ok"}
    assert "answers C-ECHO over TLS" in found["anybody"].message
    assert "answers C-ECHO over TLS" in found["ours"].message
    assert "wants a certificate" in found["others"].message
    assert without.status == "warning"
    assert "no TLS handshake" in without.message
    assert "restart the daemon" in without.action
    assert plain.status == "warning"
    assert nobody.status == "failed"


@pytest.mark.parametrize(
    "refusing",
    [
        {"allow": [{"ae_title": "PACS"}]},
        {"allow": [{"address": "192.0.2.1"}]},
        {"check_called_ae_title": True, "ae_title": "ANOTHER"},
        "tls_client_ca",
        "tls_certificate",
    ],
    ids=str,
)
def test_doctor_that_is_not_let_in_is_no_sender_turned_away(authority, tmp_path, refusing):
    pair = authority.issue("triage")
    daemons = {"host": HOST, "port": free_port()}
    asked = dict(daemons)
    if isinstance(refusing, dict):
        daemons |= refusing
    else:
        daemons |= {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
        if refusing == "tls_client_ca":
            daemons["tls_client_ca"] = str(Authority(tmp_path, "elsewhere").file)
            asked = daemons
    with receiving(daemons["port"], settings=daemons) as (_, events):
        finding = diagnose("receiver", asked, tmp_path)

    assert [e for e in events if e["log_level"] == "warning"] == []
    refused = [e for e in events if e["event"] == "doctor_refused"]
    assert {(e["log_level"], e["calling_ae_title"]) for e in refused} == {("info", "TRIAGE-DOCTOR")}
    assert all(e["check"] and e["action"] for e in refused)
    assert finding.status == ("ok" if refusing == "tls_client_ca" else "warning")
    assert finding.action is None or "senders are not concerned" in finding.action


def test_nobody_else_is_taken_for_doctor(authority, tmp_path):
    settings = {"host": "::", "port": free_port(), "allow": [{"ae_title": "PACS"}]}
    with (
        receiving(settings["port"], settings=settings) as (_, events),
        socket.socket() as peer,
    ):
        peer.bind(("127.0.0.2", 0))  # it comes from another address than it goes to
        peer.connect((HOST, settings["port"]))
        peer.sendall(request(calling=b"TRIAGE-DOCTOR"))
        answer_of(peer)

    assert [e["event"] for e in events if "check" in e] == ["association_refused"]
