"""The worklist as its readers see and use it: a real browser before a real daemon."""

import itertools
import os
import re
import signal

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from tests.support import dcmtk, studies
from tests.support.browser import DESK, TABLET, barriers, reader_at
from tests.support.daemon import HOST, START_WAIT, free_port
from tests.support.store import Store, at
from tests.support.unread import add_many
from tests.support.waiting import wait_until
from triage.core.studytype import StudyType
from triage.store import reading
from triage.store.database import Database

pytestmark = pytest.mark.chromium

TABLES = ("activation", "view", "instance", "history", "study")
EVENTS = "**/api/v1/events"
ONCE = re.compile(r"/api/v1/events\?once=true$")


@pytest.fixture(scope="module")
def daemon(start_shared_daemon):
    daemon = start_shared_daemon(
        roles="receive,web",
        web__port=free_port(),
        # What the tests write is of long ago: nothing of it becomes complete or overdue by itself.
        study__quiet=10**8,
        study__limit=10**8,
        worklist__max_wait=0,
    )
    port = daemon.wait_for("web_ready", seconds=START_WAIT)["port"]
    daemon.page = f"http://{HOST}:{port}/"
    return daemon


@pytest.fixture
def store(daemon):
    """The daemon's database, empty at first."""
    database = Database(daemon.url)
    with database.writing() as connection:
        for table in TABLES:
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608  our own names
    yield Store(database)
    database.close()


def add(store, name, probability=None, seconds=0, **fields):
    """Bring a study onto the worklist; without a probability it waits for its score."""
    fields = {
        "accession_number": name,
        "patient_name": f"DOE^{name}",
        "patient_id": f"P{name}",
    } | fields
    uid = studies.study_uid(name)
    store.file(uid, seconds=seconds, **fields)
    if probability is not None:
        store.score(probability, seconds=seconds + 1)
    return uid


def accessions(page):
    """Return the accession numbers on the page, in their order."""
    return page.locator("tr.study td.accession").all_inner_texts()


def shows(page, *names):
    """Wait until the page shows these studies and no others, in this order."""
    wait_until(lambda: accessions(page) == list(names), f"the studies {names}", every=0.2)


def row(page, name):
    return page.locator("tr.study", has_text=f"DOE, {name}")


def held(page, words):
    """Wait, with the pointer on the list and not at rest, until the page says what it holds back."""
    box = page.locator("#held")
    place = page.locator("tr.study:hover").bounding_box()
    # Each place another: a browser that draws late takes some movements together.
    along = itertools.cycle(range(200, 210))

    def look():
        page.mouse.move(place["x"] + next(along), place["y"] + 10)
        return box.is_visible() and words in box.inner_text()

    wait_until(look, f"held back: {words}", every=0.2)


def go(page, daemon, *names):
    """Open the worklist; with names, wait until these are on it."""
    page.goto(daemon.page)
    expect(page.locator("#connection")).to_have_text("Live")
    if names:
        shows(page, *names)


@pytest.mark.dcmtk
def test_a_study_that_arrives_appears_in_its_place_without_a_reload(daemon, store, page, tmp_path):
    add(store, "ABNORMAL", 0.9)
    add(store, "NORMAL", 0.1)
    go(page, daemon, "ABNORMAL", "NORMAL")
    page.evaluate("window.neverReloaded = true")

    [sample] = studies.write_study(tmp_path / "new", "NEW", [studies.picture(1)])
    assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0

    shows(page, "ABNORMAL", "NEW", "NORMAL")
    new = page.locator("tr.study").nth(1)
    expect(new).to_contain_text("New")
    expect(new).to_contain_text("Medium")
    expect(new).to_contain_text("Not scored")
    expect(new).to_contain_text("0 of 1")
    expect(new).to_contain_text("< 1 min")
    assert page.evaluate("window.neverReloaded")


def test_a_study_that_moves_says_how_far_and_why(daemon, store, page):
    add(store, "FIRST", 0.6)
    add(store, "SECOND", 0.1, seconds=1)
    add(store, "MOVES", seconds=2)
    go(page, daemon, "FIRST", "MOVES", "SECOND")

    store.score(0.8, seconds=10)

    shows(page, "MOVES", "FIRST", "SECOND")
    expect(row(page, "MOVES")).to_contain_text("Scored abnormal")
    expect(row(page, "MOVES").locator("[data-field=moved]")).to_have_text("\u25b2 1")
    expect(row(page, "MOVES")).to_contain_text("0.800")
    expect(row(page, "MOVES")).to_contain_text("High")
    expect(row(page, "MOVES")).to_contain_text("provisional")
    # It was only pushed.
    expect(row(page, "FIRST").locator("[data-field=moved]")).to_have_text("")
    expect(row(page, "FIRST")).not_to_contain_text("Scored abnormal")


