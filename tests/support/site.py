"""The web application around a real database and spool, asked without a daemon or a port."""

import math
from contextlib import contextmanager

from fastapi.testclient import TestClient

from tests.support.store import Store
from triage.settings import Settings
from triage.store import schema
from triage.store.database import Database
from triage.store.spool import Spool
from triage.web.app import make_app
from triage.web.condition import Condition
from triage.web.feed import Feed
from triage.web.site import Site

WELL = Condition(
    roles=("receive", "score", "web"),
    receiver="receiving",
    scorer="ready",
    at=math.inf,  # it never grows stale
    model={"name": "reference 1.0", "sha256": "ab" * 32, "backend": "torch", "device": "cpu"},
)


@contextmanager
def site_in(folder, url, **sections):
    """Yield a site whose daemon is well, with `app`, `store` and a loopback `client` on it."""
    spool = Spool(folder / "spool", 0)
    spool.prepare()
    settings = Settings.model_validate(
        {
            "database": {"url": url},
            "spool": {"directory": str(spool.directory), "min_free": 0},
            **sections,
        }
    )
    database = Database(url)
    schema.upgrade(database)
    feed = Feed(database)
    site = Site(settings=settings, database=database, spool=spool, feed=feed, condition=WELL)
    site.store = Store(database)
    site.app = make_app(site)
    site.client = loopback_client(site.app)
    feed.start()
    try:
        yield site
    finally:
        feed.stop()
        database.close()


def loopback_client(app):
    return TestClient(
        app,
        base_url="http://127.0.0.1:8042",
        client=("127.0.0.1", 50000),
        raise_server_exceptions=False,
    )
