"""What the tests share: requirements of the machine, databases, models, daemons."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import triage.model  # noqa: F401  before torch, for what it tells libgomp
from tests.support import postgres
from tests.support.daemon import daemon_in, environment
from tests.support.daemon import free_port as any_free_port
from tests.support.once import once
from tests.support.requirements import REQUIREMENTS, SHARED_DATA, lack, require, under_ci
from triage.model import reference

# Begun first, where several processes share the files: whoever comes to one of these last would
# be busy long after the others are done. The longest is the first.
LONG = (
    "research/test_train.py",
    "cli/test_train_command.py",
    "acceptance/test_what_is_scored.py",
    "test_quickstart.py",
    "acceptance/test_real_input.py",
    "acceptance/test_studies.py",
    "acceptance/test_scorer_dies.py",
    "pipeline/test_decode.py",
    "cli/test_check_command.py",
    "model/test_ensemble.py",
    "model/test_engines.py",
    "acceptance/test_receiving.py",
    "acceptance/faults/test_kills.py",
    "acceptance/faults/test_named_points.py",
    "model/test_conversion.py",
)
SKIPPED = pytest.StashKey[list[str]]()
FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config):
    # Beside other processes of the tests a network's threads would mostly wait for each other,
    # and spend the cores on that; in our daemons as well.
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    # pynetdicom installs a storescu and an echoscu of its own beside our interpreter,
    # and where that folder is on the PATH they would stand in for DCMTK's.
    own = Path(sys.prefix, "bin")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(f for f in folders if Path(f).absolute() != own)
    # A shell starts what runs in its background with Ctrl-C ignored, and every process of the
    # tests would inherit that; those that try an interruption would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[SKIPPED] = []
    config.stash[FIGURES] = []
    config.pluginmanager.register(Books(config))


def pytest_collection_modifyitems(items):
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    for name in REQUIREMENTS:
        if item.get_closest_marker(name):
            require(name)


class Books:
    """What the summary tells, and whether a skip fails; of all processes, where there are several."""

    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            self.config.stash[SKIPPED].append(report.nodeid)
        if report.when == "teardown":
            self.config.stash[FIGURES] += [
                value for name, value in report.user_properties if name == "figure"
            ]


def pytest_sessionfinish(session):
    if under_ci() and session.config.stash[SKIPPED]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    for figure in config.stash[FIGURES]:
        terminalreporter.write_line(figure)
    if not config.stash[SKIPPED]:
        return
    terminalreporter.section("NOT TESTED HERE", sep="!", red=True, bold=True)
    for name in REQUIREMENTS:
        if reason := lack(name):
            terminalreporter.write_line(reason, red=True)
    if under_ci():
        for nodeid in config.stash[SKIPPED]:
            terminalreporter.write_line(f"skipped under CI=true, a failure: {nodeid}", red=True)


@pytest.fixture(autouse=True)
def _no_reference_model(monkeypatch):
    """A test says which model it means; the packaged one would else be there wherever none is."""
    monkeypatch.setattr(reference, "FOLDER", Path("/nonexistent"))


@pytest.fixture(autouse=True)
def _own_umask():
    """A command that is called in this process may narrow it; the next test has the usual one."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def report_figure(request):
    """Return a function that puts a measured figure into the summary."""
    return lambda figure: request.node.user_properties.append(("figure", figure))


@pytest.fixture(scope="session")
def fracatlas():
    """The folder of the FracAtlas radiographs, beside the checkout."""
    require("fracatlas")
    return SHARED_DATA


@pytest.fixture
def free_port():
    """A loopback port that nobody has."""
    return any_free_port()


@pytest.fixture(scope="session")
def postgres_server():
    """A server that the tests share. Whoever cuts it off has one of their own."""
    require("postgres")
    with postgres.running(fsync="off") as server:  # nobody cuts the power
        yield server


@pytest.fixture(scope="session")
def new_database(request, tmp_path_factory):
    """Return a function that makes an empty database of a kind and returns its URL."""

    def new_database(kind):
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('database') / 'triage.db'}"
        return request.getfixturevalue("postgres_server").new_database()

    return new_database


@pytest.fixture(scope="session")
def migrated(request, new_database, tmp_path_factory):
    """Return a function that makes a database of a kind with the schema, and returns its URL."""
    from triage.store import schema  # only some runs need it
    from triage.store.database import Database

    templates = {}

    def template(kind):
        if kind not in templates:
            templates[kind] = new_database(kind)
            database = Database(templates[kind])
            schema.upgrade(database)
            database.close()
        return templates[kind]

    def migrated(kind):
        if kind == "postgres":
            server = request.getfixturevalue("postgres_server")
            return server.new_database(like=template(kind))
        copy = tmp_path_factory.mktemp("database") / "triage.db"
        shutil.copy(template(kind).removeprefix("sqlite:///"), copy)
        return f"sqlite:///{copy}"

    return migrated


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request, new_database):
    """An empty database, once of each kind."""
    return new_database(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def migrated_url(request, migrated):
    """A database with the schema, once of each kind."""
    return migrated(request.param)


@pytest.fixture(scope="session")
def interim_model(fracatlas, tmp_path_factory):
    """The interim weights, imported by the real command."""
    return once(tmp_path_factory, "interim.safetensors", lambda path: _import(fracatlas, path))


def _import(fracatlas, path):
    subprocess.run(
        [
            *(sys.executable, "-m", "triage", "model", "import"),
            *(str(fracatlas / "densenet169-fracatlas-interim.safetensors"), "--out", str(path)),
            *("--name", "fracatlas-interim", "--version", "0.1", "--input-size", "160"),
            *("--training-data", "FracAtlas", "--licence", "CC BY 4.0"),
        ],
        env=environment(),
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="session")
def random_model(tmp_path_factory):
    """A checkpoint of a network that was never trained: quick, and always the same."""
    from tests.support import models  # torch takes seconds, and only some runs need it

    return once(tmp_path_factory, "random.safetensors", models.save_random)


@pytest.fixture(scope="session")
def score_directly():
    """Return the function that scores pictures with nothing of the daemon around the network."""
    from tests.support import models

    return models.score_directly


def _daemons(tmp_path_factory):
    with ExitStack() as running:

        def start(*, roles="receive,score", **settings):
            folder = tmp_path_factory.mktemp("daemon")
            return running.enter_context(daemon_in(folder, roles=roles, **settings))

        yield start


@pytest.fixture
def start_daemon(tmp_path_factory):
    """Return a function that starts a daemon with settings, section__key=value."""
    yield from _daemons(tmp_path_factory)


@pytest.fixture(scope="module")
def start_shared_daemon(tmp_path_factory):
    """Likewise, for a daemon that the tests of a module share."""
    yield from _daemons(tmp_path_factory)
