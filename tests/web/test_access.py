"""Who is let in, as a browser or a program meets it. The application is the real one."""

import asyncio
import re
import shutil
import threading
from datetime import UTC, datetime

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from tests.support.site import site_in
from tests.support.store import Store
from tests.support.waiting import wait_until
from triage.core.people import Role, User
from triage.settings import Settings
from triage.store import audit, schema, users
from triage.store.database import Database
from triage.store.spool import Spool
from triage.web import access, limits, passwords
from triage.web.app import make_app
from triage.web.condition import Condition
from triage.web.feed import Feed
from triage.web.site import Site

PASSWORD = "correct horse battery"  # noqa: S105
HASH = passwords.hashed(PASSWORD)  # once: it is meant to take its time
ELSEWHERE = ("192.0.2.7", 50000)
HERE = ("127.0.0.1", 50000)
PAGE = {"Accept": "text/html,*/*;q=0.8"}
ANYBODY = {"/healthz", "/login", "/logout"}


class Web:
    """The application over a database, and what came of it."""

    def __init__(self, folder, empty):
        shutil.copy(empty, folder / "triage.db")
        self.database = Database(f"sqlite:///{folder / 'triage.db'}")
        self.folder = folder
        self.app = None
        self.configure()

    def configure(self, **web):
        settings = Settings(web=web)
        self.app = make_app(
            Site(
                settings=settings,
                database=self.database,
                spool=Spool(self.folder / "spool", 0),
                feed=Feed(self.database),
                condition=Condition(),
            )
        )

    def browser(self, client=ELSEWHERE, host="triage.example", scheme="http", **headers):
        """Return a browser at an address, with cookies of its own."""
        return TestClient(
            self.app,
            base_url=f"{scheme}://{host}",
            client=client,
            follow_redirects=False,
            headers=headers,
        )

    def add(self, name, role=Role.READER):
        users.add(self.database, User(name=name, role=role), HASH, datetime.now(UTC), "root")

    def told(self):
        entries = audit.entries(self.database, audit.Wanted())
        return [(entry.kind, entry.actor) for entry in entries if entry.actor != "root"]


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A database of today's schema."""
    path = tmp_path_factory.mktemp("empty") / "triage.db"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    database.close()
    return path


@pytest.fixture
def web(tmp_path, empty):
    web = Web(tmp_path, empty)
    yield web
    web.database.close()


@pytest.fixture
def browser(web):
    """A browser elsewhere, where there is a user anna."""
    web.add("anna")
    return web.browser()


def log_in(browser, name="anna", password=PASSWORD, to="/", **headers):
    return browser.post(
        "/login", data={"name": name, "password": password, "to": to}, headers=headers
    )


def is_in(browser):
    return browser.get("/api/v1/worklist").status_code == 200


def test_every_path_asks_who_it_is_but_those_that_anybody_may_ask(web):
    def asks(dependant):
        return dependant.call in (access.person, access.watcher) or any(
            map(asks, dependant.dependencies)
        )

    routes = {each.path: each.original_route for each in iter_route_contexts(web.app.routes)}
    unguarded = {
        path
        for path, route in routes.items()
        if not (hasattr(route, "dependant") and asks(route.dependant))
    }

    assert "/api/v1/worklist" in routes
    assert unguarded == ANYBODY | {"/api/v1/openapi.json", "/static"}


def test_this_machine_needs_no_name_and_does_all(web):
    assert is_in(web.browser(HERE, "127.0.0.1:8042"))
    assert is_in(web.browser(("::1", 5), "localhost:8042"))


@pytest.mark.parametrize(
    ("client", "host", "headers"),
    [
        (HERE, "triage.example", {}),
        (HERE, "127.0.0.1:8042", {"X-Forwarded-For": "127.0.0.1"}),
        (ELSEWHERE, "127.0.0.1:8042", {}),
        (ELSEWHERE, "triage.example", {}),
    ],
)
def test_nobody_else_comes_in_where_there_are_no_users(web, client, host, headers):
    browser = web.browser(client, host, **headers)

    answer = browser.get("/api/v1/worklist")

    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "triage user add" in answer.json()["detail"]
    assert browser.get("/", headers=PAGE).status_code == 403
    assert browser.get("/healthz").status_code == 200


def test_this_machine_needs_a_name_where_it_is_not_trusted(web):
    web.configure(trust_loopback=False)
    web.add("anna")
    browser = web.browser(HERE, "127.0.0.1:8042")

    assert not is_in(browser)
    assert log_in(browser).status_code == 303
    assert is_in(browser)


