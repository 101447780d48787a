"""The application entity that calls others: pynetdicom's, whose sockets are closed for certain."""

import socket
import ssl
from collections.abc import Callable

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation, AssociationSocket


class Caller(AE):  # type: ignore[misc]  # pynetdicom ships no types
    """Tells *bound* the address and port that it calls from, before it calls."""

    def __init__(
        self, ae_title: str, bound: Callable[[tuple[str, int]], None] | None = None
    ) -> None:
        super().__init__(ae_title)
        self._bound = bound

    def _create_socket(  # pynetdicom's own, but for the class
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> AssociationSocket:
        created = _Socket(assoc, address=address)
        created.tls_args = tls_args
        if self._bound is not None:
            host, port, *_ = created.socket.getsockname()
            self._bound((host, port))
        return created


class _Socket(AssociationSocket):  # type: ignore[misc]  # pynetdicom ships no types
    """pynetdicom leaves one open that was refused, or that the peer closed first."""

    def _create_socket(self, address: AddressInformation) -> socket.socket:
        """Bind it, as pynetdicom does but for SO_REUSEADDR: with that, others could bind it too."""
        family = socket.AF_INET if address.is_ipv4 else socket.AF_INET6
        created = socket.socket(family, socket.SOCK_STREAM)
        created.settimeout(self.assoc.network_timeout)
        created.bind(address.as_tuple)
        self._is_connected = False
        return created

    def _shutdown_socket(self) -> None:
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()
