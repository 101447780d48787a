"""The stream of changes: every page has the worklist, whoever is slow, whoever goes, whatever fails."""

import asyncio
import json
import threading

import pytest

from tests.support.store import Store, at
from triage.errors import DatabaseUnavailable
from triage.store import queries, reading, schema
from triage.store.database import Database
from triage.web import feed as feeds
from triage.web.feed import Feed

PATIENCE = 20.0  # seconds


@pytest.fixture
def store(database_url):
    database = Database(database_url)
    schema.upgrade(database)
    yield Store(database)
    database.close()


@pytest.fixture
def feed(store, monkeypatch):
    monkeypatch.setattr(feeds, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(feeds, "REST", 1)
    monkeypatch.setattr(feeds, "RETRY_EVERY", 0.1)
    feed = Feed(store.database)
    feed.start()
    yield feed
    feed.stop()


class Page:
    """What a page makes of the events."""

    def __init__(self, feed):
        self._events = feed.events()
        self.rows = []
        self.numbers = []

    async def hear(self):
        """Take in the next event; return its data, or None at the end."""
        event = await asyncio.wait_for(anext(self._events, None), PATIENCE)
        if event is None:
            return None
        fields = dict(line.split(": ", 1) for line in event.decode().strip().split("\n"))
        if "data" not in fields:
            return {"all": False, "gone": [], "rows": []}
        assert fields["event"] == "worklist"
        self.numbers.append(int(fields["id"].partition("-")[2]))
        said = json.loads(fields["data"])
        away = {*said["gone"], *(row["study_instance_uid"] for row in said["rows"])}
        kept = [row for row in self.rows if row["study_instance_uid"] not in away]
        self.rows = [] if said["all"] else kept
        for row in said["rows"]:
            self.rows.insert(row["position"] - 1, row)
        return said

    async def hear_until(self, reached):
        while not reached([row["study_instance_uid"] for row in self.rows]):
            assert await self.hear() is not None, "the stream ended"

    async def leave(self):
        await self._events.aclose()


def test_a_page_is_told_the_worklist_and_then_what_changes(feed, store):
    async def follow():
        store.file("1.1")
        page = Page(feed)
        first = await page.hear()
        assert (first["all"], len(first["rows"])) == (True, 1)
        store.file("1.2", seconds=1)
        store.score(0.9, seconds=2)
        await page.hear_until(lambda uids: len(uids) == 2)
        await asyncio.to_thread(
            reading.mark_read, store.database, store.id("1.1"), "ada", None, at(5)
        )
        await page.hear_until(lambda uids: uids == ["1.2"])
        assert page.numbers == sorted(page.numbers)
        await page.leave()

    asyncio.run(follow())


def test_an_empty_worklist_is_told_too(feed):
    async def follow():
        page = Page(feed)
        assert await page.hear() == {"all": True, "gone": [], "rows": []}
        await page.leave()

    asyncio.run(follow())


def test_a_page_that_comes_later_is_told_how_it_is_and_not_how_it_was(feed, store):
    async def follow():
        store.file("1.1")
        page = Page(feed)
        await page.hear()
        await page.leave()
        while feed.pages:
            await asyncio.sleep(0.01)
        reading.mark_read(store.database, store.id("1.1"), "ada", None, at(5))
        store.file("1.2", seconds=9)
        later = Page(feed)
        first = await later.hear()
        assert [row["study_instance_uid"] for row in first["rows"]] == ["1.2"]
        await later.leave()

    asyncio.run(follow())


def test_a_page_that_comes_in_a_quiet_hour_is_told_how_long_the_studies_have_waited_by_then(
    feed, store, monkeypatch
):
    monkeypatch.setattr(feeds, "FRESH", 0.5)

    async def follow():
        store.file("1.1")
        pages, waits = [], []
        for _ in range(3):
            pages.append(Page(feed))
            said = await pages[-1].hear()
            assert said["all"]
            waits.append(said["rows"][0]["waiting_seconds"])
            await asyncio.sleep(1)
        assert waits[1] >= waits[0] + 1
        assert waits[2] >= waits[1] + 1
        for page in pages:
            await page.leave()

    asyncio.run(follow())


def test_fifty_pages_that_come_and_go_all_have_the_worklist_while_others_write(feed, store):
    def write():
        for number in range(12):
            store.file(f"1.{number}", seconds=number)
            store.score(number % 10 / 10, seconds=number)
            if number % 4 == 3:
                study = store.id(f"1.{number - 1}")
                reading.mark_read(store.database, study, "ada", None, at(number))
        store.file("1.99", seconds=99)

    async def follow():
        pages = []
        writer = threading.Thread(target=write)
        writer.start()
        for number in range(50):
            pages.append(Page(feed))
            await pages[-1].hear()
            if number % 5 == 4:
                await pages.pop(0).leave()
        await asyncio.gather(*(page.hear_until(lambda uids: "1.99" in uids) for page in pages))
        writer.join()
        store_uids = [row.study_instance_uid for row in queries.worklist(store.database)]
        for page in pages:
            await page.hear_until(lambda uids: uids == store_uids)
            await page.leave()

    asyncio.run(follow())


def test_a_page_that_takes_nothing_is_let_go_and_costs_the_others_nothing(feed, store, monkeypatch):
    monkeypatch.setattr(feeds, "BEHIND", 5)

    async def follow():
        slow, quick = Page(feed), Page(feed)
        await slow.hear()
        await quick.hear()
        for number in range(12):
            await asyncio.to_thread(store.file, f"1.{number}", seconds=number)
            await quick.hear_until(lambda uids, number=number: f"1.{number}" in uids)
        heard = 0
        while await slow.hear() is not None:
            heard += 1
        assert heard <= 5
        await quick.leave()

    asyncio.run(follow())


def test_a_page_hears_that_we_are_there_while_nothing_changes(feed, monkeypatch):
    monkeypatch.setattr(feeds, "PING_EVERY", 0.05)

    async def follow():
        events = feed.events()
        while not (await asyncio.wait_for(anext(events), PATIENCE)).startswith(b"id: "):
            pass  # on a busy machine the first look takes longer than that
        assert await asyncio.wait_for(anext(events), PATIENCE) == feeds.PING
        await events.aclose()

    asyncio.run(follow())


def take_worklist_away(database):
    """Make every look at the worklist fail; return the statement that brings it back."""
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("ALTER VIEW worklist RENAME TO away")
            return "ALTER VIEW away RENAME TO worklist"
        found = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'worklist'")
        back = found.scalar_one()
        connection.exec_driver_sql("DROP VIEW worklist")
        return back


def test_while_the_database_is_away_streams_end_and_then_they_begin_anew(feed, store):
    async def follow():
        page = Page(feed)
        await page.hear()
        back = await asyncio.to_thread(take_worklist_away, store.database)
        while await page.hear() is not None:
            pass
        assert await Page(feed).hear() is None
        with store.database.writing() as connection:
            connection.exec_driver_sql(back)
        store.file("1.1")
        again = Page(feed)
        while (said := await again.hear()) is None:  # it may have come before the next look
            again = Page(feed)
        assert [row["study_instance_uid"] for row in said["rows"]] == ["1.1"]
        await again.leave()

    asyncio.run(follow())


def test_when_the_feed_stops_every_stream_ends(feed, store):
    async def follow():
        pages = [Page(feed) for _ in range(3)]
        for page in pages:
            await page.hear()
        feed.stop()
        for page in pages:
            while await page.hear() is not None:
                pass
        late = Page(feed)
        while await late.hear() is not None:
            pass

    asyncio.run(follow())


def test_the_event_loop_never_waits_for_the_database(feed, store, monkeypatch):
    """A page may leave while a look at the worklist hangs."""
    goes_on = threading.Event()

    async def follow():
        page, other = Page(feed), Page(feed)
        await page.hear()
        await other.hear()
        hanging = threading.Event()

        def hang(connection):
            hanging.set()
            goes_on.wait(PATIENCE)

        monkeypatch.setattr(feed._watch, "look", hang)
        await asyncio.to_thread(hanging.wait, PATIENCE)
        begun = asyncio.get_running_loop().time()
        await page.leave()
        late = asyncio.create_task(Page(feed).hear())
        await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() - begun < PATIENCE / 2
        assert (await late)["all"]
        goes_on.set()
        await other.leave()

    try:
        asyncio.run(follow())
    finally:
        goes_on.set()


def told_once(event):
    fields = dict(line.split(": ", 1) for line in event.decode().strip().split("\n"))
    said = json.loads(fields["data"])
    assert said["all"]
    return fields["id"], [row["study_instance_uid"] for row in said["rows"]]


def test_who_asks_once_is_told_what_there_is_and_no_more(feed, store, monkeypatch):
    monkeypatch.setattr(feeds, "PING_EVERY", PATIENCE)

    async def ask():
        store.file("1.1")
        listener = Page(feed)  # so that the feed goes on looking
        await listener.hear()
        name, uids = told_once(await feed.once())
        assert uids == ["1.1"]
        assert await feed.once(name) is None
        store.file("1.2", seconds=1)
        await listener.hear_until(lambda uids: len(uids) == 2)
        again, uids = told_once(await feed.once(name))
        assert (again != name, uids) == (True, ["1.1", "1.2"])
        await listener.leave()

    asyncio.run(ask())


def test_who_asks_once_is_told_when_nobody_listens(feed, store):
    store.file("1.1")
    name, uids = told_once(asyncio.run(feed.once()))
    assert uids == ["1.1"]
    other = Feed(store.database)
    other.start()
    assert asyncio.run(other.once(name)) is not None, "of another process"
    other.stop()


def test_who_asks_once_hears_that_the_database_is_away(feed, store):
    store.database.close()
    with store.database.writing() as connection:
        connection.exec_driver_sql("DROP VIEW worklist")

    with pytest.raises(DatabaseUnavailable):
        asyncio.run(feed.once())