def test_a_person_is_sent_to_the_log_in_and_then_to_where_they_wanted_to_go(browser):
    asked = browser.get("/?type=hand&state=unread", headers=PAGE)
    form = browser.get(asked.headers["Location"], headers=PAGE)
    (to,) = re.findall(r'name="to" value="([^"]*)"', form.text)
    entered = log_in(browser, to=to.replace("&amp;", "&"))

    assert asked.status_code == 303
    assert entered.headers["Location"] == "/?type=hand&state=unread"
    assert is_in(browser)


def test_a_program_is_told_what_to_do(browser):
    answer = browser.get("/api/v1/worklist", headers=PAGE)

    assert answer.status_code == 401
    assert "/login" in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "to",
    [
        *("https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example"),
        *("javascript:alert(1)", "evil", "", "/\tx", "/a\r\nSet-Cookie: a=b", "///evil.example"),
        *("http:evil.example", "//[", "/\\[::1"),
    ],
)
def test_the_log_in_leads_nowhere_else(browser, to):
    assert browser.get("/login", params={"to": to}).status_code == 200
    assert log_in(browser, to=to).headers["Location"] == "/"


def test_what_is_no_log_in_form_is_a_wrong_log_in(browser):
    answer = browser.post("/login", content="&".join(f"a{n}=b" for n in range(50)))

    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "", 100 * "a"])
def test_a_name_that_nobody_can_have_is_wrong_in_every_database(tmp_path, database_url, name):
    with site_in(tmp_path, database_url) as site:
        answer = site.client.post("/login", data={"name": name, "password": PASSWORD})

        assert answer.status_code == 401
        assert site.store.trail("log_in_refused") == []


