"""Who may open an association."""

from ipaddress import ip_address

from triage.settings import Peer


def is_allowed(allow: tuple[Peer, ...], ae_title: str, address: str) -> bool:
    """Say whether a peer may associate; an empty list admits this machine alone."""
    peer = ip_address(address.partition("%")[0])
    mapped = getattr(peer, "ipv4_mapped", None)
    peer = mapped or peer
    if not allow:
        return peer.is_loopback
    return any(
        entry.ae_title in (None, ae_title) and (entry.network is None or peer in entry.network)
        for entry in allow
    )
