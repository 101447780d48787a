"""Two readers at one worklist, each in a browser of their own."""

import pytest
from playwright.sync_api import expect

from tests.support import studies
from tests.support.browser import reader_at
from tests.support.daemon import HOST, START_WAIT, free_port
from tests.support.store import Store
from triage.store.database import Database

pytestmark = pytest.mark.chromium


@pytest.fixture
def daemon(start_daemon):
    return start_daemon(
        roles="receive,web",
        web__port=free_port(),
        web__proxy_addresses=["127.0.0.1"],
        web__proxy_header="X-Remote-User",
        study__quiet=10**8,
        study__limit=10**8,
    )


def test_of_two_who_claim_at_once_one_wins_and_the_other_is_told(daemon, browser):
    database = Database(daemon.url)
    store = Store(database)
    uid = studies.study_uid("RACE")
    store.file(uid, accession_number="RACE")
    address = f"http://{HOST}:{daemon.wait_for('web_ready', seconds=START_WAIT)['port']}/"
    with (
        reader_at(browser, extra_http_headers={"X-Remote-User": "ada"}) as ada,
        reader_at(browser, extra_http_headers={"X-Remote-User": "bob"}) as bob,
    ):
        pages = {"ada": ada, "bob": bob}
        for page in pages.values():
            page.goto(address)
            expect(page.locator("tr.study")).to_contain_text("RACE")
            page.keyboard.press("Home")
        # Each browser is told to press before either has been heard.
        for page in pages.values():
            page.evaluate(
                "setTimeout(() => document.querySelector('[data-act=claim]').click(), 500)"
            )

        winner = None
        for name, page in pages.items():
            expect(page.locator("#done, #refused").filter(has_text="RACE")).to_have_count(1)
            if page.locator("#done").inner_text():
                assert winner is None
                winner = name
        loser = next(name for name in pages if name != winner)
        expect(pages[winner].locator("#done")).to_have_text("Hand RACE: claimed.")
        expect(pages[loser].locator("#refused")).to_have_text(
            f"Not claimed: Hand RACE: it is claimed by {winner}."
        )
        expect(pages[winner].locator("td.reader")).to_have_text("You")
        expect(pages[loser].locator("td.reader")).to_have_text(winner)
        assert store.row(uid).claimed_by == winner
        # What the winner does, the other sees.
        pages[winner].keyboard.press("r")
        expect(pages[loser].locator("td.reader")).to_have_text("")
        pages[loser].keyboard.press("c")
        expect(pages[winner].locator("td.reader")).to_have_text(loser)
    database.close()
