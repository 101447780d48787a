"""The section `web`: the page, the JSON interface, who is let in, and what watches over us."""

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from triage.core.people import user_name
from triage.settings.section import Network, Port, Seconds, Section, network_of


def _host(value: str) -> str:
    if not value.strip():
        raise ValueError("give an address; 0.0.0.0 is every address of this machine")
    return value.strip()


def _header(value: str) -> str:
    if value and not all(
        letter.isascii() and (letter.isalnum() or letter == "-") for letter in value
    ):
        raise ValueError("give the name of a header, such as X-Remote-User")
    return value.lower()


class WebSettings(Section):
    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    port: Port = 8042
    tls_certificate: str = ""
    # Looked at when it is left out, too: it may be what the other lacks.
    tls_key: Annotated[str, Field(validate_default=True)] = ""
    trust_loopback: bool = True
    session: Annotated[Seconds, Field(ge=60)] = 43200
    proxy_addresses: tuple[Network, ...] = ()
    proxy_header: Annotated[str, AfterValidator(_header)] = ""
    proxy_administrators: tuple[Annotated[str, AfterValidator(user_name)], ...] = ()
    monitors: tuple[Network, ...] = ()

    @field_validator("tls_key")
    @classmethod
    def _with_its_certificate(cls, value: str, info: ValidationInfo) -> str:
        certificate = info.data.get("tls_certificate", "")
        if bool(certificate) != bool(value):
            raise ValueError(
                "web.tls_certificate and web.tls_key go together: name the files of both; or empty "
                "both, to go without TLS"
            )
        return value

    @field_validator("proxy_header")
    @classmethod
    def _from_a_named_address(cls, value: str, info: ValidationInfo) -> str:
        if value and not info.data.get("proxy_addresses", ("some",)):
            raise ValueError(
                "name the proxy's address in web.proxy_addresses: from anywhere else the header "
                "would be anybody's word"
            )
        return value

    @field_validator("proxy_administrators")
    @classmethod
    def _whom_a_proxy_names(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and not info.data.get("proxy_header", "some"):
            raise ValueError("web.proxy_header is empty: no proxy names anybody")
        return value

    @cached_property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The addresses from which what a proxy says is believed."""
        return tuple(map(network_of, self.proxy_addresses))

    @cached_property
    def watchers(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The addresses that may ask how the daemon is without a name."""
        return tuple(map(network_of, self.monitors))
