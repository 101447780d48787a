"""`triage bench`: real daemons, real senders, a little of each."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from tests.support.daemon import environment
from tests.support.processes import decoders_of, naming
from tests.support.waiting import wait_until
from triage import bench as measuring
from triage.bench import decoding, objects, receiving, together
from triage.errors import DecodersUnavailable

SPEC = importlib.util.spec_from_loader("openvino", loader=None)


@pytest.fixture
def little(monkeypatch):
    """Measure in seconds what takes minutes."""
    from triage.bench import scoring  # torch takes seconds

    monkeypatch.setattr(objects, "LARGE", (625, 500))
    monkeypatch.setattr(receiving, "COUNTS", {"small": 6, "large": 2})
    monkeypatch.setattr(receiving, "SENDERS", (2,))
    monkeypatch.setattr(decoding, "SECONDS", 0.1)
    monkeypatch.setattr(scoring, "SECONDS", 0.1)
    monkeypatch.setattr(scoring, "BATCHES", (2,))
    monkeypatch.setattr(together, "LONE_STUDIES", 1)
    monkeypatch.setattr(together, "STUDIES", 2)
    monkeypatch.setattr(together, "SENDERS", 1)


def test_every_stage_is_measured_and_the_slowest_named(triage, little, random_model, tmp_path):
    from triage.model.scorer import Scorer  # torch takes seconds

    code, out, err = triage("bench", "--model", random_model, "--directory", tmp_path, "--json")

    assert code == 0, err
    report = json.loads(out)
    assert [(one["objects"], one["senders"], one["count"]) for one in report["receiving"]] == [
        ("small", 2, 6),
        ("large", 2, 2),
    ]
    assert all(
        one["per_second"] == pytest.approx(one["count"] / one["seconds"])
        for one in report["receiving"]
    )
    assert report["decoding"][0]["name"] == "Explicit VR Little Endian"
    assert len({one["uid"] for one in report["decoding"]}) > 4
    engines = {(one["backend"], one["precision"]) for one in report["scoring"]}
    assert ("torch", "float32") in engines
    # And as many as pass the engine together in the daemon.
    own = Scorer(random_model).batch
    assert {one["batch"] for one in report["scoring"] if one["chosen"]} == {2, own}
    assert report["together"]["views"] == 6
    assert report["capacity"]["limit"] in ("receiving", "decoding", "scoring")
    assert report["capacity"]["limit"] in report["capacity"]["sentence"]
    assert "MB, uncompressed) an hour" in report["capacity"]["sentence"]
    slowest = min(report["decoding"], key=lambda one: one["per_second"])
    assert f"of {slowest['name']}, the slowest to decode" in report["capacity"]["sentence"]
    assert report["capacity"]["slowest_per_hour"] < report["capacity"]["studies_per_hour"]
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_fails_costs_what_comes_after_it_alone(triage, little, tmp_path, monkeypatch):
    def fail(*_):
        raise DecodersUnavailable("none starts")

    monkeypatch.setattr(decoding, "measure", fail)

    code, out, err = triage("bench", "--directory", tmp_path, "--json")

    assert (code, "it ended before its last part: none starts" in err) == (1, True)
    report = json.loads(out)
    assert len(report["receiving"]) == 2
    assert (report["decoding"], report["together"], report["broken"]) == ([], None, "none starts")
    assert list(tmp_path.iterdir()) == []


def test_an_engine_that_fails_is_listed_with_its_reason(
    triage, little, random_model, tmp_path, monkeypatch
):
    monkeypatch.delitem(sys.modules, "triage.model.engines.openvino", raising=False)
    # Found where it is looked for, and then none of its parts can be loaded, whatever was before.
    for name in [each for each in sys.modules if each.startswith("openvino.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openvino", importlib.util.module_from_spec(SPEC))
    # The parts beside it are measured in the first test.
    native = decoding.Decoded(uid="1.2", name="native", bytes=10, per_second=9.0)
    monkeypatch.setattr(decoding, "measure", lambda *_: [native])
    whole = together.Together(lone_milliseconds=9.0, studies=1, views=1, seconds=1.0)
    monkeypatch.setattr(together, "measure", lambda *_: whole)

    code, out, err = triage("bench", "--model", random_model, "--directory", tmp_path)

    assert code == 0, err
    assert "openvino float32 on cpu fails: " in out
    assert "OpenVINO is installed and cannot be loaded" in out
    assert "This machine carries" in out


@pytest.mark.soak  # by the clock: it dies while its row is measured, and not before
def test_a_decoder_that_dies_costs_its_row_alone(
    triage, little, random_model, tmp_path, monkeypatch
):
    monkeypatch.setattr(decoding, "SECONDS", 3.0)  # and so it dies while it works

    def kill():
        # The last that is written before the first is measured.
        wait_until(lambda: any(tmp_path.glob("*/decoding/*.4.90.dcm")), "it decodes", seconds=90)
        time.sleep(1)
        for decoder in decoders_of(os.getpid()):
            os.kill(decoder, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    code, out, err = triage("bench", "--model", random_model, "--directory", tmp_path)
    killer.join()

    assert code == 0, err
    assert re.search(r"Explicit VR Little Endian: .*signal 9", out)
    assert re.search(r"JPEG 2000 .*\d +\d+\.\d *\n", out)
    assert "This machine carries" in out


@pytest.mark.soak
@pytest.mark.postgres
def test_the_site_s_postgresql_is_measured_in_a_place_of_its_own(
    triage, little, new_database, tmp_path, monkeypatch
):
    url = new_database("postgres")
    monkeypatch.setenv("TRIAGE_DATABASE__URL", url)

    code, out, err = triage("bench", "--directory", tmp_path)

    assert code == 0, err
    assert "PostgreSQL" in out
    assert "small" in out
    assert "JPEG 2000" in out
    assert "Nothing was scored" in err
    assert "model.path is empty" in err
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        left = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'triage%'"
        ).fetchall()
    assert (left, schemas) == ([], [])


def test_a_place_that_will_not_do_is_refused_before_anything_is_measured(
    triage, tmp_path, monkeypatch
):
    monkeypatch.setattr(measuring, "NEEDED", 10**18)
    code, _, err = triage("bench", "--directory", tmp_path)
    assert code == 2
    assert "--directory" in err
    assert "GB free" in err

    code, _, err = triage("bench", "--directory", tmp_path / "absent")
    assert code == 2
    assert f"{tmp_path / 'absent'}: No such file or directory" in err


@pytest.mark.parametrize("named", ["option", "setting"])
def test_a_model_that_cannot_be_used_is_refused_before_anything_is_measured(
    triage, tmp_path, monkeypatch, named
):
    absent = tmp_path / "absent.safetensors"
    monkeypatch.setattr(receiving, "measure", lambda *_: pytest.fail("it measures"))
    if named == "setting":
        monkeypatch.setenv("TRIAGE_MODEL__PATH", str(absent))
    options = ["--model", absent] if named == "option" else []

    code, out, err = triage("bench", "--directory", tmp_path, *options)

    assert (code, out) == (1, "")
    assert f"{absent}: there is no such file; name a checkpoint that is there" in err
    assert list(tmp_path.iterdir()) == []


def test_where_the_daemon_does_not_start_it_says_why_and_leaves_nothing(
    triage, tmp_path, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("triage.quickstart.daemon._free_port", lambda: taken.getsockname()[1])
        code, _, err = triage("bench", "--directory", tmp_path)

    assert code == 1
    assert "the daemon ended" in err
    assert list(Path(tmp_path).iterdir()) == []


@pytest.fixture
def begun(tmp_path):
    """Return a function that starts the command itself in *tmp_path*."""
    running = []

    def begin(**settings):
        process = subprocess.Popen(
            [sys.executable, "-m", "triage", "bench", "--directory", tmp_path],
            env=environment() | settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # As a terminal starts it; who runs the tests may have it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
    for left in naming(tmp_path):
        os.kill(left, signal.SIGKILL)


def receives(folder):
    logs = folder.glob("triage-bench-*/receiving/daemon.log")
    return any('"ready"' in log.read_text() for log in logs)


def begins(folder):
    return any(folder.glob("triage-bench-*/receiving"))


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param(receives, signal.SIGTERM, id="killed as it receives"),
        pytest.param(begins, signal.SIGHUP, id="terminal gone as the daemon starts"),
        # The same two, crossed.
        pytest.param(receives, signal.SIGHUP, marks=pytest.mark.soak),
        pytest.param(begins, signal.SIGTERM, marks=pytest.mark.soak),
    ],
)
def test_whoever_ends_it_leaves_neither_a_daemon_nor_a_folder(begun, tmp_path, number, moment):
    process = begun()
    wait_until(lambda: moment(tmp_path), "it works")
    process.send_signal(number)

    assert process.wait(60) == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert naming(tmp_path) == []


@pytest.mark.postgres
def test_whoever_ends_it_leaves_nothing_in_the_site_s_postgresql(begun, new_database, tmp_path):
    url = new_database("postgres")
    process = begun(TRIAGE_DATABASE__URL=url)
    wait_until(lambda: receives(tmp_path), "it receives")
    process.terminate()

    assert process.wait(60) == 128 + signal.SIGTERM
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        assert not connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'triage%'"
        ).fetchall()
