"""The DICOM port checked: what it can decode, its certificate, and whether it answers."""

from datetime import UTC, datetime

from triage.dicom import certificate, codec_samples, codecs, scu, tls
from triage.dicom.access import DOCTOR
from triage.doctor.findings import Finding, Status
from triage.errors import AssociationRejected, CertificateWanted, NobodyListens, SendFailed
from triage.settings import Settings


def check_codecs(_settings: Settings) -> Finding:
    missing, broken = codecs.missing(), codec_samples.failures()
    if broken:  # it is offered, so such images are accepted and come out wrong
        return Finding(
            check="codecs",
            status=Status.FAILED,
            message="; ".join([*broken.values(), *missing.values()]),
            action="install what is named; until then do not trust images in these syntaxes",
        )
    if missing:
        return Finding(
            check="codecs",
            status=Status.WARNING,
            message="; ".join(missing.values()),
            action="install what is named; until then senders must send another syntax",
        )
    return Finding(
        check="codecs",
        status=Status.OK,
        message=f"a sample of each of {len(codecs.negotiable())} transfer syntaxes was decoded",
    )


def check_certificate(settings: Settings) -> Finding:
    files = certificate.files_of(settings.dicom)
    if files is None:
        return Finding(
            check="certificate",
            status=Status.OK,
            message="no DICOM TLS: dicom.tls_certificate is empty",
        )
    now = datetime.now(UTC)
    found = certificate.read(files, now)
    tls.contexts(files)  # whether OpenSSL takes it too
    days = found.remaining(now).days
    shown = (
        f"{found.subject}, issued by {found.issuer}, valid until {found.not_after:%Y-%m-%d}; "
        f"{found.chain} in the file; senders "
        + ("must present one too" if files.client_ca else "need none")
    )
    if not found.not_before <= now < found.not_after:
        return Finding(
            check="certificate",
            status=Status.FAILED,
            message=f"it is not valid now (from {found.not_before:%Y-%m-%d}): {shown}",
            action="renew it and its key; the daemon reads new files by itself",
        )
    actions = list(found.doubts)
    if found.remaining(now) < certificate.RENEW_BEFORE:
        shown = f"{days} days are left: {shown}"
        actions.insert(0, "renew it and its key; the daemon reads new files by itself")
    if actions:
        return Finding(
            check="certificate", status=Status.WARNING, message=shown, action="; ".join(actions)
        )
    return Finding(check="certificate", status=Status.OK, message=shown)


def check_receiver(settings: Settings) -> Finding:
    host, port = settings.dicom.host, settings.dicom.port
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    where = f"{settings.dicom.ae_title} at {reached}:{port}"
    files = certificate.files_of(settings.dicom)
    try:
        scu.echo(
            host=reached,
            port=port,
            called_ae_title=settings.dicom.ae_title,
            calling_ae_title=DOCTOR,
            context=tls.client_context(files) if files else None,
        )
    except CertificateWanted as error:  # a word of the port, and as it should be
        return Finding(check="receiver", status=Status.OK, message=str(error))
    except NobodyListens as error:
        return Finding(
            check="receiver",
            status=Status.FAILED,
            message=str(error),
            action="start the daemon (systemctl start triage, or triage serve)",
        )
    except AssociationRejected as error:  # it is there, and does not admit this command
        return Finding(
            check="receiver",
            status=Status.WARNING,
            message=str(error),
            action="nothing, for it answers, and senders are not concerned; if this check is to "
            "come in, do what the daemon's log says (doctor_refused: the check, and what admits)",
        )
    except SendFailed as error:
        return Finding(
            check="receiver",
            status=Status.WARNING,
            message=str(error),
            action="restart the daemon if the settings have changed since it started; else do what "
            "its log says",
        )
    over = " over TLS" if files else ""
    return Finding(check="receiver", status=Status.OK, message=f"{where} answers C-ECHO{over}")
