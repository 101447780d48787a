"""What every section of the settings is made of."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

TEN_YEARS = 315_360_000
Seconds = Annotated[float, Field(le=TEN_YEARS, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]


def _address_or_network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as error:  # of a host's name, too: names can be forged
        raise ValueError(
            f"{error}; give an address (192.0.2.10) or a network (192.0.2.128/25)"
        ) from error
    return value


Network = Annotated[str, AfterValidator(_address_or_network)]


def network_of(written: str) -> IPv4Network | IPv6Network:
    """Return the addresses of a `Network`; an IPv4 one may be written in IPv6's clothes."""
    network = ip_network(written)
    if network.version == 6 and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ip_network((mapped, network.prefixlen - 96))
    return network


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
