"""Logging in over TLS, in a real browser at a real daemon."""

import http.client
import re
import socket
import ssl
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from tests.support.browser import TABLET, barriers, reader_at
from tests.support.certificates import Authority
from tests.support.daemon import HOST, free_port
from tests.support.requirements import find_program
from tests.support.store import Store
from tests.support.waiting import wait_until
from triage.core.people import Role, User
from triage.store import schema, users
from triage.store.database import Database
from triage.web import passwords

PASSWORD = "correct horse battery"  # noqa: S105
WAIT = 20_000  # milliseconds; a busy machine draws slowly


def with_anna(folder):
    """Return the URL of a database with a user and a study."""
    database = Database(f"sqlite:///{folder / 'triage.db'}")
    schema.upgrade(database)
    hashed = passwords.hashed(PASSWORD)
    users.add(database, User(name="anna", role=Role.READER), hashed, datetime.now(UTC), "root")
    Store(database).file("1.1")
    database.close()
    return database.url


class Hospital:
    """A daemon whose web interface speaks TLS and trusts nobody without a name."""

    def __init__(self, start, folder):
        self.authority = Authority(folder, "hospital")
        self.pair = self.authority.issue("first")
        self.port = free_port()
        self.daemon = start(
            roles="web",
            database__url=with_anna(folder),
            web__port=self.port,
            web__tls_certificate=str(self.pair.certificate),
            web__tls_key=str(self.pair.key),
            web__trust_loopback=False,
        )
        self.daemon.wait_for("web_ready")

    @property
    def url(self):
        return f"https://{HOST}:{self.port}"

    @property
    def context(self):
        """What trusts the hospital's authority alone."""
        return ssl.create_default_context(cafile=self.authority.file)

    def presented(self):
        """Return the name in the certificate that a handshake shows."""
        with (
            socket.create_connection((HOST, self.port), timeout=30) as plain,
            self.context.wrap_socket(plain, server_hostname=HOST) as secured,
        ):
            return secured.getpeercert()["subject"][0][0][1]


@pytest.fixture(scope="module")
def hospital(start_shared_daemon, tmp_path_factory):
    return Hospital(start_shared_daemon, tmp_path_factory.mktemp("hospital"))


@pytest.fixture
def ask(hospital):
    """Ask as a program does; the answer's body is still to be read."""
    with ExitStack() as connections:

        def ask(method, path, body=None, **headers):
            connection = connections.enter_context(
                closing(
                    http.client.HTTPSConnection(
                        HOST, hospital.port, timeout=60, context=hospital.context
                    )
                )
            )
            connection.request(method, path, body, headers)
            return connections.enter_context(connection.getresponse())

        yield ask


def form(password):
    return urlencode({"name": "anna", "password": password})


@pytest.mark.chromium
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_reader_logs_in_with_the_keyboard_and_out_again(browser, hospital, theme):
    with reader_at(browser, ignore_https_errors=True, color_scheme=theme, viewport=TABLET) as page:
        page.goto(f"{hospital.url}/?state=unread")
        assert page.url == f"{hospital.url}/login?to=%2F%3Fstate%3Dunread"
        assert barriers(page) == []

        page.keyboard.type("Anna")
        page.keyboard.press("Tab")
        page.keyboard.type("wrong horse battery")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        assert page.get_by_role("alert").inner_text() == "Name or password is wrong."
        assert barriers(page) == []

        page.keyboard.type(PASSWORD)  # the name is still there
        page.keyboard.press("Enter")
        page.wait_for_url(f"{hospital.url}/?state=unread", timeout=WAIT)
        assert "anna" in page.locator(".who").inner_text()
        (cookie,) = page.context.cookies()
        assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == (
            "__Host-triage",
            True,
            True,
        )

        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{hospital.url}/login", timeout=WAIT)
        assert page.context.cookies() == []
        page.goto(hospital.url)
        assert page.url.startswith(f"{hospital.url}/login")


@pytest.mark.chromium
def test_a_form_on_another_site_does_nothing_in_the_name_of_who_is_logged_in(browser, hospital):
    with reader_at(browser, ignore_https_errors=True) as page:
        page.goto(hospital.url)
        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{hospital.url}/", timeout=WAIT)

        claim = f"{hospital.url}/api/v1/studies/1.1/claim"
        page.route(
            "https://evil.example/",
            lambda route: route.fulfill(
                content_type="text/html",
                body=f'<form method="post" action="{claim}"><button>Win</button></form>',
            ),
        )
        page.goto("https://evil.example/")
        with page.expect_response(claim) as answered:
            page.get_by_role("button").click()

        assert answered.value.status == 403
        assert hospital.daemon.study("1.1")["claimed_by"] is None


@pytest.mark.chromium
def test_a_reader_logs_in_without_tls_where_a_browser_says_less_of_where_it_comes_from(
    browser, start_daemon, tmp_path
):
    port = free_port()
    daemon = start_daemon(
        roles="web",
        database__url=with_anna(tmp_path),
        web__port=port,
        web__trust_loopback=False,
    )
    daemon.wait_for("web_ready")
    # By a name that is not this machine's own: a browser trusts that only with TLS.
    elsewhere = browser.browser_type.launch(
        executable_path=find_program("chromium"),
        args=["--no-sandbox", "--host-resolver-rules=MAP triage.example 127.0.0.1"],
    )
    page = elsewhere.new_page()

    page.goto(f"http://triage.example:{port}/")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"http://triage.example:{port}/", timeout=WAIT)

    assert "anna" in page.locator(".who").inner_text()
    elsewhere.close()


def test_an_open_page_is_told_no_more_once_its_reader_has_logged_out(ask):
    entered = ask("POST", "/login", form(PASSWORD))
    assert entered.status == 303
    cookie = entered.headers["Set-Cookie"].partition(";")[0]
    stream = ask("GET", "/api/v1/events", Cookie=cookie)
    assert stream.status == 200
    while not (line := stream.readline()).startswith(b"data:"):
        assert line
    assert b"1.1" in line

    assert ask("POST", "/logout", Cookie=cookie).status == 303

    rest = stream.read()  # which ends
    assert b"data:" not in rest
    assert ask("GET", "/api/v1/events", Cookie=cookie).status == 401


def test_a_new_certificate_is_presented_without_a_restart(hospital):
    assert hospital.presented() == "first"
    second = hospital.authority.issue("second")
    second.key.replace(hospital.pair.key)
    second.certificate.replace(hospital.pair.certificate)

    assert hospital.presented() == "second"

    hospital.pair.certificate.write_text("broken")
    assert hospital.presented() == "second"
    (event,) = hospital.daemon.events("certificate_unusable")
    assert "web.tls_certificate" in event["reason"]


def test_who_speaks_no_tls_is_not_answered_and_harms_nobody(hospital, ask):
    with socket.create_connection((HOST, hospital.port), timeout=30) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with suppress(ConnectionResetError):
            assert b"HTTP" not in plain.recv(100)

    assert ask("GET", "/healthz").read() == b"ok\n"


def test_old_versions_of_tls_are_refused(hospital):
    context = hospital.context
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    with (
        socket.create_connection((HOST, hospital.port), timeout=30) as plain,
        pytest.raises(ssl.SSLError, match=re.compile("protocol|alert", re.IGNORECASE)),
    ):
        context.wrap_socket(plain, server_hostname=HOST)


def test_no_reader_is_named_in_the_log(hospital, ask):
    assert ask("POST", "/login", form("wrong horse battery")).status == 401

    wait_until(lambda: hospital.daemon.events("log_in_refused"), "the refusal in the log")
    assert "anna" not in hospital.daemon.log.read_text("utf-8")
