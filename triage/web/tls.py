"""TLS of the web interface: the same rules as those of the DICOM port."""

import ssl
from pathlib import Path

from triage.dicom.certificate import Files
from triage.dicom.tls import Certificates
from triage.settings import WebSettings


def files_of(settings: WebSettings) -> Files | None:
    """Return the files that the settings name; None when they ask for no TLS."""
    if not settings.tls_certificate:
        return None
    return Files(
        certificate=Path(settings.tls_certificate), key=Path(settings.tls_key), section="web"
    )


def context_of(files: Files) -> ssl.SSLContext:
    """Return what every handshake begins with; each presents the certificate that is there then.

    Raises ConfigurationError naming the setting whose file is unusable.
    """
    certificates = Certificates(files)

    def present(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = certificates.context(own=False)

    context = certificates.context(own=False)
    context.sni_callback = present  # OpenSSL calls it for those who name no host, too
    return context
