"""The audit trail: who brought, saw, read or removed what, and when.

It names studies and instances by UID and accession number, and the people who
work with them; never a patient.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

OURSELVES = "triage"  # the actor of what nobody asked for: retention, repair


class AuditKind(StrEnum):
    """The closed list of what is written down, documented in deploy/OPERATIONS.md."""

    RECEIVED = "received"  # an instance by C-STORE; its detail says how it was filed
    ADOPTED = "adopted"  # a file of the spool that no row spoke of
    QUARANTINED = "quarantined"  # a file of the spool that is no received object
    CLAIMED = "claimed"
    RELEASED = "released"
    READ = "read"  # its detail is the reader's finding
    UNREAD = "unread"  # back on the list; its detail is the former finding
    RESCORED = "rescored"
    SHOWN = "shown"
    EXPORTED = "exported"  # images of it were written
    PIXELS_DELETED = "pixels_deleted"
    LOGGED_IN = "logged_in"  # its detail is the address
    LOGGED_OUT = "logged_out"
    LOG_IN_REFUSED = "log_in_refused"  # a wrong password for somebody who is there
    USER_ADDED = "user_added"  # its detail is the user and the role
    USER_REMOVED = "user_removed"
    ROLE_SET = "role_set"  # by whom; its detail is the user and the role
    PASSWORD_SET = "password_set"  # noqa: S105  by whom, and whose


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One line of the trail."""

    at: datetime
    kind: str  # an `AuditKind`, unless somebody wrote past us
    actor: str  # a reader, AE@ADDRESS of a sender, or `OURSELVES`
    study_instance_uid: str | None
    accession_number: str | None  # that the study had at the time
    sop_instance_uid: str | None
    detail: str | None


def sender_name(ae_title: str, address: str) -> str:
    """Name the peer that sent an instance, by what is known of it."""
    return "@".join(part for part in (ae_title, address) if part) or "unknown"
