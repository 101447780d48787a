"""Why a TLS handshake came to nothing: what was wrong, what to do, and whose certificate it was.

OpenSSL's words are for whoever wrote the program; here each gets the action that fits it.
"""

import ssl
from dataclasses import asdict, dataclass

from cryptography import x509

LONGEST_NAME = 200  # characters of a name that a stranger has chosen


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What went wrong with a peer's handshake."""

    reason: str
    action: str
    # Of the certificate that was refused, as RFC 4514 writes them; empty where there was none.
    subject: str = ""
    issuer: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """What is known of it, as fields of a log event."""
        return {key: value for key, value in asdict(self).items() if value}


PLAIN_DICOM = Failure(
    reason="it speaks plain DICOM, and this port speaks TLS",
    action="at the sender: turn TLS on; or empty dicom.tls_certificate",
)
_GIVE = "at the sender: give it a certificate"
_UNKNOWN_AUTHORITY = (
    "add the authority that issued its certificate to dicom.tls_client_ca; or at the sender: "
    "give it a certificate of an authority that is in there"
)
_TOO_WEAK = (
    f"{_GIVE} with a key of RSA 2048 bits or ECDSA 256 at least, signed with SHA-256 or better, "
    "and so its authorities (RFC 9325 4.5)"
)
_WRONG_PURPOSE = (
    f"{_GIVE} whose extended key usage has clientAuth (TLS client authentication); "
    "one of a web server alone will not do"
)
_IN_FORCE = (
    "at the sender: renew its certificate; or here, if triage doctor says that its authority in "
    "dicom.tls_client_ca has expired, that one"
)
_CLOCKS = "at the sender: see from when its certificate counts; or set the clock, there or here"
_NO_AUTHORITY = (
    "a certificate in its chain issued another and is not that of an authority (basic constraints, "
    "key usage): let the authority mend it; or add that certificate to dicom.tls_client_ca"
)
_ANY_OTHER = f"{_GIVE} that openssl verify -purpose sslclient -CAfile TLS_CLIENT_CA accepts"
# By OpenSSL's number for it, X509_V_ERR_... of x509_vfy.h.
_VERIFICATION = {
    2: _UNKNOWN_AUTHORITY,  # UNABLE_TO_GET_ISSUER_CERT
    18: _UNKNOWN_AUTHORITY,  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: _UNKNOWN_AUTHORITY,  # SELF_SIGNED_CERT_IN_CHAIN
    20: _UNKNOWN_AUTHORITY,  # UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: _UNKNOWN_AUTHORITY,  # UNABLE_TO_VERIFY_LEAF_SIGNATURE
    9: _CLOCKS,  # CERT_NOT_YET_VALID
    10: _IN_FORCE,  # CERT_HAS_EXPIRED; of an authority, too
    32: _NO_AUTHORITY,  # KEYUSAGE_NO_CERTSIGN
    79: _NO_AUTHORITY,  # INVALID_CA
    26: _WRONG_PURPOSE,  # INVALID_PURPOSE
    66: _TOO_WEAK,  # EE_KEY_TOO_SMALL
    67: _TOO_WEAK,  # CA_KEY_TOO_SMALL
    68: _TOO_WEAK,  # CA_MD_TOO_WEAK: of any certificate's signature
}

TRUST = "at the sender: let it trust the authority of dicom.tls_certificate; see triage doctor"
_BCP_195 = "at the sender: turn on TLS 1.2 or 1.3, with ECDHE and AES-GCM (BCP 195)"
_LOOK_AT_OURS = (
    "at the sender: see what it has against the certificate of dicom.tls_certificate: its "
    "authority, the name in it, or until when it counts; see triage doctor"
)
_HANDSHAKE = {  # by OpenSSL's word for it
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        "it presented no certificate",
        f"{_GIVE} of an authority in dicom.tls_client_ca; or empty that setting",
    ),
    "NO_SHARED_CIPHER": ("it offers no cipher suite that is taken", _BCP_195),
    "UNSUPPORTED_PROTOCOL": ("it offers no version of TLS that is taken", _BCP_195),
}
_ALERTS = {  # by the end of OpenSSL's word for the alert that came (RFC 8446 6.2)
    "UNKNOWN_CA": TRUST,
    "CERTIFICATE_EXPIRED": "here: renew dicom.tls_certificate and its key, if triage doctor says "
    "that it is over; or at the sender: set its clock",
    "BAD_CERTIFICATE": _LOOK_AT_OURS,
    "CERTIFICATE_UNKNOWN": _LOOK_AT_OURS,
    "UNSUPPORTED_CERTIFICATE": _LOOK_AT_OURS,
    "HANDSHAKE_FAILURE": _BCP_195,
    "PROTOCOL_VERSION": _BCP_195,
    "INSUFFICIENT_SECURITY": _BCP_195,
}


def explain(error: Exception, seconds: float, connection: ssl.SSLSocket | None = None) -> Failure:
    """Say what a peer did wrong in its handshake on *connection*, which was given *seconds*."""
    if isinstance(error, TimeoutError):
        return Failure(
            reason=f"no handshake within {seconds:g} s", action="at the sender, or its network"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        subject, issuer = _refused(connection) if connection else ("", "")
        return Failure(
            reason=f"its certificate is not accepted: {error.verify_message}",
            action=_VERIFICATION.get(error.verify_code, _ANY_OTHER),
            subject=subject,
            issuer=issuer,
        )
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return Failure(reason="it broke off the handshake", action=TRUST)
    word = error.reason or str(error)
    if word in _HANDSHAKE:
        reason, action = _HANDSHAKE[word]
        return Failure(reason=reason, action=action)
    if "ALERT" in word:
        action = _ALERTS.get(word.partition("ALERT_")[2], _LOOK_AT_OURS)
        return Failure(reason=f"it refused the handshake: {words(word)}", action=action)
    return Failure(
        reason=f"the handshake failed: {words(word)}",
        action="at the sender: what it sends is no valid TLS",
    )


def words(reason: str) -> str:
    """Return OpenSSL's word for something as people write it."""
    return reason.replace("_", " ").lower()


def _refused(connection: ssl.SSLSocket) -> tuple[str, str]:
    """Return subject and issuer of the certificate that was refused, where they can be read.

    `getpeercert` knows it after a handshake that went well alone. The chain is what OpenSSL
    had built when it found the fault; Python has a public name for it from 3.13 on.
    """
    chain = connection._sslobj.get_verified_chain()  # type: ignore[attr-defined]
    if not chain:
        return "", ""
    try:
        refused = x509.load_pem_x509_certificate(chain[0].public_bytes().encode())
        return _name(refused.subject), _name(refused.issuer)
    except ValueError:  # OpenSSL takes more for a certificate than others do
        return "", ""


def _name(name: x509.Name) -> str:
    return name.rfc4514_string()[:LONGEST_NAME] or "(no name)"
