"""The site checked: every part on its own, with what to do where it fails."""

from collections.abc import Callable, Iterator
from functools import partial

from triage.doctor.files import check_files
from triage.doctor.findings import Finding, Status
from triage.doctor.model import check_model
from triage.doctor.port import check_certificate, check_codecs, check_receiver
from triage.doctor.storage import (
    check_audit,
    check_database,
    check_queue,
    check_rights,
    check_spool,
)
from triage.doctor.web import check_web
from triage.errors import TriageError
from triage.settings import Settings

__all__ = ["Finding", "Status", "examine"]


def examine(settings: Settings, *, repair: bool = False) -> Iterator[Finding]:
    """Run every check; one that fails does not keep the others from running.

    With *repair*, spool and database are brought together again where they have parted.
    """
    checks: dict[str, Callable[[Settings], Finding]] = {
        "database": check_database,
        "spool": check_spool,
        "files": partial(check_files, repair=repair),
        "rights": check_rights,
        "audit": check_audit,
        "codecs": check_codecs,
        "model": check_model,
        "certificate": check_certificate,
        "receiver": check_receiver,
        "queue": check_queue,
        "web": check_web,
    }
    for name, check in checks.items():
        try:
            yield check(settings)
        except TriageError as error:
            yield Finding(
                check=name, status=Status.FAILED, message=str(error), action=_ACTIONS[name]
            )


_ACTIONS = {
    "database": "see that it runs, that its rights are right, and run triage db upgrade",
    "spool": "make room, or correct spool.directory and its owner",
    "files": "see that database and spool can be read and written",
    "rights": "see who owns the files, and run it as the service's user",
    "audit": "see that the database runs, and run triage db upgrade",
    "codecs": "install triage again, with its dependencies",
    "model": "do what the message says; a model is brought in with triage model import, and named "
    "in model.path",
    "certificate": "correct the setting that is named; until then the daemon does not start, or "
    "goes on with the files that it had",
    "receiver": "look into the daemon's log",
    "queue": "look into the daemon's log",
    "web": "do what the message says; until then triage serve does not start",
}
