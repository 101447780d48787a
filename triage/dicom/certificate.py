"""The certificate of a port, its key and the senders' authorities: read and checked."""

import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from triage.errors import ConfigurationError
from triage.settings import DicomSettings

RENEW_BEFORE = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where the settings say that they lie."""

    certificate: Path
    key: Path
    client_ca: Path | None = None  # None: senders need no certificate
    section: str = "dicom"  # of the settings, where the port has another

    @property
    def all(self) -> list[Path]:
        """Every one of them."""
        return [path for path in (self.certificate, self.key, self.client_ca) if path]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What the file of `tls_certificate` holds; names as RFC 4514 writes them."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    chain: int  # certificates in the file, ours included
    doubts: tuple[str, ...]  # what does not keep it from being used, and should be mended

    def remaining(self, now: datetime) -> timedelta:
        """How long it still counts; negative when it has expired."""
        return self.not_after - now


def files_of(settings: DicomSettings) -> Files | None:
    """Return the files that the settings name; None when they ask for no TLS."""
    if not settings.tls_certificate:
        return None
    return Files(
        certificate=Path(settings.tls_certificate),
        key=Path(settings.tls_key),
        client_ca=Path(settings.tls_client_ca) if settings.tls_client_ca else None,
    )


def read(files: Files, now: datetime) -> Certificate:
    """Read all of *files*; raises ConfigurationError naming the setting whose file is unusable.

    Whether it has expired is for the caller to judge: an expired certificate can be served.
    """
    chain = _certificates(f"{files.section}.tls_certificate", files.certificate)
    own = chain[0]
    _check_key(files, own)
    authorities = (
        _certificates(f"{files.section}.tls_client_ca", files.client_ca) if files.client_ca else []
    )
    return Certificate(
        subject=_name(own.subject),
        issuer=_name(own.issuer),
        not_before=own.not_valid_before_utc,
        not_after=own.not_valid_after_utc,
        chain=len(chain),
        doubts=tuple(_doubts(files, chain, authorities, now)),
    )


def _check_key(files: Files, own: x509.Certificate) -> None:
    path, setting = files.key, f"{files.section}.tls_key"
    data = _content(setting, path)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ConfigurationError(
            f"{setting}={path}: the key has a password, and nobody is there to type it when "
            f"the daemon starts; write it without one (openssl pkey -in {path} -out NEW.pem) and "
            "let the daemon's user alone read it"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"{setting}={path}: is no private key in PEM form; it begins with "
            "-----BEGIN PRIVATE KEY-----, and DER is converted by openssl pkey -inform DER"
        ) from error
    of_key, of_certificate = (
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for public in (key.public_key(), own.public_key())
    )
    if of_key != of_certificate:
        raise ConfigurationError(
            f"{setting}={path}: is the key of another certificate than the first one in "
            f"{files.section}.tls_certificate; renew both together, ours before those of the authorities"
        )


def _doubts(
    files: Files, chain: list[x509.Certificate], authorities: list[x509.Certificate], now: datetime
) -> list[str]:
    doubts = []
    if files.key.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        doubts.append(
            f"{files.section}.tls_key={files.key}: everybody on this machine can read it; "
            "chmod 0640 or 0600, owned by root or the daemon's user"
        )
    for number, (lower, upper) in enumerate(pairwise(chain), start=1):
        if not _is_issued_by(lower, upper):
            doubts.append(
                f"{files.section}.tls_certificate={files.certificate}: certificate {number} was not issued "
                f"by certificate {number + 1}; order them from ours to the root, or senders "
                "will not trust ours"
            )
    doubts.extend(
        f"{files.section}.tls_client_ca={files.client_ca}: {_name(authority.subject)} expired on "
        f"{authority.not_valid_after_utc:%Y-%m-%d}; senders with its certificates are refused"
        for authority in authorities
        if authority.not_valid_after_utc < now
    )
    return doubts


def _is_issued_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _certificates(setting: str, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_content(setting, path))
    except ValueError as error:
        raise ConfigurationError(
            f"{setting}={path}: holds no certificate in PEM form; it begins with "
            "-----BEGIN CERTIFICATE-----, and DER is converted by openssl x509 -inform DER"
        ) from error


def _content(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{setting}={path}: cannot be read ({error.strerror}); correct the path, or "
            "let the daemon's user read it"
        ) from error


def _name(name: x509.Name) -> str:
    return name.rfc4514_string() or "(no name)"