@pytest.mark.parametrize(
    ("scheme", "name", "attributes"),
    [
        ("http", "triage", {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=3600"}),
        (
            "https",
            "__Host-triage",
            {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=3600", "Secure"},
        ),
    ],
)
def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(web, scheme, name, attributes):
    web.configure(session=3600)
    web.add("anna")

    cookie = log_in(web.browser(scheme=scheme)).headers["Set-Cookie"]

    assert cookie.startswith(f"{name}=")
    assert set(cookie.split("; ")[1:]) == attributes


def test_the_database_holds_nothing_that_logs_anybody_in(web, browser):
    token = log_in(browser).headers["Set-Cookie"].partition("=")[2].partition(";")[0]

    with web.database.reading() as connection:
        (session,) = connection.exec_driver_sql("SELECT digest FROM web_session").one()
        (password,) = connection.exec_driver_sql("SELECT password FROM web_user").one()

    assert len(token) >= 43  # 256 bits
    assert token not in session
    assert password.startswith("$argon2id$")
    assert not is_in(web.browser(Cookie=f"triage={session}"))
    assert is_in(web.browser(Cookie=f"triage={token}"))


@pytest.mark.parametrize(
    ("name", "password"),
    [("anna", "wrong horse battery"), ("bob", PASSWORD), ("", ""), ("\x00" * 99, "x" * 9999)],
)
def test_who_is_wrong_is_told_no_more_than_that(web, browser, name, password):
    with capture_logs() as events:
        answer = log_in(browser, name, password)

    assert answer.status_code == 401
    assert "Name or password is wrong" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert not is_in(browser)
    refused = [event for event in events if event["event"] == "log_in_refused"]
    assert [(each["address"], each["reason"]) for each in refused] == [("192.0.2.7", "wrong")]
    assert (name or "-") not in str(refused)


def test_it_does_not_show_in_how_long_it_takes_whether_somebody_is_there(monkeypatch):
    asked = []
    real = passwords._hasher

    class Counting:
        """The real one, counted."""

        def hash(self, password):
            return real.hash(password)

        def verify(self, stored, password):
            asked.append(stored)
            return real.verify(stored, password)

    monkeypatch.setattr(passwords, "_hasher", Counting())

    assert not passwords.is_right(PASSWORD, None)
    assert passwords.is_right(PASSWORD, HASH)
    parameters = [stored.split("$")[1:4] for stored in asked]
    assert parameters[0] == parameters[1]


def test_guessing_is_slowed_down_for_who_guesses_alone(web, monkeypatch):
    monkeypatch.setattr(limits, "PER_NAME_AND_ADDRESS", 2)
    web.configure()
    web.add("anna")
    web.add("bob")
    browser = web.browser()
    with capture_logs() as events:
        answers = [log_in(browser, password=f"wrong horse {n}") for n in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert int(answers[-1].headers["Retry-After"]) > 60
    assert events[-1]["reason"] == "too_many"
    # The right one does not help from there any more, and does from elsewhere.
    assert log_in(browser).status_code == 429
    assert log_in(web.browser(("192.0.2.8", 1))).status_code == 303
    assert log_in(browser, "bob").status_code == 303


def test_one_address_may_not_try_one_password_on_everybody(web, monkeypatch):
    monkeypatch.setattr(limits, "PER_ADDRESS", 3)
    web.configure()
    web.add("anna")
    # 2**64 addresses belong to one who has IPv6.
    tries = [log_in(web.browser((f"2001:db8::{n}", 1)), f"name {n}").status_code for n in range(4)]

    assert tries == [401, 401, 401, 429]
    assert log_in(web.browser(("2001:db8:0:1::1", 1))).status_code == 303


def test_a_hospital_behind_one_address_logs_in_in_the_morning(web, browser, monkeypatch):
    monkeypatch.setattr(limits, "PER_ADDRESS", 2)
    monkeypatch.setattr(limits, "PER_NAME_AND_ADDRESS", 2)
    web.configure()

    assert [log_in(web.browser()).status_code for _ in range(4)] == [303] * 4


def test_no_more_passwords_are_looked_at_at_once_than_there_is_memory_for():
    log_ins, go_on = limits.LogIns(), threading.Event()
    looked_at, most = [], []

    def log_in_of(number):
        with log_ins.one(f"n{number}", f"192.0.2.{number}"):
            looked_at.append(number)
            most.append(len(looked_at))
            go_on.wait(30)
            looked_at.remove(number)

    threads = [threading.Thread(target=log_in_of, args=[n]) for n in range(limits.WAITING)]
    for thread in threads:
        thread.start()
    wait_until(lambda: log_ins._in_hand == limits.WAITING, "all of them")
    wait_until(lambda: len(looked_at) == limits.AT_ONCE, "those that are looked at")

    with pytest.raises(limits.TooManyLogIns, match="in 1 s"), log_ins.one("a", "192.0.2.99"):
        pass

    go_on.set()
    for thread in threads:
        thread.join()
    assert len(most) == limits.WAITING
    assert max(most) == limits.AT_ONCE
    with log_ins.one("a", "192.0.2.99"):
        pass


def test_who_logs_out_is_out_in_every_window(web, browser):
    log_in(browser)
    window = web.browser(Cookie=f"triage={browser.cookies['triage']}")
    assert is_in(window)

    answer = browser.post("/logout")

    assert answer.headers["Location"] == "/login"
    assert not is_in(browser)
    assert not is_in(window)
    assert web.told() == [("logged_in", "anna"), ("logged_out", "anna")]


def test_a_second_log_in_ends_the_first_session_of_that_browser(web, browser):
    log_in(browser)
    first = browser.cookies["triage"]
    log_in(browser)

    assert browser.cookies["triage"] != first
    assert not is_in(web.browser(Cookie=f"triage={first}"))


def test_who_is_removed_or_gets_another_password_is_out(web, browser):
    web.add("bob")
    other = web.browser()
    log_in(browser)
    log_in(other, "bob")

    users.remove(web.database, "anna", datetime.now(UTC), "root")
    users.set_password(web.database, "bob", HASH, datetime.now(UTC), "root")

    assert not is_in(browser)
    assert not is_in(other)


def test_what_somebody_may_changes_with_their_next_request(web, browser):
    log_in(browser)
    assert browser.post("/api/v1/studies/1.1/rescore").status_code == 403

    users.set_role(web.database, "anna", Role.ADMINISTRATOR, datetime.now(UTC), "root")

    assert browser.post("/api/v1/studies/1.1/rescore").status_code == 404  # there is none


def test_what_a_reader_does_stands_under_the_readers_name(web, browser):
    Store(web.database).file("1.1")
    log_in(browser, "Anna")

    assert browser.get("/api/v1/studies/1.1").status_code == 200
    assert browser.post("/api/v1/studies/1.1/claim").status_code == 204

    assert browser.get("/api/v1/worklist").json()[0]["claimed_by"] == "anna"
    assert web.told()[-2:] == [("shown", "anna"), ("claimed", "anna")]
    assert "anna" in browser.get("/", headers=PAGE).text


def test_a_page_of_another_site_makes_nobody_do_anything(web, browser):
    Store(web.database).file("1.1")
    log_in(browser)
    local = web.browser(HERE, "127.0.0.1:8042")

    for each in (browser, local):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = each.post("/api/v1/studies/1.1/claim", headers=headers)
            assert answer.status_code == 403
            assert each.post("/logout", headers=headers).status_code == 403
    assert log_in(browser, Origin="https://evil.example").status_code == 403
    assert local.get("/api/v1/worklist").json()[0]["claimed_by"] is None
    assert is_in(browser)


PROXY = {"proxy_addresses": ("192.0.2.20",), "proxy_header": "X-Remote-User"}
AT_PROXY = ("192.0.2.20", 50000)


def test_a_proxy_names_who_asks_and_nobody_else_does(web):
    web.configure(**PROXY, proxy_administrators=("Bob",))
    Store(web.database).file("1.1")

    named = web.browser(AT_PROXY, **{"X-Remote-User": "José".encode()})
    assert named.post("/api/v1/studies/1.1/claim").status_code == 204
    assert named.get("/api/v1/worklist").json()[0]["claimed_by"] == "josé"
    for client, host in ((ELSEWHERE, "triage.example"), (HERE, "127.0.0.1:8042")):
        forged = web.browser(client, host, **{"X-Remote-User": "jose"})
        assert forged.get("/api/v1/worklist").status_code == 403
    assert web.browser(AT_PROXY).get("/api/v1/worklist").status_code == 403


@pytest.mark.parametrize("name", ["local", "triage", "a" * 65, "a\tb"])
def test_a_proxy_cannot_name_somebody_who_misleads_the_trail(web, name):
    web.configure(**PROXY)

    answer = web.browser(AT_PROXY, **{"X-Remote-User": name}).get("/api/v1/worklist")

    assert answer.status_code == 403
    assert "x-remote-user" in answer.json()["detail"]


def test_two_names_are_one_that_the_browser_sent(web):
    web.configure(**PROXY)
    browser = web.browser(AT_PROXY)

    answer = browser.get(
        "/api/v1/worklist", headers=[("X-Remote-User", "anna"), ("X-Remote-User", "bob")]
    )

    assert answer.status_code == 403


def test_users_log_in_through_a_proxy_that_only_brings_tls(web):
    web.configure(proxy_addresses=("127.0.0.1",))
    web.add("anna")
    forwarded = {"X-Forwarded-For": "192.0.2.9", "X-Forwarded-Proto": "https"}
    browser = web.browser(HERE, "127.0.0.1:8042", "https", **forwarded)

    assert not is_in(browser)
    assert "__Host-triage=" in log_in(browser).headers["Set-Cookie"]
    assert is_in(browser)
    entry = list(audit.entries(web.database, audit.Wanted()))[-1]
    assert entry.detail == "from 192.0.2.9"


def test_how_the_daemon_is_may_be_asked_by_the_monitors_that_are_named(web):
    web.configure(monitors=("192.0.2.30",))
    web.add("anna")

    assert web.browser(("192.0.2.30", 1)).get("/readyz").status_code in (200, 503)
    assert web.browser(("192.0.2.30", 1)).get("/api/v1/worklist").status_code == 401
    assert web.browser(("192.0.2.31", 1)).get("/readyz").status_code == 401
    assert web.browser(HERE, "127.0.0.1:8042").get("/readyz").status_code in (200, 503)


@pytest.mark.parametrize("path", ["/login", "/api/v1/studies/1.1/read", "/api/v1/nothing"])
@pytest.mark.parametrize("told", [True, False])
def test_a_body_that_would_fill_the_memory_is_not_read(browser, path, told):
    read = 0

    def body():
        nonlocal read
        for _ in range(1000):
            read += 65536
            yield b"x" * 65536

    content = b"x" * (limits.LARGEST_BODY + 1) if told else body()
    answer = browser.post(path, content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code in (404, 413)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_log_in_is_a_page_under_the_same_headers_as_all_others(browser):
    page = browser.get("/login")

    assert "script" not in page.text
    assert "style=" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("name", "ends"), [("anna", True), ("local", False)])
def test_a_stream_of_whom_a_proxy_named_ends_so_that_the_proxy_is_asked_again(
    monkeypatch, name, ends
):
    monkeypatch.setattr(access, "LOOK_AGAIN", 0.01)
    monkeypatch.setattr(access, "ASK_PROXY", 0.05)

    async def drops():
        for number in range(30):
            await asyncio.sleep(0.01)
            yield number

    async def take():
        who = access.Person(name=name, role=Role.READER)
        return [each async for each in access.while_admitted(None, who, drops())]

    assert (asyncio.run(take()) != list(range(30))) is ends
