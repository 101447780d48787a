"""The section `dicom`: the port, who may send, and how much."""

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from triage.settings.section import Network, Port, Seconds, Section, network_of


def _ae_title(value: str) -> str:
    if not value.strip() or len(value) > 16 or not value.isascii() or not value.isprintable():
        raise ValueError("an AE title has 1 to 16 printable ASCII characters (PS3.5 6.2)")
    if "\\" in value:
        raise ValueError("an AE title contains no backslash (PS3.5 6.2)")
    return value.strip()


AETitle = Annotated[str, AfterValidator(_ae_title)]


class Peer(Section):
    """An entry of the allow-list; what is left out admits any."""

    ae_title: AETitle | None = None
    address: Network | None = None

    @model_validator(mode="after")
    def _of_somebody(self) -> Self:
        if self.ae_title is None and self.address is None:
            raise ValueError("name an ae_title, an address or both; 0.0.0.0/0 is everybody")
        return self

    @cached_property
    def network(self) -> IPv4Network | IPv6Network | None:
        """The addresses that the entry admits."""
        return None if self.address is None else network_of(self.address)


class DicomSettings(Section):
    host: str = "127.0.0.1"
    port: Port = 11112
    ae_title: AETitle = "TRIAGE"
    check_called_ae_title: bool = False
    # pynetdicom waits with select(), which knows no file above number 1023.
    max_associations: Annotated[int, Field(ge=1, le=500)] = 64
    max_associations_per_peer: Annotated[int, Field(ge=1, le=500)] = 48
    max_associations_per_second: Annotated[int, Field(ge=0, le=10_000)] = 100
    max_pdu_size: Annotated[int, Field(ge=4096, le=1048576)] = 131072
    max_object_size: Annotated[int, Field(ge=2**20, le=2**32)] = 2**30
    idle_timeout: Annotated[Seconds, Field(gt=0)] = 60
    allow: tuple[Peer, ...] = ()
    tls_certificate: str = ""
    # Looked at when they are left out, too: each may be what the other lacks.
    tls_key: Annotated[str, Field(validate_default=True)] = ""
    tls_client_ca: str = ""

    @field_validator("tls_key")
    @classmethod
    def _with_its_certificate(cls, value: str, info: ValidationInfo) -> str:
        certificate = info.data.get("tls_certificate", "")
        if certificate and not value:
            raise ValueError(
                f"name the file of the key that dicom.tls_certificate={certificate} goes with; or "
                "empty that setting, to go without TLS"
            )
        if value and not certificate:
            raise ValueError(
                "dicom.tls_certificate is empty: name the file of the certificate that this key "
                "goes with; or empty dicom.tls_key, to go without TLS"
            )
        return value

    @field_validator("tls_client_ca")
    @classmethod
    def _with_a_certificate_of_ours(cls, value: str, info: ValidationInfo) -> str:
        if value and not info.data.get("tls_certificate", ""):
            raise ValueError(
                "dicom.tls_certificate is empty: name the file of the port's own certificate; or "
                "empty dicom.tls_client_ca, to go without TLS"
            )
        return value
