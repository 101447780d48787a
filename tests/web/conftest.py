"""A browser for each module; it takes a second to start."""

import pytest

from tests.support.browser import chromium, reader_at


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser):
    """A reader's page, before they have gone anywhere."""
    with reader_at(browser) as page:
        yield page
