"""Who may log in to the web interface, and who is logged in. Each change stands in the audit trail.

A session is known by a digest of what the browser holds; see `triage.web.sessions`.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, insert, select, update

from triage.core.audit import AuditKind
from triage.core.people import Role, User
from triage.errors import UserExists, UserNotFound
from triage.store.audit import note_other
from triage.store.database import Database
from triage.store.tables import web_session, web_user


@dataclass(frozen=True, kw_only=True)
class ListedUser(User):
    """A user as `triage user list` shows one."""

    created_at: datetime
    password_set_at: datetime


def add(database: Database, user: User, password: str, now: datetime, operator: str) -> None:
    """Let somebody log in; *password* is its hash. Raises UserExists."""
    with database.writing() as connection:
        database.take_turn(connection, "triage users")
        if _id(connection, user.name) is not None:
            raise UserExists(
                f"there is a user {user.name} already; triage user password sets another password"
            )
        connection.execute(
            insert(web_user).values(
                name=user.name,
                role=user.role,
                password=password,
                created_at=now,
                password_set_at=now,
            )
        )
        note_other(connection, AuditKind.USER_ADDED, operator, now, f"{user.name}, {user.role}")


def remove(database: Database, name: str, now: datetime, operator: str) -> None:
    """Let somebody log in no more, and end their sessions. Raises UserNotFound."""
    with database.writing() as connection:
        user_id = _require(connection, name)
        connection.execute(delete(web_session).where(web_session.c.user_id == user_id))
        connection.execute(delete(web_user).where(web_user.c.id == user_id))
        note_other(connection, AuditKind.USER_REMOVED, operator, now, name)


def set_password(
    database: Database, name: str, password: str, now: datetime, operator: str
) -> None:
    """Give somebody another password, by its hash, and end their sessions. Raises UserNotFound."""
    with database.writing() as connection:
        user_id = _require(connection, name)
        connection.execute(delete(web_session).where(web_session.c.user_id == user_id))
        connection.execute(
            update(web_user)
            .where(web_user.c.id == user_id)
            .values(password=password, password_set_at=now)
        )
        note_other(connection, AuditKind.PASSWORD_SET, operator, now, name)


def set_role(database: Database, name: str, role: Role, now: datetime, operator: str) -> None:
    """Change what somebody may; it holds from their next request. Raises UserNotFound."""
    with database.writing() as connection:
        user_id = _require(connection, name)
        connection.execute(update(web_user).where(web_user.c.id == user_id).values(role=role))
        note_other(connection, AuditKind.ROLE_SET, operator, now, f"{name}, {role}")


def listed(database: Database) -> list[ListedUser]:
    """Return everybody who may log in, by name."""
    with database.reading() as connection:
        rows = connection.execute(select(web_user).order_by(web_user.c.name)).all()
    return [
        ListedUser(
            name=row.name,
            role=Role(row.role),
            created_at=row.created_at,
            password_set_at=row.password_set_at,
        )
        for row in rows
    ]


def are_there(database: Database) -> bool:
    """Say whether anybody may log in."""
    with database.reading() as connection:
        return bool(connection.execute(select(exists(select(web_user.c.id)))).scalar_one())


def password_of(database: Database, name: str) -> str | None:
    """Return the hash of somebody's password; None where nobody has that name."""
    with database.reading() as connection:
        return _password(connection, name)


def renew_hash(database: Database, name: str, before: str, after: str) -> None:
    """Store the same password's hash by today's parameters, unless it was changed meanwhile."""
    with database.writing() as connection:
        connection.execute(
            update(web_user)
            .where(web_user.c.name == name, web_user.c.password == before)
            .values(password=after)
        )


def begin_session(
    database: Database,
    name: str,
    password: str,
    *,
    digest: str,
    ends_at: datetime,
    now: datetime,
    address: str,
) -> None:
    """Log somebody in; *password* is the hash that theirs was held against.

    Raises UserNotFound where they were removed meanwhile, or have another password.
    """
    with database.writing() as connection:
        user_id = _require(connection, name)
        if _password(connection, name) != password:
            raise UserNotFound(f"{name} has got another password in this moment")
        connection.execute(delete(web_session).where(web_session.c.ends_at <= now))
        connection.execute(
            insert(web_session).values(digest=digest, user_id=user_id, ends_at=ends_at)
        )
        note_other(connection, AuditKind.LOGGED_IN, name, now, f"from {address}")


def user_of(database: Database, digest: str, now: datetime) -> User | None:
    """Return whose session it is; None where it is over or never was."""
    with database.reading() as connection:
        row = connection.execute(
            select(web_user.c.name, web_user.c.role)
            .join(web_session, web_session.c.user_id == web_user.c.id)
            .where(web_session.c.digest == digest, web_session.c.ends_at > now)
        ).one_or_none()
    return User(name=row.name, role=Role(row.role)) if row else None


def end_session(database: Database, digest: str, now: datetime, address: str) -> None:
    """Log out; a session that is over already stays so."""
    with database.writing() as connection:
        name = connection.execute(
            select(web_user.c.name)
            .join(web_session, web_session.c.user_id == web_user.c.id)
            .where(web_session.c.digest == digest)
        ).scalar()
        ended = connection.execute(delete(web_session).where(web_session.c.digest == digest))
        if name is not None and ended.rowcount:
            note_other(connection, AuditKind.LOGGED_OUT, name, now, f"from {address}")


def note_refusal(database: Database, name: str, now: datetime, address: str) -> None:
    """Write down a wrong password for somebody who is there.

    A name that nobody has is not written: it may be a password in the wrong field.
    """
    with database.writing() as connection:
        if _id(connection, name) is not None:
            note_other(connection, AuditKind.LOG_IN_REFUSED, name, now, f"from {address}")


def _require(connection: Connection, name: str) -> int:
    user_id = _id(connection, name)
    if user_id is None:
        raise UserNotFound(f"there is no user {name}; triage user list shows all of them")
    return user_id


def _id(connection: Connection, name: str) -> int | None:
    return connection.execute(
        select(web_user.c.id).where(web_user.c.name == name).with_for_update()
    ).scalar()


def _password(connection: Connection, name: str) -> str | None:
    return connection.execute(select(web_user.c.password).where(web_user.c.name == name)).scalar()
