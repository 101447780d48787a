"""The daemon's check of its own port: whether it still answers with a word of DICOM.

It is known by the address and port that it comes from, which are its alone while it lasts:
so it passes the allow-list and the limits, needs no certificate, and nobody can take its
place by a name. All that it may do is Verification.
"""

import socket
import ssl
from typing import Any

from pynetdicom.sop_class import Verification

from triage.dicom.caller import Caller
from triage.dicom.peer import is_from_here, plain_address

AE_TITLE = "TRIAGE-CHECK"


class SelfCheck:
    """Makes the check, and recognises it where it arrives."""

    def __init__(self) -> None:
        self._ends: set[tuple[str, int]] = set()  # addresses that a check is made from now

    def recognises(self, connection: socket.socket, client_address: Any) -> bool:
        """Say whether a connection that arrived is ours: from our end, to the same address."""
        return _end(client_address) in self._ends and is_from_here(connection, client_address[0])

    def answers(
        self, host: str, port: int, ae_title: str, context: ssl.SSLContext | None, timeout: float
    ) -> bool:
        """Say whether the port accepts an association, over TLS where there is a *context*."""
        if host in ("0.0.0.0", "::", ""):  # noqa: S104  where it listens, not where it connects
            host = "::1" if host == "::" else "127.0.0.1"
        ends: list[tuple[str, int]] = []

        def bound(name: tuple[str, int]) -> None:
            ends.append(_end(name))
            self._ends.add(_end(name))

        entity = Caller(AE_TITLE, bound)
        entity.connection_timeout = entity.acse_timeout = entity.network_timeout = timeout
        entity.dimse_timeout = timeout
        entity.add_requested_context(Verification)
        try:
            association = entity.associate(
                host,
                port,
                ae_title=ae_title,
                # From where it goes to: so that it is seen to come from this machine.
                bind_address=(host, 0),
                tls_args=None if context is None else (context, host),
            )
            if not association.is_established:
                return False
            association.send_c_echo()
            association.release()
            return True
        finally:
            self._ends.difference_update(ends)


def _end(name: Any) -> tuple[str, int]:
    """Return address and port of a socket's name, which over IPv6 has more."""
    return plain_address(name[0]), int(name[1])
