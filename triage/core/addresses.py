"""Addresses as they are compared, however they were written."""

from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


def address_of(written: str) -> Address | None:
    """Read an address; without its zone, and an IPv4 one that came in IPv6's clothes as such.

    None where it is a name, or nothing.
    """
    try:
        found = ip_address(written.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine by an address of its own, or by localhost."""
    address = address_of(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)
