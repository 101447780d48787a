"""`triage user`, and what `serve` and `doctor` say of who can come in."""

import io
import json
import os
import pty
import subprocess
import sys

import pytest

from tests.support.certificates import Authority
from tests.support.daemon import environment
from triage.store import schema, users
from triage.store.database import Database
from triage.web import passwords

PASSWORD = "correct horse battery"  # noqa: S105


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with a database."""
    monkeypatch.chdir(tmp_path)
    database = Database("sqlite:///triage.db")
    schema.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def user(triage, monkeypatch):
    """Run `triage user` with a password on standard input."""

    def run(*arguments, given=PASSWORD + "\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        return triage("user", *arguments)

    return run


def test_a_user_is_added_and_listed_and_removed(site, user):
    assert user("add", "Anna")[0] == 0
    assert user("add", "bob", "--role", "administrator")[0] == 0

    listed = json.loads(user("list", "--json")[1])
    assert [(each["name"], each["role"]) for each in listed] == [
        ("anna", "reader"),
        ("bob", "administrator"),
    ]
    assert list(listed[0]) == ["name", "role", "created_at", "password_set_at"]
    assert "administrator" in user("list")[1]

    code, out, err = user("remove", "ANNA")
    assert (code, out) == (0, "")
    assert "anna" in err
    assert [each.name for each in users.listed(site)] == ["bob"]
    user("remove", "bob")
    assert json.loads(user("list", "--json")[1]) == []


def test_the_password_is_kept_as_a_hash_alone_and_can_be_changed(site, user):
    user("add", "anna", given=PASSWORD + "\r\nand a second line\n")
    first = users.password_of(site, "anna")
    code, out, err = user("password", "anna", given="another horse battery\n")

    second = users.password_of(site, "anna")
    assert (code, out) == (0, "")
    assert passwords.is_right(PASSWORD, first)
    assert not passwords.is_right(PASSWORD, second)
    assert passwords.is_right("another horse battery", second)
    assert "horse" not in out + err


@pytest.mark.parametrize(
    ("again", "code", "said"),
    [(PASSWORD, 0, b"may log in"), ("another horse battery", 1, b"not the same")],
)
def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(
    site, tmp_path, again, code, said
):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "triage", "user", "add", "anna"],
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
        cwd=tmp_path,
        env=environment(),
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""

    def read_until(words):
        nonlocal shown
        while words not in shown:
            shown += os.read(ours, 1000)

    read_until(b"Password for anna: ")
    os.write(ours, PASSWORD.encode() + b"\n")
    read_until(b"The same again: ")
    os.write(ours, again.encode() + b"\n")
    read_until(said)
    assert process.wait(60) == code
    os.close(ours)

    assert b"horse" not in shown
    assert users.are_there(site) == (code == 0)


@pytest.mark.parametrize(
    "given",
    [
        *("", "\n", "eleven char\n", "x" * 257 + "\n", "ab" * 10 + "\n", "x\x07" + "y" * 20),
        "I am ANNA, the one\n",
    ],
)
def test_a_password_that_is_guessed_is_refused(site, user, given):
    code, out, err = user("add", "anna", given=given)

    assert (code, out) == (1, "")
    assert "password" in err
    assert not users.are_there(site)


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("add", "anna"), 1, "anna already"),
        (("add", "local"), 2, "'local' means somebody else"),
        (("add", "carl", "--role", "boss"), 2, "administrator"),
        (("remove", "carl"), 1, "no user carl"),
        (("password", "carl"), 1, "no user carl"),
    ],
)
def test_a_mistake_is_named(site, user, arguments, code, named):
    user("add", "anna")

    found, _, err = user(*arguments)

    assert found == code
    assert named in " ".join(err.split())


def test_what_is_done_to_users_stands_in_the_trail(site, user, triage):
    user("add", "anna")
    user("password", "anna")
    assert user("role", "Anna", "administrator")[0] == 0
    assert [each.role for each in users.listed(site)] == ["administrator"]
    user("remove", "anna")
    assert user("role", "anna", "reader")[0] == 1

    entries = json.loads(triage("audit", "--json")[1])

    assert [(each["kind"], each["detail"]) for each in entries] == [
        ("user_added", "anna, reader"),
        ("password_set", "anna"),
        ("role_set", "anna, administrator"),
        ("user_removed", "anna"),
    ]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"HOST": "0.0.0.0"}, ["web.host=0.0.0.0", "triage user add"]),  # noqa: S104
        ({"HOST": "192.0.2.1"}, ["web.host=192.0.2.1", "web.proxy_header"]),
        ({"HOST": "triage.example"}, ["web.host=triage.example"]),
        ({"HOST": "192.0.2.1", "PROXY_ADDRESSES": '["192.0.2.20"]'}, ["web.host=192.0.2.1"]),
        ({"TRUST_LOOPBACK": "false"}, ["web.trust_loopback", "nobody could come in"]),
        ({"PROXY_ADDRESSES": '["127.0.0.1"]'}, ["web.proxy_addresses", "nobody could come in"]),
        (
            {"TLS_CERTIFICATE": "none.pem", "TLS_KEY": "none.key"},
            ["web.tls_certificate=none.pem", "cannot be read"],
        ),
    ],
)
def test_a_port_that_everybody_could_use_or_nobody_is_not_opened(
    site, triage, monkeypatch, settings, named
):
    for name, value in settings.items():
        monkeypatch.setenv(f"TRIAGE_WEB__{name}", value)

    code, _, err = triage("serve", "--role", "web")
    found = web_finding(triage)

    assert code == 2
    assert all(part in err for part in named), err
    assert found["status"] == "failed"
    assert all(part in found["message"] for part in named)


def web_finding(triage):
    findings = json.loads(triage("doctor", "--json")[1])
    return next(each for each in findings if each["check"] == "web")


def test_doctor_says_who_can_come_in(site, triage, user, monkeypatch):
    assert web_finding(triage)["status"] == "ok"
    assert "everybody on this machine" in web_finding(triage)["message"]

    user("add", "anna")
    monkeypatch.setenv("TRIAGE_WEB__HOST", "0.0.0.0")  # noqa: S104
    found = web_finding(triage)

    assert (found["status"], "1 users" in found["message"]) == ("warning", True)
    assert "without TLS" in found["action"]


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [(365, "ok", None), (5, "warning", "renew"), (-1, "failed", "renew")],
)
def test_doctor_watches_the_certificate_of_the_page(
    site, triage, monkeypatch, tmp_path, days, status, words
):
    pair = Authority(tmp_path, "hospital").issue("page", days=days)
    monkeypatch.setenv("TRIAGE_WEB__TLS_CERTIFICATE", str(pair.certificate))
    monkeypatch.setenv("TRIAGE_WEB__TLS_KEY", str(pair.key))

    found = web_finding(triage)

    assert found["status"] == status
    assert "CN=page" in found["message"]
    assert (words is None) == (found["action"] is None)
    assert (words or "") in (found["action"] or "")