def test_an_image_after_the_reading_brings_the_study_back_and_says_so(daemon, store, page):
    uid = add(store, "LATE", 0.2)
    reading.mark_read(store.database, store.id(uid), "ada", "normal", at(200))
    go(page, daemon)
    expect(page.locator("#empty")).to_have_text("No study waits.")

    store.file(uid, f"{uid}.2", seconds=100)

    expect(row(page, "LATE")).to_contain_text("Image after reading")


def test_no_row_moves_under_the_pointer(daemon, store, page):
    add_many(store.database, 16)
    go(page, daemon)
    expect(page.locator("tr.study").nth(3)).to_contain_text("M0004")
    before = accessions(page)
    page.locator("tr.study").nth(3).hover()

    # The first of its kind even while it waits for its score: held from the moment it is seen.
    store.file("1.9", accession_number="TOP", seconds=0)
    store.score(0.9, seconds=50)
    held(page, "1 new of high priority")
    assert accessions(page) == before
    # What is said of a row is new, though it stays where it is.
    reading.claim(store.database, store.id("M0003"), "dr.kim", at(200))
    held(page, "1 new of high priority, 1 changed")
    expect(row(page, "M0003")).to_contain_text("dr.kim")
    assert accessions(page) == before

    page.mouse.move(300, 20)
    shows(page, "TOP", *before)
    expect(page.locator("#held")).to_be_hidden()


def test_a_study_on_the_page_that_is_found_abnormal_meanwhile_is_said_to_be(daemon, store, page):
    add(store, "FIRST")
    add(store, "ABNORMAL", seconds=1)
    go(page, daemon, "FIRST", "ABNORMAL")
    row(page, "ABNORMAL").hover()

    views = {work.study_instance_uid: work for work in store.hold(seconds=2)}
    first, second = (views[studies.study_uid(name)] for name in ("FIRST", "ABNORMAL"))
    store.save([second], 0.9, seconds=3)
    held(page, "1 now of high priority")
    assert accessions(page) == ["FIRST", "ABNORMAL"]
    store.save([first], 0.2, seconds=4)
    held(page, "1 now of high priority, 1 changed")

    page.mouse.move(300, 20)
    shows(page, "ABNORMAL", "FIRST")


def test_what_is_held_back_is_shown_by_a_key(daemon, store, page):
    add(store, "BELOW", 0.1)
    go(page, daemon, "BELOW")
    row(page, "BELOW").hover()
    add(store, "TOP", 0.9, seconds=1)
    held(page, "1 new")

    page.keyboard.press(".")

    shows(page, "TOP", "BELOW")


def test_a_press_on_a_row_that_came_under_a_resting_pointer_does_nothing(daemon, store, page):
    add(store, "BELOW", 0.1)
    go(page, daemon, "BELOW")
    row(page, "BELOW").hover()
    add(store, "TOP", 0.9, seconds=1)
    held(page, "1 new")
    page.keyboard.press(".")
    shows(page, "TOP", "BELOW")
    add(store, "LAST", 0.1, seconds=2)  # what comes below changes nothing about that
    shows(page, "TOP", "BELOW", "LAST")

    page.mouse.down()
    page.mouse.up()

    expect(page.locator("#refused")).to_contain_text("moved under the pointer")
    expect(page.locator("#chosen [data-field=title]")).to_have_text("No study is chosen.")


def test_place_and_filter_stay_when_studies_come_and_go(daemon, store, page):
    add_many(store.database, 180)
    go(page, daemon)
    page.get_by_label("Study type").select_option("wrist")
    expect(page.locator("#summary")).to_contain_text("60 shown")
    page.locator("#list").evaluate("list => { list.scrollTop = 1000; }")
    expect(row(page, "M0075")).to_be_visible()
    before = row(page, "M0075").bounding_box()

    add(store, "HAND", 0.9, seconds=500)
    add(store, "WRIST", 0.9, seconds=501, study_type=StudyType.WRIST)
    for number in (3, 6, 9):
        reading.mark_read(store.database, store.id(f"M{number:04}"), "ada", None, at(600))
    expect(page.locator("#summary")).to_contain_text("58 shown")

    after = row(page, "M0075").bounding_box()
    assert after["y"] == pytest.approx(before["y"], abs=1)
    page.reload()
    expect(page.locator("#summary")).to_contain_text("58 shown, 1 of high priority not")
    expect(row(page, "M0075")).to_be_in_viewport()
    assert "HAND" not in accessions(page)


