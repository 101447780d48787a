"""The study page as its readers see and use it: a real browser before a real daemon."""

import re
from datetime import timedelta

import numpy as np
import pytest
from playwright.sync_api import expect
from sqlalchemy import text, update

from tests.support import objects, studies
from tests.support.browser import DESK, PATIENCE, TABLET, barriers, reader_at
from tests.support.daemon import HOST, free_port
from tests.support.reading_room import HOT, MILD, ReadingRoom, coarse
from triage.core.studytype import StudyType
from triage.store import audit, reading
from triage.store.audit import Wanted
from triage.store.tables import study

pytestmark = pytest.mark.chromium
expect.set_options(timeout=PATIENCE)

WRIST = {"study_type": StudyType.WRIST}
TABLES = ("activation", "view", "instance", "history", "study")


@pytest.fixture(scope="module")
def daemon(start_shared_daemon):
    daemon = start_shared_daemon(
        roles="web",
        web__port=free_port(),
        # Nothing becomes complete or overdue by itself.
        study__quiet=10**8,
        study__limit=10**8,
        worklist__max_wait=0,
        report__normal={"wrist": "{{ patient_name }}: {{ side }} wrist, <b>{{ views }}</b> views."},
    )
    daemon.wait_for("web_ready")
    return daemon


@pytest.fixture(scope="module")
def whole_room(daemon):
    room = ReadingRoom(daemon.url, daemon.spool)
    yield room
    room.database.close()


@pytest.fixture
def room(whole_room):
    """The daemon's database, empty at first."""
    with whole_room.database.writing() as connection:
        for table in TABLES:
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608  our own names
    return whole_room


@pytest.fixture
def go(daemon, page):
    """Return a function that opens the page of a study, and waits for its pictures."""

    def go(study, page=page):
        page.goto(address(daemon, study))
        page.wait_for_function(
            "() => [...document.querySelectorAll('img.pixels')].every((each) => each.complete)"
        )
        return page

    return go


def address(daemon, study):
    port = daemon.events("web_ready")[-1]["port"]
    return f"http://{HOST}:{port}/studies/{studies.study_uid(study)}"


def wrist(room, study="WRIST", probabilities=(0.25, 0.375)):
    """Bring a scored study; return the UIDs of its views."""
    uids = [
        room.receive(study, studies.picture(number), number, **WRIST)
        for number in range(1, 1 + len(probabilities))
    ]
    room.score(*probabilities, maps=[coarse(HOT), coarse(MILD)][: len(probabilities)])
    room.complete()
    return uids


def drawn(page):
    """Return the sizes of the views' pictures as they came."""
    script = "(all) => all.map((each) => [each.naturalHeight, each.naturalWidth])"
    return page.locator("img.pixels").evaluate_all(script)


def asked(page):
    """Collect the pictures and maps that the page asks for."""
    found = []
    page.on("request", lambda r: ".png" in r.url and found.append(r.url.rpartition("/views/")[2]))
    return found


