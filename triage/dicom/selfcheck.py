"""The daemon's check of its own port: whether it still answers with a word of DICOM.

It is known by the port that it comes from, on this machine: so it passes the allow-list
and the limits, needs no certificate, and nobody can take its place by a name.
"""

import socket
import ssl
from typing import Any

from pynetdicom.sop_class import Verification

from triage.dicom.caller import Caller

AE_TITLE = "TRIAGE-CHECK"


class SelfCheck:
    """Makes the check, and recognises it where it arrives."""

    def __init__(self) -> None:
        self._ports: set[int] = set()  # that a check is made from now

    def recognises(self, connection: socket.socket, client_address: Any) -> bool:
        """Say whether a connection that arrived is ours: from this machine, and from our port."""
        if client_address[1] not in self._ports:
            return False
        try:
            return bool(connection.getsockname()[0] == client_address[0])
        except OSError:
            return False

    def answers(
        self, host: str, port: int, ae_title: str, context: ssl.SSLContext | None, timeout: float
    ) -> bool:
        """Say whether the port accepts an association, over TLS where there is a *context*."""
        if host in ("0.0.0.0", "::", ""):  # noqa: S104  where it listens, not where it connects
            host = "::1" if host == "::" else "127.0.0.1"
        ports: list[int] = []

        def bound(number: int) -> None:
            ports.append(number)
            self._ports.add(number)

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
            self._ports.difference_update(ports)
