"""Certificates for the tests, made when they are wanted: authorities, senders, receivers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.daemon import HOST


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    @property
    def for_storescu(self) -> list[str]:
        """DCMTK's options to present it."""
        return ["+tls", str(self.key), str(self.certificate)]


class Authority:
    """A certification authority; `file` is what those who trust it need."""

    def __init__(self, folder: Path, name: str, *, parent: "Authority | None" = None) -> None:
        """Make it; without a *parent* it vouches for itself."""
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        signer = parent or self
        self.certificate = (
            _builder(self._name, signer._name, self._key.public_key(), days=365)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.pem)

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        name: str,
        *,
        days: float = 365,
        rsa_bits: int | None = None,
        password: bytes | None = None,
        for_servers_alone: bool = False,
    ) -> Pair:
        """Issue a certificate that expires in *days*; ECDSA unless *rsa_bits* are given."""
        key = (
            rsa.generate_private_key(65537, rsa_bits)
            if rsa_bits
            else ec.generate_private_key(ec.SECP256R1())
        )
        certificate = (
            _builder(_name(name), self._name, key.public_key(), days=days)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False
            )
            .add_extension(
                x509.ExtendedKeyUsage(
                    [
                        ExtendedKeyUsageOID.SERVER_AUTH,
                        *([] if for_servers_alone else [ExtendedKeyUsageOID.CLIENT_AUTH]),
                    ]
                ),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        pair = Pair(self.folder / f"{name}.crt.pem", self.folder / f"{name}.key.pem")
        pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                Encoding.PEM,
                PrivateFormat.PKCS8,
                BestAvailableEncryption(password) if password else NoEncryption(),
            )
        )
        pair.key.chmod(0o600)
        return pair


def settings_of(pair: Pair, client_ca: Path | None = None) -> dict[str, str]:
    """Return the settings of a port that presents *pair*, as `start_daemon` takes them."""
    return {
        "dicom__tls_certificate": str(pair.certificate),
        "dicom__tls_key": str(pair.key),
        "dicom__tls_client_ca": str(client_ca or ""),
    }


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: "rsa.RSAPublicKey | ec.EllipticCurvePublicKey",
    *,
    days: float,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=days))
    )
