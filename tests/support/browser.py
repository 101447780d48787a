"""A browser as the readers have one: Debian's Chromium, driven by Playwright."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.support.requirements import find_program

DESK, TABLET = {"width": 1280, "height": 800}, {"width": 768, "height": 1024}
ZONE = "America/New_York"  # of the readers; no machine that runs the tests is set to it
PATIENCE = 60_000.0  # milliseconds; a busy machine draws late


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser. Nothing in this process may run an event loop meanwhile."""
    program = find_program("chromium")
    assert program is not None
    # Its sandbox refuses to work for root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def reader_at(browser: Browser, **options: Any) -> Iterator[Page]:
    """Seat a reader before a page of their own: cookies, storage and zone.

    Whatever the page complains of fails the test, a breach of the content's policy too.
    """
    settings = {"viewport": DESK, "timezone_id": ZONE, "locale": "en-GB", **options}
    # Without a graphics card, what fades costs a core as long as it does.
    context = browser.new_context(reduced_motion="reduce", **settings)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        # What the server answers and what the network does is said here too; tests look at that.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
    finally:
        context.close()
    assert not complaints, complaints


def barriers(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical for who cannot see or point."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes'][:3]]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
