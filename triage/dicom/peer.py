"""Who is at the other end, as the log and the allow-list write it."""

import socket

from pynetdicom.association import Association

from triage.core.addresses import address_of


def plain_address(address: str) -> str:
    """Return an address without its zone, and an IPv4 one that came in IPv6's clothes as such."""
    return str(address_of(address) or address)


def is_from_here(connection: socket.socket, address: str) -> bool:
    """Say whether the peer at *address* is on this machine: it is the address that it came to."""
    try:
        return plain_address(connection.getsockname()[0]) == plain_address(address)
    except OSError:  # it is closed
        return False


def peer_of(association: Association) -> dict[str, str]:
    """Return what is known of the peer, as fields of a log event."""
    request = association.requestor.primitive
    address = association.requestor.address
    return {
        "calling_ae_title": request.calling_ae_title.strip() if request else "",
        "address": plain_address(address) if address else "",
    }