def look_again(page):
    """Have the page ask at once how the study is, as it does when its tab is shown again."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def sources(page, kind):
    """Return the addresses of the pictures, once they have all come."""
    page.wait_for_function(
        "kind => [...document.querySelectorAll(kind)].every((each) => each.complete)", arg=kind
    )
    return page.locator(kind).evaluate_all("(all) => all.map((each) => each.src)")


def scale(page, number=1):
    return float(page.locator(f"figure[data-number='{number}']").get_attribute("data-scale"))


def trail(room, *kinds):
    return [entry.kind for entry in audit.entries(room.database, Wanted()) if entry.kind in kinds]


def test_each_view_is_drawn_with_what_is_known_of_it(room, go):
    first, second = wrist(room)
    page = go("WRIST")

    assert drawn(page) == [list(studies.picture(number).shape) for number in (1, 2)]
    captions = page.locator("figcaption").all_inner_texts()
    assert [" ".join(caption.split()) for caption in captions] == [
        "1 Wrist, left 0.250",
        "2 Wrist, left 0.375",
    ]
    views = page.locator("#views li")
    for uid, view in zip((first, second), (views.nth(0), views.nth(1)), strict=True):
        expect(view).to_contain_text(uid)
        expect(view).to_contain_text("BodyPartExamined 'WRIST'")
        expect(view).to_contain_text("ImageLaterality 'L'")
    score = page.locator("#score")
    for said in ("Wrist, left", "decides", "0.312", "0.500", "Model net 1"):
        expect(score).to_contain_text(said)
    expect(page.locator("#standing")).to_contain_text("Position 1")
    expect(page.locator("#standing .priority")).to_have_text("Low")
    expect(page.locator("#history")).to_contain_text(
        re.compile("First image arrived.*Scored: normal", re.DOTALL)
    )


def test_what_is_not_scored_is_said_with_its_reason_and_shown_where_it_is_a_radiograph(room, go):
    wrist(room)
    room.file(objects.report("WRIST"))
    room.receive("WRIST", studies.picture(3), 3, study_type=None)
    room.receive("WRIST", studies.picture(4), 4, **WRIST)
    room.fail("undecodable: it is broken")
    page = go("WRIST")

    unscored = page.locator("#others")
    expect(unscored).to_contain_text("Basic Text SR")
    expect(unscored).to_contain_text("no attribute names the part of the body")
    expect(page.locator("#views")).to_contain_text("it is broken undecodable")
    assert len(drawn(page)) == 4
    expect(page.locator("figcaption").nth(2)).to_contain_text("Unknown part, left")
    expect(page.locator("figcaption").nth(3)).to_contain_text("not scored")
    expect(page.locator("#report")).to_contain_text("None.")


def test_a_picture_that_cannot_be_shown_says_why_and_the_others_are_there(room, go):
    first, _ = wrist(room, "DAMAGED")
    path = room.files[first]
    path.write_bytes(path.read_bytes()[:-3000])
    page = go("DAMAGED")

    expect(page.locator("figure .trouble").first).to_contain_text("undecodable: ")
    expect(page.locator("img.pixels").nth(1)).to_be_visible()


def test_maps_are_off_until_asked_for_and_lie_over_their_views(room, go, page):
    wrist(room)
    requests = asked(page)
    go("WRIST")
    assert not [each for each in requests if "map" in each]
    expect(page.locator("#legend")).to_be_hidden()

    page.keyboard.press("m")

    expect(page.locator("img.map")).to_have_count(2)
    page.wait_for_function(
        "() => [...document.querySelectorAll('img.map')].every((each) => each.naturalWidth)"
    )
    expect(page.locator("#legend")).to_contain_text("6.0 of logit")
    for name in ("img.map", "img.pixels"):
        boxes = [page.locator(name).nth(number).bounding_box() for number in (0, 1)]
        assert boxes == [page.locator("img.pixels").nth(number).bounding_box() for number in (0, 1)]

    page.keyboard.press("m")
    assert not page.locator("img.map").first.is_visible()


def test_a_view_is_zoomed_and_moved_by_keys_wheel_and_pointer(room, go):
    wrist(room)
    page = go("WRIST")
    fitted = scale(page)
    window = page.locator("figure .window").first
    box = window.bounding_box()

    window.focus()
    page.keyboard.press("+")
    assert scale(page) == pytest.approx(1.25 * fitted, rel=0.01)
    assert scale(page, 2) == pytest.approx(fitted, rel=0.2)  # the other stays
    before = page.locator("img.pixels").first.bounding_box()
    page.keyboard.press("ArrowLeft")
    assert page.locator("img.pixels").first.bounding_box()["x"] == before["x"] + 60

    page.mouse.move(box["x"] + 50, box["y"] + 50)
    before = scale(page)
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"() => document.querySelector('figure').dataset.scale > {before}")
    before = page.locator("img.pixels").first.bounding_box()
    page.mouse.down()
    page.mouse.move(box["x"] + 80, box["y"] + 40)
    page.mouse.up()
    after = page.locator("img.pixels").first.bounding_box()
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((30, -10))

    page.keyboard.press("0")
    assert scale(page) == pytest.approx(fitted, rel=0.01)


def test_an_image_that_is_larger_than_the_screen_comes_whole_when_it_is_looked_into(room, go, page):
    pixels = np.tile(np.arange(200, dtype=np.uint8), (2000, 10))
    room.receive("LARGE", pixels, **WRIST)
    requests = asked(page)
    go("LARGE")
    assert drawn(page) == [[1536, 1536]]
    assert all("side=1536" in each for each in requests)

    page.keyboard.press("x")

    expect(page.locator("img.pixels.whole")).to_be_visible()
    assert drawn(page) == [[2000, 2000]]
    box = page.locator("img.pixels").bounding_box()
    assert (box["width"], box["height"]) == pytest.approx((2000, 2000), rel=0.01)


def test_one_view_is_shown_alone_and_all_again(room, go):
    wrist(room)
    page = go("WRIST")
    figures = page.locator("figure")

    page.keyboard.press("2")
    expect(figures.nth(0)).to_be_hidden()
    expect(figures.nth(1)).to_be_visible()
    expect(page.get_by_label("View 2 alone")).to_have_attribute("aria-pressed", "true")

    page.keyboard.press("Escape")
    expect(figures.nth(0)).to_be_visible()
    figures.nth(0).locator(".window").focus()
    page.keyboard.press("Enter")
    expect(figures.nth(1)).to_be_hidden()


def test_a_study_is_claimed_released_and_read_by_one_key_each(room, go):
    wrist(room)
    page = go("WRIST")

    page.keyboard.press("c")
    expect(page.locator("#claimed")).to_have_text("Claimed by you")
    page.keyboard.press("r")
    expect(page.locator("#done")).to_have_text("Released.")
    expect(page.locator("#claimed")).to_have_count(0)
    page.keyboard.press("a")
    expect(page.locator("#claimed")).to_contain_text("Read by local: abnormal")
    expect(page.locator("#standing")).to_contain_text("Off the worklist")
    expect(page.locator("#act-claim")).to_be_disabled()

    assert room.detail("WRIST").finding == "abnormal"
    assert trail(room, "claimed", "released", "read")[-3:] == ["claimed", "released", "read"]


def test_a_study_that_was_read_by_mistake_goes_back_by_a_key(room, go):
    wrist(room)
    page = go("WRIST")
    expect(page.locator("#act-unread")).to_be_disabled()
    page.keyboard.press("n")
    expect(page.locator("#standing")).to_contain_text("Off the worklist")

    page.keyboard.press("u")

    expect(page.locator("#done")).to_have_text("Back on the worklist.")
    expect(page.locator("#standing")).to_contain_text("Position 1")
    expect(page.locator("#act-claim")).to_be_enabled()
    expect(page.locator("#history")).to_contain_text("was read by local, normal")
    assert room.detail("WRIST").reading_state == "unread"


def test_another_s_reading_is_taken_back_by_name_and_by_no_key(room, go):
    wrist(room)
    reading.mark_read(room.database, room.id("WRIST"), "anna", "abnormal", room.now)
    page = go("WRIST")

    page.keyboard.press("u")
    expect(page.locator("#refused")).to_contain_text("Read by anna")
    page.get_by_role("button", name="Take back the reading of anna").click()

    expect(page.locator("#standing")).to_contain_text("Position 1")
    assert room.detail("WRIST").reading_state == "unread"


def test_an_administrator_gives_up_another_s_claim(room, go):
    wrist(room)
    reading.claim(room.database, room.id("WRIST"), "anna", room.now)
    page = go("WRIST")

    page.get_by_role("button", name="Release for anna").click()

    expect(page.locator("#done")).to_have_text("Released.")
    expect(page.locator("#act-claim")).to_be_enabled()
    assert room.detail("WRIST").row.claimed_by is None


def test_who_comes_second_is_told_who_has_it(room, go):
    wrist(room)
    page = go("WRIST")
    reading.claim(room.database, room.id("WRIST"), "anna", room.now)

    page.keyboard.press("c")

    expect(page.locator("#refused")).to_have_text("Not claimed: it is claimed by anna")
    expect(page.locator("#claimed")).to_have_text("Claimed by anna")
    expect(page.locator("#act-normal")).to_be_disabled()


def test_a_view_that_arrives_is_shown_and_what_the_reader_has_zoomed_stays(room, go):
    wrist(room)
    page = go("WRIST")
    page.locator("figure .window").first.focus()
    page.keyboard.press("+")
    zoomed = scale(page)

    room.receive("WRIST", studies.picture(3), 3, **WRIST)
    room.score(0.875, maps=[coarse(HOT)])

    expect(page.locator("figure")).to_have_count(3)
    expect(page.locator("figcaption").nth(2)).to_contain_text("0.875")
    expect(page.get_by_label("View 3 alone")).to_be_visible()
    expect(page.locator("#done")).to_contain_text("Reopened by a new image")
    assert scale(page) == zoomed
    page.keyboard.press("m")
    expect(page.locator("img.map")).to_have_count(3)


def test_what_is_laid_over_the_views_is_renewed_when_a_stronger_map_comes(room, go):
    wrist(room)
    page = go("WRIST")
    page.keyboard.press("m")
    expect(page.locator("img.map")).to_have_count(2)
    before = sources(page, "img.map")
    scale_before = page.locator("#legend .figures").inner_text()

    room.receive("WRIST", studies.picture(3), 3, **WRIST)
    room.score(0.875, maps=[coarse(4 * HOT)])
    look_again(page)

    expect(page.locator("img.map")).to_have_count(3)
    assert not set(before) & set(sources(page, "img.map")), "their colours are of the new scale"
    expect(page.locator("#legend .figures")).not_to_have_text(scale_before)


def test_other_pixels_under_the_same_uid_take_the_place_of_the_former(room, go):
    uids = wrist(room)
    page = go("WRIST")
    page.keyboard.press("2")
    page.keyboard.press("m")
    expect(page.locator("img.map")).to_have_count(2)
    pictures, maps = sources(page, "img.pixels"), sources(page, "img.map")

    room.receive("WRIST", studies.picture(9)[:100, :80], 2, **WRIST)
    room.score(0.875, maps=[coarse(HOT)])
    look_again(page)

    expect(page.locator("figcaption").nth(1)).to_contain_text("0.875")
    page.wait_for_function("() => document.querySelectorAll('img.pixels')[1].naturalHeight === 100")
    expect(page.locator("img.map")).to_have_count(2)
    again = sources(page, "img.pixels")
    assert (again[0] == pictures[0], again[1] == pictures[1]) == (True, False)
    assert sources(page, "img.map")[1] != maps[1]
    expect(page.locator("figure.alone")).to_have_attribute("data-number", "2")
    assert len(uids) == 2


def test_a_study_that_came_back_waits_since_it_came_back(room, go):
    wrist(room)
    reading.mark_read(room.database, room.id("WRIST"), "anna", "normal", room.now)
    with room.database.writing() as connection:
        connection.execute(update(study).values(received_at=room.now - timedelta(days=300)))
    room.receive("WRIST", studies.picture(3), 3, **WRIST)

    page = go("WRIST")

    expect(page.locator("[data-since]")).to_have_text(re.compile(r"^(< )?\d min$"))


def test_the_preliminary_reading_is_the_site_s_text_below_its_mark_and_is_copied(
    room, browser, daemon, go
):
    wrist(room)
    with reader_at(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        go("WRIST", page)
        page.get_by_role("button", name="Copy the text").click()
        expect(page.locator("#done")).to_contain_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")

    assert copied == (
        "PRELIMINARY, computed by net 1, to be confirmed by a radiologist\n\n"
        f"{room.detail('WRIST').row.patient_name}: left wrist, <b>2</b> views."
    )


def test_times_are_those_of_the_reader_s_clock(room, go):
    wrist(room)
    page = go("WRIST")

    arrived = page.locator("#history time").first
    expect(arrived).to_have_attribute("title", re.compile("GMT-[45]|E[DS]T"))
    expect(page.locator("[data-since]")).to_have_text(re.compile(r"^\d+ min$"))


def test_what_a_sender_wrote_is_text_and_nothing_more(room, go):
    room.receive(
        *("EVIL", studies.picture(1)),
        **WRIST,
        PatientName="<img src>\u202e^<script>alert(1)</script>",
        StudyDescription="<b>&amp;",
    )
    page = go("EVIL")

    expect(page.locator("h1")).to_contain_text("<img src>\\u202e, <script>alert(1)</script>")
    expect(page.locator("#standing")).to_contain_text("<b>&amp;")


def test_a_page_that_may_be_out_of_date_says_so_until_it_is_not(room, go):
    wrist(room)
    page = go("WRIST")
    page.keyboard.press("c")
    expect(page.locator("#done")).to_have_text("Claimed.")
    here = re.compile("/studies/")

    page.route(here, lambda route: route.abort())
    look_again(page)
    expect(page.locator("#stale")).to_contain_text("may be out of date")
    expect(page.locator("#done")).to_have_text("Claimed.")
    page.unroute(here)
    look_again(page)
    expect(page.locator("#stale")).to_have_text("")


def test_who_asks_for_what_is_not_there_is_told(room, page, daemon):
    answer = page.goto(address(daemon, "NOWHERE"))

    assert answer.status == 404
    expect(page.locator("h1")).to_contain_text("No study is known by")
    assert barriers(page) == []


def test_an_error_is_a_page_that_leads_back(room, page, daemon):
    answer = page.goto(address(daemon, "X").partition("/studies/")[0] + "/nowhere")

    assert answer.status == 404
    assert barriers(page) == []
    page.get_by_role("link", name="To the worklist").click()
    expect(page).to_have_title(re.compile("Reading worklist"))


def test_a_study_that_is_looked_at_is_written_down_once(room, go, page):
    wrist(room)
    before = len(trail(room, "shown"))
    go("WRIST")
    page.keyboard.press("m")
    for status in (200, 304):  # it knows the answer by then, and nothing is new
        with page.expect_response(lambda answer, status=status: answer.status == status):
            look_again(page)

    assert len(trail(room, "shown")) == before + 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, TABLET], ids=["desk", "tablet"])
def test_nothing_serious_stands_in_the_way_of_any_reader(room, browser, go, scheme, size):
    wrist(room)
    with reader_at(browser, viewport=size, color_scheme=scheme) as page:
        go("WRIST", page)
        page.keyboard.press("m")
        expect(page.locator("img.map")).to_have_count(2)

        assert barriers(page) == []
        # Nothing has to be moved sideways to be seen.
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
