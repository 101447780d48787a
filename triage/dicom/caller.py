"""The application entity that calls others: pynetdicom's, whose sockets are closed for certain."""

import ssl
from collections.abc import Callable

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation, AssociationSocket


class Caller(AE):  # type: ignore[misc]  # pynetdicom ships no types
    """Tells *bound* the port that it calls from, before it calls."""

    def __init__(self, ae_title: str, bound: Callable[[int], None] | None = None) -> None:
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
            self._bound(int(created.socket.getsockname()[1]))
        return created


class _Socket(AssociationSocket):  # type: ignore[misc]  # pynetdicom ships no types
    """pynetdicom leaves one open that was refused, or that the peer closed first."""

    def _shutdown_socket(self) -> None:
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()
