"""The audit trail: written in the transaction of what it tells of, read page after page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Text,
    bindparam,
    insert,
    literal,
    select,
    tuple_,
)

from triage.core.audit import AuditEntry, AuditKind
from triage.store.columns import Key, Moment
from triage.store.database import Database
from triage.store.tables import audit, study

PAGE = 1000  # rows read in one transaction: a long answer holds up nobody


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which entries are asked for; None asks for all."""

    study_instance_uid: str | None = None
    since: datetime | None = None  # inclusive
    until: datetime | None = None  # exclusive
    kind: AuditKind | None = None

    def condition(self) -> list[ColumnElement[bool]]:
        """Return what the database is asked."""
        asked = []
        if self.study_instance_uid is not None:
            asked.append(audit.c.study_instance_uid == self.study_instance_uid)
        if self.since is not None:
            asked.append(audit.c.at >= self.since)
        if self.until is not None:
            asked.append(audit.c.at < self.until)
        if self.kind is not None:
            asked.append(audit.c.kind == self.kind)
        return asked


# Made once, for every image and every reading; the study's names come from its row.
_NOTE = insert(audit).from_select(
    [
        *("at", "kind", "actor", "study_instance_uid", "accession_number"),
        *("sop_instance_uid", "detail"),
    ],
    select(
        bindparam("told_at", type_=Moment),
        bindparam("told_kind", type_=Text),
        bindparam("told_actor", type_=Text),
        study.c.study_instance_uid,
        study.c.accession_number,
        bindparam("told_sop_instance_uid", type_=Text),
        bindparam("told_detail", type_=Text),
    ).where(study.c.id == bindparam("study")),
)


def note(
    connection: Connection,
    study_id: int,
    kind: AuditKind,
    actor: str,
    now: datetime,
    *,
    sop_instance_uid: str | None = None,
    detail: str | None = None,
) -> None:
    """Write an entry about a study, in the transaction of what it tells of."""
    told = {"told_at": now, "told_kind": kind, "told_actor": actor, "told_detail": detail}
    connection.execute(
        _NOTE, {**told, "told_sop_instance_uid": sop_instance_uid, "study": study_id}
    )


def note_access(
    database: Database,
    study_id: int,
    kind: AuditKind,
    actor: str,
    now: datetime,
    detail: str | None = None,
) -> None:
    """Write that a study is about to be shown or exported, in a transaction of its own.

    Raises DatabaseUnavailable; then it must not be.
    """
    with database.writing() as connection:
        note(connection, study_id, kind, actor, now, detail=detail)


def note_other(
    connection: Connection, kind: AuditKind, actor: str, now: datetime, detail: str
) -> None:
    """Write an entry about no study: a file that belongs to none, or a user."""
    connection.execute(insert(audit).values(at=now, kind=kind, actor=actor, detail=detail))


def entries(database: Database, wanted: Wanted, limit: int | None = None) -> Iterator[AuditEntry]:
    """Yield the first *limit* entries that are asked for, oldest first."""
    left = limit
    last: Row[Any] | None = None
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = _page(database, wanted, last, size)
        yield from (_entry(row) for row in page)
        if len(page) < size:
            return
        last = page[-1]
        left = None if left is None else left - size


def _page(database: Database, wanted: Wanted, last: Row[Any] | None, size: int) -> list[Row[Any]]:
    query = select(audit).where(*wanted.condition()).order_by(audit.c.at, audit.c.id).limit(size)
    if last is not None:
        query = query.where(
            tuple_(audit.c.at, audit.c.id) > tuple_(literal(last.at, Moment), literal(last.id, Key))
        )
    with database.reading() as connection:
        return list(connection.execute(query).all())


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        at=row.at,
        kind=row.kind,
        actor=row.actor,
        study_instance_uid=row.study_instance_uid,
        accession_number=row.accession_number,
        sop_instance_uid=row.sop_instance_uid,
        detail=row.detail,
    )