def test_filters_leave_what_is_asked_for(daemon, store, page):
    add(store, "A1", 0.9, patient_name="MÜLLER^Änne")
    add(store, "A2", 0.7, study_type=StudyType.WRIST)
    add(store, "A4", 0.2, seconds=2)
    add(store, "A3", seconds=1, study_type=None)
    reading.claim(store.database, store.id("A2"), "dr.kim", at(200))
    reading.claim(store.database, store.id("A4"), "local", at(200))
    go(page, daemon, "A1", "A2", "A3", "A4")
    search, kind, state = (
        page.get_by_role("searchbox"),
        page.get_by_label("Study type"),
        page.get_by_label("State"),
    )

    for text_, found in [("muller", ["A1"]), ("pa3", ["A3"]), ("doe, a", ["A2", "A3", "A4"])]:
        search.fill(text_)
        shows(page, *found)
    search.fill("")
    for value, found in [("wrist", ["A2"]), ("unknown", ["A3"]), ("", ["A1", "A2", "A3", "A4"])]:
        kind.select_option(value)
        shows(page, *found)
    for value, found in [
        ("free", ["A1", "A3"]),
        ("mine", ["A4"]),
        ("others", ["A2"]),
        ("unscored", ["A3"]),
        ("overdue", []),
    ]:
        state.select_option(value)
        shows(page, *found)
    expect(page.locator("#empty")).to_have_text("No study of this kind waits.")
    page.keyboard.press("Escape")
    page.get_by_role("checkbox", name="High").check(force=True)
    shows(page, "A1", "A2")
    page.get_by_role("button", name="Show all").click()
    shows(page, "A1", "A2", "A3", "A4")
    reading.mark_read(store.database, store.id("A3"), "ada", None, at(300))
    search.fill("A3")
    page.get_by_role("link", name="Look for A3 among those that were read").click()
    page.wait_for_url("**/studies/A3")
    expect(page.locator("#standing")).to_contain_text("Off the worklist")


def test_a_reader_works_by_keys_alone(daemon, store, page):
    uids = [add(store, name, 0.9 - number / 10) for number, name in enumerate(["K1", "K2", "K3"])]
    go(page, daemon, "K1", "K2", "K3")
    done = page.locator("#done")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("c")
    expect(done).to_have_text("Hand K2: claimed.")
    expect(row(page, "K2")).to_contain_text("You")
    page.keyboard.press("r")
    expect(done).to_have_text("Hand K2: released.")
    page.keyboard.press("a")
    expect(done).to_have_text("Hand K2: read, abnormal.")
    shows(page, "K1", "K3")
    expect(page.locator("#chosen [data-field=title]")).to_contain_text("K3")
    page.keyboard.press("k")
    page.keyboard.press("/")
    page.keyboard.type("K1n")  # keys in the search are letters
    shows(page)
    page.keyboard.press("Escape")
    shows(page, "K1", "K3")
    page.keyboard.press("Home")
    page.keyboard.press("n")
    shows(page, "K3")

    assert store.kinds(uids[1])[-3:] == ["claimed", "released", "read"]
    assert [store.detail(uid).finding for uid in uids] == ["normal", "abnormal", None]
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{uids[2]}")


