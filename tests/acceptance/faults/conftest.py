"""What the fault injection shares: a department's studies, the run without faults, the table."""

import json

import pytest

from tests.support import department as department_of
from tests.support.daemon import daemon_in
from tests.support.invariants import Worklist, examine, settle, worklist_of
from tests.support.once import once
from tests.support.sender import StubbornSender
from tests.support.tally import Tally

TALLY = pytest.StashKey[Tally]()
SMALL, LARGE = 8, 64  # studies


def pytest_configure(config):
    config.stash[TALLY] = Tally()


def pytest_terminal_summary(terminalreporter, config):
    if table := config.stash[TALLY].table():
        terminalreporter.section("faults")
        for line in table:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def department(tmp_path_factory):
    """The objects of eight studies, in the order in which they are sent."""
    return department_of.write(tmp_path_factory.mktemp("department") / "objects", SMALL)


@pytest.fixture(scope="session")
def hospital(tmp_path_factory):
    """The objects of many more."""
    return department_of.write(tmp_path_factory.mktemp("hospital") / "objects", LARGE, name="HOSP")


def run_undisturbed(folder, samples, model):
    """Return the worklist when nothing goes wrong."""
    with daemon_in(folder, model__path=model) as daemon:
        sender = StubbornSender(daemon.port, samples, pause=0)
        try:
            sender.join(120)
        finally:
            sender.end()
        left = settle(daemon, 120)
        assert left == []
        assert len(sender.acknowledged) == len(samples)
        worklist = worklist_of(daemon)
        daemon.stop()
    return worklist


@pytest.fixture(scope="session")
def undisturbed(department, random_model, tmp_path_factory):
    """The worklist of the department when nothing goes wrong."""
    return undisturbed_once("department", department, random_model, tmp_path_factory)


@pytest.fixture(scope="session")
def undisturbed_hospital(hospital, random_model, tmp_path_factory):
    """Likewise of the hospital."""
    return undisturbed_once("hospital", hospital, random_model, tmp_path_factory)


def undisturbed_once(name, samples, model, factory):
    """Return what another process of this run has found, or find it."""

    def find(path):
        worklist = run_undisturbed(factory.mktemp("undisturbed"), samples, model)
        views = [[*view, *outcome] for view, outcome in worklist.views.items()]
        path.write_text(json.dumps({"rows": worklist.rows, "views": views}), "utf-8")

    found = json.loads(once(factory, f"{name}.json", find).read_text("utf-8"))
    views = {(sop, frame): (state, score) for sop, frame, state, score in found["views"]}
    return Worklist(rows=found["rows"], views=views)


@pytest.fixture
def tally(request):
    return request.config.stash[TALLY]


@pytest.fixture
def verify(tally, department, undisturbed):
    """Return the function that looks at everything that must hold, and notes it in the table."""

    def verify(fault, daemon, acknowledged, *, times=1, among=(), expected=None, **options):
        findings = examine(
            daemon, among or department, acknowledged, expected or undisturbed, **options
        )
        database = "SQLite" if daemon.url.startswith("sqlite") else "PostgreSQL"
        tally.add(fault, database, times, findings)
        assert findings.wrong == [], daemon.tail()
        return findings

    return verify
