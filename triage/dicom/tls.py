"""DICOM TLS, by the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12).

TLS 1.2 and 1.3; of 1.2 the suites that RFC 9325 4.2 recommends. No renegotiation, no
compression, and no resumption: an association lasts longer than a handshake, and
nothing then has to keep and change keys for tickets.
"""

import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

from triage import logs
from triage.dicom import certificate
from triage.dicom.certificate import RENEW_BEFORE, Certificate, Files
from triage.dicom.handshake import PLAIN_DICOM, Failure, explain, words
from triage.dicom.refusal import NO_REASON_GIVEN, TLS_HANDSHAKE
from triage.errors import CertificateWanted, ConfigurationError, SendFailed

# RFC 9325 4.2, for TLS 1.2. Level 2 is RSA of 2048 bits and curves of 224 at least (RFC 9325 4.5).
SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=2"
)
KNOCK_WAIT = 5.0  # seconds for another port's handshake
REFUSAL_WAIT = 1.0  # seconds after it in which TLS 1.3 may still refuse our certificate

log = logs.get(__name__)


class HandshakeFailed(Exception):
    """A peer's handshake came to nothing; *answer* is what it can still be told."""

    def __init__(self, connection: socket.socket, failure: Failure, answer: bytes = b"") -> None:
        super().__init__(failure.reason)
        self.connection = connection
        self.failure = failure
        self.answer = answer


class Certificates:
    """What the port proves itself with. A file that changes is read again for the next peer."""

    def __init__(self, files: Files) -> None:
        """Read *files*; raises ConfigurationError naming the setting that is wrong."""
        self._files = files
        self._lock = threading.Lock()
        self._stamp = _stamp(files)
        self._load()

    def context(self, *, own: bool) -> ssl.SSLContext:
        """Return what a handshake needs; the daemon's *own* check is asked for no certificate."""
        with self._lock:
            stamp = _stamp(self._files)
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._load()
                except ConfigurationError as error:
                    log.error("certificate_unusable", reason=str(error))
            return self._for_ourselves if own else self._for_peers

    def are_refused_in(self, failure: Failure) -> bool:
        """Say whether it is our own certificate that was presented to us, and not accepted."""
        return (failure.subject, failure.issuer) == self._names

    def _load(self) -> None:
        now = datetime.now(UTC)
        found = certificate.read(self._files, now)
        self._names = (found.subject, found.issuer)
        self._for_peers, self._for_ourselves = contexts(self._files)
        _tell(self._files, found, now)


def contexts(files: Files) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts for the handshakes with peers and with the daemon's own check.

    Raises ConfigurationError when OpenSSL does not take a certificate or its key.
    """
    try:
        for_peers, for_ourselves = _context(files), _context(files)
        if files.client_ca is not None:
            for_peers.verify_mode = ssl.CERT_REQUIRED
            # What the site put into the file is what it trusts, a root or not.
            for_peers.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
            for_peers.load_verify_locations(files.client_ca)
    except (OSError, ValueError) as error:  # ssl.SSLError among them: too weak a key
        raise ConfigurationError(
            f"{files.section}.tls_certificate={files.certificate}: cannot be used "
            f"({words(getattr(error, 'reason', None) or str(error))}); RFC 9325 asks for RSA of "
            "2048 bits or ECDSA of 256, signed with SHA-256 or better"
        ) from error
    return for_peers, for_ourselves


def secure(
    connection: socket.socket, context: ssl.SSLContext, seconds: float
) -> ssl.SSLSocket | None:
    """Shake hands within *seconds*; None when the peer hung up before it had said a word.

    Takes *connection* over. Raises HandshakeFailed with what went wrong.
    """
    give_up = time.monotonic() + seconds
    try:
        connection.settimeout(seconds)
        first = connection.recv(1, socket.MSG_PEEK)
    except TimeoutError as error:
        raise HandshakeFailed(connection, explain(error, seconds)) from error
    except OSError:
        first = b""
    if not first:
        connection.close()
        return None
    if first[0] != TLS_HANDSHAKE:
        raise HandshakeFailed(connection, PLAIN_DICOM, NO_REASON_GIVEN)
    try:
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
    except (OSError, ValueError):  # the peer has gone meanwhile
        connection.close()
        return None
    try:
        secured.settimeout(max(0.001, give_up - time.monotonic()))
        secured.do_handshake()
        secured.settimeout(None)
    except (OSError, ValueError) as error:
        failure = explain(error, seconds, secured)
        bare = socket.socket(fileno=secured.detach())
        raise HandshakeFailed(bare, failure) from error
    return secured


def client_context(files: Files | None = None) -> ssl.SSLContext:
    """Return what it takes to ask a port of our own whether it lives; nothing secret is sent.

    With *files* the port's own certificate is presented where it asks for one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # It may carry any name, and have expired: `triage doctor` judges the file itself.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if files is not None:
        with suppress(OSError):  # the file is judged elsewhere
            context.load_cert_chain(files.certificate, files.key, password="")
    return context


def knock(host: str, port: int, context: ssl.SSLContext) -> None:
    """Shake hands and no more, to learn why an association over TLS did not come about.

    Raises CertificateWanted when the port wants a certificate that it trusts, and
    SendFailed when it speaks no TLS, or none of ours. Where nobody listens it says nothing.
    """
    try:
        plain = socket.create_connection((host, port), timeout=KNOCK_WAIT)
    except OSError:
        return
    try:
        with plain, context.wrap_socket(plain) as secured:
            secured.settimeout(REFUSAL_WAIT)
            with suppress(TimeoutError):
                secured.recv(1)
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
            raise CertificateWanted(
                f"{host}:{port} speaks TLS and wants a certificate that it trusts"
            ) from error
        raise SendFailed(
            f"{host}:{port} accepts connections, and no TLS handshake ({words(reason)}); restart "
            "the daemon if dicom.tls_certificate is new, else look into its log"
        ) from error
    except OSError as error:
        raise SendFailed(f"{host}:{port} broke off the TLS handshake ({error})") from error


def _stamp(files: Files) -> tuple[tuple[int, int, int], ...]:
    """Return what changes when a file is replaced; a missing one stands for itself."""
    stamps = []
    for path in files.all:
        try:
            status = path.stat()
        except OSError:
            stamps.append((0, 0, 0))
        else:
            # When it was changed, and not when it was written: its rights may be what was wrong.
            stamps.append((status.st_ctime_ns, status.st_size, status.st_ino))
    return tuple(stamps)


def _tell(files: Files, found: Certificate, now: datetime) -> None:
    fields = {
        "setting": f"{files.section}.tls_certificate",
        "subject": found.subject,
        "not_after": found.not_after.isoformat(),
        "days": found.remaining(now).days,
    }
    doubts = list(found.doubts)
    if found.remaining(now) < RENEW_BEFORE:
        doubts.append("it is to be renewed")
    if doubts:
        log.warning("certificate_loaded", reason="; ".join(doubts), **fields)
    else:
        log.info("certificate_loaded", **fields)


def _context(files: Files) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    # An empty password, so that a key which has one after all asks nobody at the terminal.
    context.load_cert_chain(files.certificate, files.key, password="")
    return context
