"""The page of the department and its JSON, in a real browser on a real daemon."""

import json
import re
from contextlib import closing
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from playwright.sync_api import expect

from tests.support import quarter
from tests.support.browser import DESK, TABLET, ZONE, barriers, reader_at
from tests.support.daemon import free_port
from triage.store import schema
from triage.store.database import Database

pytestmark = pytest.mark.chromium
INK = "getComputedStyle(document.querySelector('#turn-around .plot text')).fill"


@pytest.fixture(scope="module")
def serve(start_shared_daemon, tmp_path_factory):
    """Return a function that serves a database, filled or empty, and returns the address."""

    def serve(fill):
        url = f"sqlite:///{tmp_path_factory.mktemp('quarter') / 'triage.db'}"
        with closing(Database(url)) as database:
            schema.upgrade(database)
            fill(database)
        port = free_port()
        # The studies have no images, so nothing may derive them again: none becomes overdue.
        settings = {"database__url": url, "web__port": port, "worklist__max_wait": 0}
        start_shared_daemon(roles="web", **settings).wait_for("web_ready")
        return f"http://127.0.0.1:{port}"

    return serve


@pytest.fixture(scope="module")
def busy(serve):
    """A department with a quarter behind it."""
    return serve(lambda database: quarter.fill(database, datetime.now(UTC)))


@pytest.fixture(scope="module")
def new(serve):
    """A department that has received nothing yet."""
    return serve(lambda _: None)


def ask(address, query=""):
    with urlopen(f"{address}/api/v1/department{query}") as answer:  # noqa: S310  our own daemon
        return json.load(answer)


def rows(page, section):
    """Return the cells of a section's first table, row after row."""
    return [
        [cell.inner_text().strip() for cell in row.query_selector_all("th, td")]
        for row in page.query_selector_all(f"{section} table >> nth=0 >> tbody tr")
    ]


def open_page(page, address, section="#failures"):
    # Whoever comes first waits for the plots, which a busy machine draws slowly.
    answer = page.goto(f"{address}/department", timeout=120_000)
    assert answer.ok, answer.text()
    page.wait_for_url(re.compile("zone="))
    page.wait_for_selector(section)


def test_the_json_has_what_waits_and_where_the_scores_drift(busy):
    found = ask(busy)

    assert found["studies_waiting"] == quarter.WAITING
    assert found["longest_wait_seconds"] == max(
        each["longest_seconds"] or 0 for each in found["waiting"]
    )
    drifting = [each["name"] for each in found["scores_by_station"] if each["drifts"]]
    assert drifting == [quarter.DRIFTING]
    assert not any(each["drifts"] for each in found["scores_by_type"])
    assert [each["code"] for each in found["failures"]] == ["undecodable"]
    assert found["agreement"][-1]["kappa"]["value"] > 0.5


def test_a_monitor_is_told_of_the_same_drift(busy):
    with urlopen(f"{busy}/metrics") as answer:  # noqa: S310  our own daemon
        told = answer.read().decode()

    stands = re.findall(
        r'^triage_scores_drift{by="(\w+)",name="([^"]*)"} (\S+)', told, re.MULTILINE
    )
    assert [(by, name) for by, name, drifts in stands if float(drifts)] == [
        ("station", quarter.DRIFTING)
    ]
    assert {by for by, _, _ in stands} == {"study_type", "station"}


def test_figures_are_kept_for_some_seconds_for_each_zone(busy):
    first, again, elsewhere = ask(busy), ask(busy), ask(busy, "?zone=Asia/Kathmandu")

    assert first == again
    assert elsewhere["today"].endswith("18:15:00.000000Z")


@pytest.mark.parametrize("zone", ["Nowhere/City", "America", "../../etc/passwd", "%00", ""])
def test_an_unknown_zone_is_refused_with_what_one_looks_like(busy, zone):
    with pytest.raises(HTTPError) as refused:
        ask(busy, f"?zone={zone}")

    assert refused.value.code == 422
    assert "Europe/Berlin" in json.load(refused.value)["detail"]


def test_the_page_shows_the_figures_in_the_readers_zone(page, busy):
    open_page(page, busy)

    assert f"zone={ZONE.replace('/', '%2F')}" in page.url
    assert ZONE in page.inner_text("#as-of")
    found = ask(busy, f"?zone={ZONE}")
    assert page.inner_text("#waiting .value >> nth=0") == str(quarter.WAITING)
    overall = rows(page, "#agreement")[-1]
    assert overall[:2] == ["all", str(found["agreement"][-1]["studies"])]
    assert overall[2] == f"{found['agreement'][-1]['kappa']['value']:.2f}"
    assert rows(page, "#failures")[0][0] == "undecodable"
    shown = [row[0] for row in rows(page, "#turn-around")]
    assert shown[:2] == ["abnormal (model)", "normal (model)"] or not found["turn_around"]