def test_what_was_marked_as_read_by_mistake_is_put_back_by_a_key(daemon, store, page):
    uids = [add(store, name, 0.9 - number / 10) for number, name in enumerate(["K1", "K2"])]
    go(page, daemon, "K1", "K2")
    page.keyboard.press("u")
    expect(page.locator("#refused")).to_have_text("Nothing was marked as read here.")
    page.keyboard.press("Home")
    page.keyboard.press("n")
    shows(page, "K2")

    page.keyboard.press("u")

    expect(page.locator("#done")).to_have_text("Hand K1: back on the worklist.")
    shows(page, "K1", "K2")
    assert store.detail(uids[0]).reading_state == "unread"
    page.keyboard.press("Home")
    page.keyboard.press("n")
    shows(page, "K2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("a")
    shows(page)
    page.keyboard.press("u")
    shows(page, "K2")
    page.keyboard.press("u")
    shows(page, "K1", "K2")
    # Later, when the list has long been without it, and by the pointer.
    page.keyboard.press("Home")
    page.keyboard.press("a")
    shows(page, "K2")
    other = page.context.new_page()
    go(other, daemon, "K2")
    page.get_by_role("button", name="Undo").click()
    shows(page, "K1", "K2")
    shows(other, "K1", "K2")
    expect(row(page, "K1")).to_contain_text("Put back")
    other.close()


def test_what_another_has_read_since_is_not_taken_back(daemon, store, page):
    uid = add(store, "K1", 0.9)
    go(page, daemon, "K1")
    page.keyboard.press("Home")
    page.keyboard.press("n")
    shows(page)
    store.file(uid, f"{uid}.2", seconds=5)  # an image after the reading
    shows(page, "K1")
    reading.mark_read(store.database, store.id(uid), "dr.kim", "abnormal", at(300))
    shows(page)

    page.keyboard.press("u")

    expect(page.locator("#refused")).to_contain_text("Not put back: Hand K1: it was read by dr.kim")
    assert store.detail(uid).finding == "abnormal"


def test_keys_of_one_character_can_be_switched_off(daemon, store, page):
    uid = add(store, "K1", 0.9)
    go(page, daemon, "K1")
    page.keyboard.press("?")
    page.get_by_label("Keys of one character work").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("Home")

    for key in "cnar?":
        page.keyboard.press(key)
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("Enter")  # one with a name
    page.wait_for_url(f"**/studies/{uid}")
    expect(page.get_by_label("Keys of one character work")).not_to_be_checked()
    page.keyboard.press("n")
    page.get_by_label("Keys of one character work").check()
    page.keyboard.press("w")
    assert "/studies/" in page.url, "the box has the focus"
    page.locator("h1").click()
    page.keyboard.press("w")

    page.wait_for_url(daemon.page)
    shows(page, "K1")
    assert store.detail(uid).reading_state == "unread"


def test_a_key_pressed_twice_reads_one_study(daemon, store, page):
    uids = [add(store, name, 0.9 - number / 10) for number, name in enumerate(["K1", "K2"])]
    go(page, daemon, "K1", "K2")
    page.keyboard.press("Home")

    page.keyboard.press("n")
    page.keyboard.press("n")
    expect(page.locator("#done")).to_have_text("Hand K1: read, normal.")
    page.keyboard.press("n")

    shows(page, "K2")
    assert [store.detail(uid).reading_state for uid in uids] == ["read", "unread"]


def test_who_claims_second_is_told_who_was_first(daemon, store, page):
    add(store, "RACE", 0.9)
    go(page, daemon, "RACE")
    page.keyboard.press("Home")
    page.route(EVENTS, lambda route: route.abort())  # the page has not heard of it yet

    daemon.triage("claim", "RACE", "--by", "dr.kim")
    page.keyboard.press("c")

    expect(page.locator("#refused")).to_have_text(
        "Not claimed: Hand RACE: it is claimed by dr.kim."
    )
    expect(row(page, "RACE")).to_contain_text("dr.kim")
    for name in ("Claim", "Release", "Read: normal", "Read: abnormal"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    page.keyboard.press("r")
    expect(page.locator("#refused")).to_have_text(
        "Not released: Hand RACE: it is claimed by dr.kim."
    )
    assert store.kinds(studies.study_uid("RACE"))[-1] == "claimed"


def test_a_chosen_study_that_another_has_read_hands_its_keys_to_none(daemon, store, page):
    uids = [add(store, name, 0.9 - number / 10) for number, name in enumerate(["T1", "T2"])]
    go(page, daemon, "T1", "T2")
    page.keyboard.press("Home")
    reading.mark_read(store.database, store.id("T1"), "dr.kim", None, at(200))
    shows(page, "T2")

    page.keyboard.press("n")

    expect(page.locator("#refused")).to_have_text("Choose a study first.")
    assert store.detail(uids[1]).reading_state == "unread"
    page.keyboard.press("ArrowDown")
    expect(page.locator("#chosen [data-field=title]")).to_contain_text("T2")


def test_without_a_stream_the_page_asks_and_without_an_answer_it_says_so(daemon, store, page):
    add(store, "FIRST", 0.9)
    connection = page.locator("#connection")
    page.route(EVENTS, lambda route: route.abort())
    page.goto(daemon.page)
    expect(connection).to_have_text("Updated every few seconds")
    add(store, "SECOND", 0.8, seconds=1)
    shows(page, "FIRST", "SECOND")

    page.route(ONCE, lambda route: route.abort())
    expect(connection).to_contain_text("the list may be out of date")
    assert accessions(page) == ["FIRST", "SECOND"]

    page.unroute(EVENTS)
    page.unroute(ONCE)
    add(store, "THIRD", 0.7, seconds=2)
    expect(connection).to_have_text("Live")
    shows(page, "FIRST", "SECOND", "THIRD")


def test_a_page_whose_stream_has_ended_says_so_at_once(daemon, store, page):
    add(store, "FIRST", 0.9)
    go(page, daemon, "FIRST")
    page.route(re.compile("/api/v1/events"), lambda route: route.abort())
    seen = page.evaluate_handle(
        """() => {
            const seen = [], connection = document.querySelector("#connection");
            new MutationObserver(() => seen.push(connection.textContent)).observe(
                connection, {childList: true, characterData: true, subtree: true});
            return seen;
        }"""
    )

    os.kill(daemon.events("web_started")[-1]["pid"], signal.SIGKILL)

    wait_until(lambda: len(seen.json_value()) >= 2, "the page to say it")
    again, lost = seen.json_value()[:2]
    assert again.startswith("Connecting again; heard last at")
    assert lost.startswith("Not connected since")
    page.unroute(re.compile("/api/v1/events"))
    expect(page.locator("#connection")).to_have_text("Live")


def test_of_five_thousand_rows_those_are_drawn_that_are_seen(daemon, store, page):
    add_many(store.database, 5000)
    go(page, daemon)
    expect(page.locator("#summary")).to_contain_text("5000 studies wait")
    assert page.locator("tr.study").count() < 60
    page.keyboard.press("End")
    expect(page.locator("tr.study").last).to_contain_text("5000")
    expect(page.locator("tr.study").last).to_be_in_viewport()
    page.get_by_role("searchbox").fill("M4321")
    shows(page, "M4321")
    page.get_by_role("searchbox").fill("")
    add(store, "TOP", 0.9, seconds=-1)
    expect(page.locator("tr.study").first).to_contain_text("TOP")


def test_times_are_those_of_the_readers_zone(daemon, store, page):
    add(store, "ZONE", 0.9)  # on 1 March 2025, 12:00 UTC
    go(page, daemon, "ZONE")

    arrived = row(page, "ZONE").locator("time")

    expect(arrived).to_have_text("1 Mar, 07:00")
    assert "EST" in arrived.get_attribute("title") or "-5" in arrived.get_attribute("title")


def test_what_a_sender_writes_is_text(daemon, store, page):
    evil = "<img src=x onerror=alert(1)>"
    add(store, "EVIL", 0.9, patient_name=evil, study_description=evil, accession_number=evil)
    go(page, daemon)

    expect(page.locator("tr.study")).to_contain_text(evil)
    page.keyboard.press("Home")
    page.keyboard.press("c")
    expect(page.locator("#done")).to_contain_text(evil)
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESK, "light"), (TABLET, "dark")], ids=["desk", "tablet"]
)
def test_nothing_bars_who_cannot_see_or_point(daemon, store, browser, scheme, size):
    add(store, "HIGH", 0.9)
    add(store, "LOW", 0.1)
    add(store, "MEDIUM", study_type=None)
    reading.claim(store.database, store.id("LOW"), "local", at(200))
    with reader_at(browser, color_scheme=scheme, viewport=size) as page:
        page.goto(daemon.page)
        expect(page.locator("tr.study")).to_have_count(3)
        page.keyboard.press("End")
        page.keyboard.press("r")
        expect(page.locator("#done")).not_to_be_empty()

        assert barriers(page) == []
        # Nothing is beside the window, to which one would have to scroll.
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        list_ = page.locator("#list")
        assert list_.evaluate("e => e.scrollWidth") <= list_.evaluate("e => e.clientWidth")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        assert barriers(page) == []


def test_a_screen_reader_hears_of_urgent_news_and_where_the_reader_is(daemon, store, page):
    add(store, "FIRST", 0.6)
    go(page, daemon, "FIRST")
    page.keyboard.press("Home")
    grid = page.get_by_role("grid")
    active = grid.get_attribute("aria-activedescendant")
    assert page.locator(f"[id='{active}']").get_attribute("aria-selected") == "true"

    add(store, "URGENT", 0.9, seconds=1)

    expect(page.locator("#news")).to_have_text("High priority: Hand URGENT, position 1")
    assert grid.get_attribute("aria-rowcount") == "3"
    assert row(page, "FIRST").get_attribute("aria-rowindex") == "3"
