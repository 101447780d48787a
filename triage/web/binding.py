"""Whether the web interface may open its port: who could come in there, and how safely."""

from datetime import UTC, datetime

from triage.core.addresses import is_loopback
from triage.dicom import certificate, tls
from triage.errors import ConfigurationError
from triage.settings import WebSettings
from triage.store import users
from triage.store.database import Database
from triage.web.tls import files_of


def require_safe(settings: WebSettings, database: Database) -> None:
    """Raise ConfigurationError where everybody could come in, or nobody, or a file is unusable."""
    if files := files_of(settings):
        certificate.read(files, datetime.now(UTC))
        tls.contexts(files)
    if not settings.proxy_header and not _is_for_this_machine(settings):
        _require_users(settings, database)


def doubt(settings: WebSettings) -> str | None:
    """Say what is not as it should be, and does not keep the port shut."""
    if is_loopback(settings.host) or settings.tls_certificate:
        return None
    return (
        f"web.host={settings.host} without TLS: passwords and patients' data can be read on the "
        "way; name a certificate in web.tls_certificate"
    )


def _require_users(settings: WebSettings, database: Database) -> None:
    """Raise ConfigurationError where nobody can log in."""
    if users.are_there(database):
        return
    if not is_loopback(settings.host):
        raise ConfigurationError(
            f"web.host={settings.host}: beyond this machine, people must have names; run triage "
            "user add NAME, or let a proxy name them (web.proxy_addresses and web.proxy_header), "
            "or set web.host = 127.0.0.1"
        )
    key = "web.proxy_addresses" if settings.proxy_addresses else "web.trust_loopback"
    raise ConfigurationError(
        f"{key}: nobody could come in, for there are no users; run triage user add NAME, or take "
        "the setting back"
    )


def _is_for_this_machine(settings: WebSettings) -> bool:
    """Say whether it can be reached from this machine alone, and that is trusted."""
    return is_loopback(settings.host) and settings.trust_loopback and not settings.proxy_addresses
