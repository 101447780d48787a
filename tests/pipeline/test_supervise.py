"""The daemon's side of the scoring process, called as the daemon calls it."""

import sys

import pytest

from tests.support.waiting import wait_until
from triage.core.tally import Tally
from triage.pipeline.channel import ScorerState
from triage.pipeline.supervise import Supervisor
from triage.settings import Settings
from triage.store import schema
from triage.store.database import Database


@pytest.fixture
def supervisor(tmp_path, migrated):
    database = Database(migrated("sqlite"))
    schema.require_latest(database)
    settings = Settings.model_validate(
        {
            "database": {"url": database.url},
            "spool": {"directory": str(tmp_path)},
            "model": {"path": str(tmp_path / "none.safetensors")},
        }
    )
    supervisor = Supervisor(settings, database, Tally())
    yield supervisor
    supervisor.stop()
    database.close()


def test_where_no_process_can_be_started_it_is_tried_again(supervisor, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/nonexistent/python")
        supervisor.tick()
    assert supervisor.state is ScorerState.RESTARTING

    def has_spoken():
        supervisor.tick()
        return supervisor.state is ScorerState.NO_MODEL

    wait_until(has_spoken, "a scoring process", seconds=60, every=0.2)
