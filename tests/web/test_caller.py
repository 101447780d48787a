"""Where a request comes from, and what is believed of that."""

import pytest
from starlette.datastructures import Headers

from triage.settings import WebSettings
from triage.web.caller import caller_of, is_foreign

PROXY = {"proxy_addresses": ("192.0.2.20", "127.0.0.1")}


def headers(**named):
    """Return headers; a list stands for a header that is there more than once."""
    raw = []
    for name, values in {"host": "127.0.0.1:8042", **named}.items():
        several = values if isinstance(values, list) else [values]
        raw += [(name.replace("_", "-").encode(), value.encode()) for value in several]
    return Headers(raw=raw)


def caller(peer="127.0.0.1", version="1.1", scheme="http", settings=None, **named):
    return caller_of(peer, version, scheme, headers(**named), WebSettings(**(settings or {})))


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("host", ["127.0.0.1:8042", "localhost:8042", "[::1]:8042", "LOCALHOST"])
def test_who_asks_this_machine_on_this_machine_is_here(peer, host):
    assert caller(peer, host=host).is_here
    assert caller(peer, host=host, origin=f"http://{host}").is_here


@pytest.mark.parametrize(
    "named",
    [
        {"host": "triage.example"},  # a name that somebody has pointed at 127.0.0.1
        {"host": "localhost.example:8042"},
        {"host": "127.0.0.1.example"},
        {"host": "127.0.0.1@evil.example"},
        {"host": "192.0.2.1"},
        {"host": "2130706433"},
        {"host": ""},
        {"host": []},
        {"host": ["127.0.0.1:8042", "triage.example"]},
        {"forwarded": "for=192.0.2.7"},
        {"x_forwarded_for": "127.0.0.1"},
        {"x_forwarded_anything": "1"},
        {"x_real_ip": "192.0.2.7"},
        {"via": "1.1 proxy"},
        {"version": "1.0"},  # as a proxy speaks that says nothing of itself
        {"origin": "https://triage.example"},
        {"peer": "192.0.2.7"},
        {"peer": "fe80::1%eth0"},
        {"peer": ""},
        {"settings": PROXY},
        {"settings": {"proxy_addresses": ("192.0.2.20",)}},
    ],
)
def test_who_may_come_from_elsewhere_is_not_here(named):
    assert not caller(**named).is_here


def test_what_a_proxy_says_is_believed_of_a_proxy_that_is_named_alone():
    said = {
        "x_forwarded_for": "198.51.100.9, 192.0.2.7",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "Triage.example",
    }

    through = caller("192.0.2.20", settings=PROXY, **said)
    past = caller("192.0.2.21", settings=PROXY, **said)

    assert (through.address, through.host, through.secure) == ("192.0.2.7", "triage.example", True)
    assert (past.address, past.host, past.secure) == ("192.0.2.21", "127.0.0.1:8042", False)
    assert (through.by_proxy, past.by_proxy) == (True, False)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("1.2.3.4, 192.0.2.7", "192.0.2.7"),  # the first was sent by the browser
        ("192.0.2.7, 127.0.0.1", "192.0.2.7"),  # the last is another proxy of ours
        (["1.2.3.4", "192.0.2.7"], "192.0.2.7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("nonsense", "192.0.2.20"),
        ("", "192.0.2.20"),
        ([], "192.0.2.20"),
    ],
)
def test_the_address_is_the_last_one_that_is_no_proxys(forwarded, address):
    found = caller("192.0.2.20", settings=PROXY, x_forwarded_for=forwarded)

    assert found.address == address


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_our_own_tls_is_seen(scheme):
    assert caller(scheme=scheme).secure == (scheme == "https")


LINK = {"sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}


@pytest.mark.parametrize(
    ("method", "path", "named", "foreign"),
    [
        ("POST", "/api/v1/studies/1/claim", {}, False),  # no browser
        ("POST", "/api/v1/studies/1/claim", {"sec_fetch_site": "same-origin"}, False),
        ("POST", "/api/v1/studies/1/claim", {"sec_fetch_site": "cross-site"}, True),
        ("POST", "/api/v1/studies/1/claim", {"sec_fetch_site": "same-site"}, True),
        ("POST", "/login", {"sec_fetch_site": "cross-site", **LINK}, True),
        ("POST", "/login", {"origin": "http://127.0.0.1:8042"}, False),
        ("POST", "/login", {"origin": "http://127.0.0.1:8043"}, True),
        ("POST", "/login", {"origin": "https://evil.example"}, True),
        ("POST", "/login", {"origin": "null"}, True),
        ("POST", "/login", {"origin": ["http://127.0.0.1:8042", "http://evil.example"]}, True),
        ("GET", "/", {}, False),
        ("GET", "/", {"sec_fetch_site": "none", **LINK}, False),
        ("GET", "/studies/1", {"sec_fetch_site": "cross-site", **LINK}, False),  # from the RIS
        ("GET", "/api/v1/studies/1", {"sec_fetch_site": "cross-site", **LINK}, True),
        ("GET", "/", {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, True),
        (
            "GET",
            "/",
            {
                "sec_fetch_site": "cross-site",
                "sec_fetch_mode": "navigate",
                "sec_fetch_dest": "iframe",
            },
            True,
        ),
    ],
)
def test_what_a_page_of_another_site_sends_is_foreign(method, path, named, foreign):
    assert is_foreign(method, path, headers(**named), "127.0.0.1:8042") == foreign
