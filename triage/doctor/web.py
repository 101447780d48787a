"""The web interface checked: who can come in there, and whether that can be overheard."""

from datetime import UTC, datetime

from triage.dicom import certificate
from triage.doctor.findings import Finding, Status
from triage.settings import Settings
from triage.store import schema, users
from triage.store.database import Database
from triage.web import binding
from triage.web.tls import files_of


def check_web(settings: Settings) -> Finding:
    """Whether `triage serve` would open the port, and what is to be mended there."""
    database = Database(settings.database.url)
    schema.require_latest(database)
    binding.require_safe(settings.web, database)
    web, now = settings.web, datetime.now(UTC)
    shown = f"{web.host}:{web.port}, {len(users.listed(database))} users"
    if web.proxy_header:
        shown += f", and whom {web.proxy_header} names from {', '.join(web.proxy_addresses)}"
    elif web.trust_loopback and not web.proxy_addresses:
        shown += ", and everybody on this machine without a name"
    actions = [doubt] if (doubt := binding.doubt(web)) else []
    if files := files_of(web):
        found = certificate.read(files, now)
        shown += f"; {found.subject}, valid until {found.not_after:%Y-%m-%d}"
        actions += found.doubts
        if not found.not_before <= now < found.not_after:
            return Finding(
                check="web",
                status=Status.FAILED,
                message=f"the certificate is not valid now (from {found.not_before:%Y-%m-%d}): "
                f"{shown}",
                action=RENEW,
            )
        if found.remaining(now) < certificate.RENEW_BEFORE:
            actions.insert(0, RENEW)
    return Finding(
        check="web",
        status=Status.WARNING if actions else Status.OK,
        message=shown,
        action="; ".join(actions) or None,
    )


RENEW = "renew the certificate and its key; new files are read by themselves"