def test_a_drift_is_marked_in_a_word_at_its_station_alone(page, busy):
    open_page(page, busy)

    marked = page.query_selector_all("#scores figcaption:has(.alarm)")

    assert [each.inner_text().split()[0] for each in marked] == [quarter.DRIFTING]
    assert "drifts" in marked[0].inner_text()
    plot = page.query_selector(f"[data-station='{quarter.DRIFTING}'] .plot")
    assert re.search(r"These weeks drift: \d{4}-\d\d-\d\d", plot.get_attribute("aria-label"))


def test_what_a_peer_calls_its_station_is_shown_as_it_is(page, busy):
    open_page(page, busy)

    names = [each.inner_text() for each in page.query_selector_all("#scores figcaption strong")]

    assert sorted(names[-3:]) == sorted(quarter.STATIONS)
    assert page.query_selector("main b") is None


def test_a_browser_whose_zone_is_unknown_here_is_shown_utc(page, busy):
    page.goto(f"{busy}/department?zone=Mars/Olympus")

    assert ", UTC." in page.inner_text("#as-of")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_who_cannot_see_or_point(browser, busy, theme):
    size = DESK if theme == "light" else TABLET
    with reader_at(browser, color_scheme=theme, viewport=size) as page:
        open_page(page, busy)
        for table in page.query_selector_all("summary"):
            table.click()

        assert barriers(page) == []


@pytest.mark.parametrize("size", [DESK, TABLET], ids=["desk", "tablet"])
def test_the_page_is_as_wide_as_its_window(browser, busy, size):
    with reader_at(browser, viewport=size) as page:
        open_page(page, busy)

        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]


def test_plots_take_the_colours_of_the_page(browser, busy):
    inks = []
    for theme in ("light", "dark"):
        with reader_at(browser, color_scheme=theme) as page:
            open_page(page, busy)
            inks.append(page.evaluate(INK))
            assert inks[-1] == page.evaluate("getComputedStyle(document.body).color")

    assert len(set(inks)) == 2


def test_every_plot_says_in_words_what_it_shows_and_has_a_table_beside_it(page, busy):
    open_page(page, busy)

    for plot in page.query_selector_all(".plot"):
        assert plot.get_attribute("role") == "img"
        assert "table" in plot.get_attribute("aria-label")
        around = plot.evaluate_handle("each => each.closest('.beside') ?? each.closest('figure')")
        assert around.as_element().query_selector("table tbody tr")


def test_figures_are_renewed_and_tables_stay_open(page, busy):
    page.clock.install()
    open_page(page, busy)
    page.click("#throughput summary")
    page.focus("nav a")
    page.eval_on_selector("#throughput", "each => each.dataset.old = 'yes'")

    page.clock.fast_forward(60_000)

    page.wait_for_selector("#throughput:not([data-old])")
    assert page.eval_on_selector("#throughput details", "each => each.open")


def test_figures_that_are_not_renewed_are_said_to_be(page, busy):
    page.clock.install()
    open_page(page, busy)
    page.focus("nav a")
    page.route("**/department*", lambda route: route.abort())
    page.clock.fast_forward(60_000)
    expect(page.locator("#stale")).to_contain_text("not renewed")

    page.unroute("**/department*")
    page.clock.fast_forward(60_000)

    expect(page.locator("#stale")).to_have_text("", timeout=60_000)


# From now on nothing comes, or a head and no body; and nobody waits long for it.
STALL = """(mode) => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = () => timeout(100);
    window.fetch = async (_, { signal }) => {
        const never = (fail) => signal.addEventListener("abort", () => fail(signal.reason));
        if (mode === "head") await new Promise((_, fail) => never(fail));
        return new Response(new ReadableStream({ start: (body) => never((why) => body.error(why)) }));
    };
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.parametrize("stalls", ["head", "body"])
def test_an_answer_that_stalls_is_not_waited_for(page, busy, stalls):
    open_page(page, busy)
    failed = []
    page.on("pageerror", lambda error: failed.append(error))

    page.evaluate(STALL, stalls)

    expect(page.locator("#stale")).to_contain_text("not renewed", timeout=60_000)
    assert failed == []


def test_a_table_in_which_the_focus_is_stays_as_it_is(page, busy):
    page.clock.install()
    open_page(page, busy)
    page.focus("#throughput summary")
    for section in ("#throughput", "#failures"):
        page.eval_on_selector(section, "each => each.dataset.old = 'yes'")

    page.clock.fast_forward(60_000)

    page.wait_for_selector("#failures:not([data-old])")
    assert page.query_selector("#throughput[data-old]")


def test_a_new_department_says_that_there_is_nothing_yet(page, new):
    open_page(page, new)

    text = page.inner_text("main")
    assert "No study has been read this week" in text
    assert "No finding has been entered yet" in text
    assert "No study has a final score yet" in text
    assert barriers(page) == []
