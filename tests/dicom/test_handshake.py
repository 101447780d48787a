"""What is said of a handshake that came to nothing fits what was wrong."""

import ssl

import pytest

from triage.dicom.handshake import explain


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (9, "set the clock"),
        (10, "renew its certificate"),
        (18, "dicom.tls_client_ca"),
        (19, "dicom.tls_client_ca"),
        (20, "dicom.tls_client_ca"),
        (79, "not that of an authority"),
        (26, "clientAuth"),
        (66, "RSA 2048 bits"),
        (67, "and so its authorities"),
        (68, "signed with SHA-256 or better"),
        (34, "openssl verify -purpose sslclient"),  # a critical extension that is not known
    ],
)
def test_every_fault_of_a_certificate_has_the_action_that_mends_it(code, action):
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, "OpenSSL's words"

    failure = explain(error, 10)

    assert failure.reason == "its certificate is not accepted: OpenSSL's words"
    assert action in failure.action
    assert ("renew" in failure.action) is (code == 10)


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "trust the authority of dicom.tls_certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "renew dicom.tls_certificate"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "the name in it"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "ECDHE and AES-GCM"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "TLS 1.2 or 1.3"),
    ],
)
def test_an_alert_of_the_sender_s_is_answered_by_what_it_complains_of(word, action):
    error = ssl.SSLError()
    error.reason = word

    assert action in explain(error, 10).action
