"""Users and sessions, on both databases."""

import pytest

from tests.support.store import at
from triage.core.audit import AuditKind
from triage.core.people import Role, User
from triage.errors import UserExists, UserNotFound
from triage.store import audit, users

ANNA = User(name="anna", role=Role.READER)
BOB = User(name="bob", role=Role.ADMINISTRATOR)


@pytest.fixture
def people(database):
    """Two users; their hashes are no hashes."""
    users.add(database, BOB, "b0", at(0), "root")
    users.add(database, ANNA, "a0", at(1), "root")
    return database


def begin(database, name="anna", stored="a0", digest="d1", seconds=10, until=100):
    users.begin_session(
        database,
        name,
        stored,
        digest=digest,
        ends_at=at(until),
        now=at(seconds),
        address="192.0.2.7",
    )


def told(database):
    return [(e.kind, e.actor, e.detail) for e in audit.entries(database, audit.Wanted())]


def test_users_are_listed_by_name_and_found_with_their_hash(database):
    assert not users.are_there(database)

    users.add(database, BOB, "b0", at(0), "root")
    users.add(database, ANNA, "a0", at(1), "root")

    assert users.are_there(database)
    assert [(u.name, u.role, u.created_at) for u in users.listed(database)] == [
        ("anna", Role.READER, at(1)),
        ("bob", Role.ADMINISTRATOR, at(0)),
    ]
    assert users.password_of(database, "anna") == "a0"
    assert users.password_of(database, "carl") is None


def test_a_name_is_given_once(people):
    with pytest.raises(UserExists, match="anna already"):
        users.add(people, ANNA, "other", at(2), "root")

    assert users.password_of(people, "anna") == "a0"


def test_a_session_is_its_users_until_it_ends(people):
    begin(people, until=100)

    assert users.user_of(people, "d1", at(99)) == ANNA
    assert users.user_of(people, "d1", at(100)) is None
    assert users.user_of(people, "d2", at(50)) is None


def test_sessions_that_are_over_are_gone_when_somebody_logs_in(people):
    begin(people, digest="d1", until=20)
    begin(people, digest="d2", until=200)
    begin(people, digest="d3", seconds=50)

    with people.reading() as connection:
        left = connection.exec_driver_sql("SELECT digest FROM web_session ORDER BY digest").all()
    assert [row[0] for row in left] == ["d2", "d3"]


def test_who_logs_out_ends_that_session_alone(people):
    begin(people, digest="d1")
    begin(people, digest="d2")

    users.end_session(people, "d1", at(20), "192.0.2.7")
    users.end_session(people, "d1", at(21), "192.0.2.7")

    assert users.user_of(people, "d1", at(22)) is None
    assert users.user_of(people, "d2", at(22)) == ANNA
    assert [kind for kind, *_ in told(people)].count(AuditKind.LOGGED_OUT) == 1


def test_another_password_ends_all_sessions_of_that_user(people):
    begin(people, digest="d1")
    begin(people, "bob", "b0", digest="d2")

    users.set_password(people, "anna", "a1", at(20), "root")

    assert users.user_of(people, "d1", at(21)) is None
    assert users.user_of(people, "d2", at(21)) == BOB
    assert users.password_of(people, "anna") == "a1"
    assert users.listed(people)[0].password_set_at == at(20)


def test_who_is_removed_is_logged_out_and_may_come_again_later(people):
    begin(people)

    users.remove(people, "anna", at(20), "root")

    assert users.user_of(people, "d1", at(21)) is None
    with pytest.raises(UserNotFound):
        begin(people)
    users.add(people, ANNA, "a2", at(30), "root")
    assert users.user_of(people, "d1", at(31)) is None


def test_nobody_logs_in_with_a_password_that_was_replaced_while_it_was_looked_at(people):
    users.set_password(people, "anna", "a1", at(5), "root")

    with pytest.raises(UserNotFound):
        begin(people, stored="a0")

    assert users.user_of(people, "d1", at(20)) is None


def test_what_is_asked_of_somebody_who_is_not_there_names_them(people):
    with pytest.raises(UserNotFound, match="carl"):
        users.remove(people, "carl", at(5), "root")
    with pytest.raises(UserNotFound, match="carl"):
        users.set_password(people, "carl", "c", at(5), "root")


def test_a_hash_is_renewed_unless_the_password_has_changed(people):
    users.renew_hash(people, "anna", "a0", "a0 by today's parameters")
    users.renew_hash(people, "bob", "of yesterday", "b0 by today's parameters")

    assert users.password_of(people, "anna") == "a0 by today's parameters"
    assert users.password_of(people, "bob") == "b0"


def test_the_trail_says_who_came_and_went_and_by_whom_they_were_let_in(people):
    begin(people)
    users.note_refusal(people, "anna", at(11), "192.0.2.8")
    users.note_refusal(people, "perhaps a password", at(11), "192.0.2.8")
    users.end_session(people, "d1", at(12), "192.0.2.7")
    users.set_password(people, "anna", "a1", at(13), "root")
    users.remove(people, "anna", at(14), "root")

    assert told(people) == [
        (AuditKind.USER_ADDED, "root", "bob, administrator"),
        (AuditKind.USER_ADDED, "root", "anna, reader"),
        (AuditKind.LOGGED_IN, "anna", "from 192.0.2.7"),
        (AuditKind.LOG_IN_REFUSED, "anna", "from 192.0.2.8"),
        (AuditKind.LOGGED_OUT, "anna", "from 192.0.2.7"),
        (AuditKind.PASSWORD_SET, "root", "anna"),
        (AuditKind.USER_REMOVED, "root", "anna"),
    ]
