"""The guides speak of what there is: codes, events, states, files, settings."""

import ast
import re
from pathlib import Path

import pytest

from triage import configuration, settings
from triage.core.reasons import Code
from triage.core.study import StudyStatus
from triage.pipeline.channel import ScorerState

REPOSITORY = Path(__file__).parents[2]
OPERATIONS = (REPOSITORY / "deploy/OPERATIONS.md").read_text("utf-8")
INSTALL = (REPOSITORY / "deploy/INSTALL.md").read_text("utf-8")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged_events() -> set[str]:
    """Return the names of all events that the package logs."""
    calls = (
        node
        for path in (REPOSITORY / "triage").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    )
    return {
        call.args[0].value
        for call in calls
        if call.func.attr in LEVELS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "log"
        and isinstance(call.args[0], ast.Constant)
    }


@pytest.mark.parametrize("code", Code)
def test_every_reason_code_is_explained(code):
    assert f"\n| `{code}` |" in OPERATIONS


def test_no_reason_code_is_explained_that_does_not_exist():
    table = OPERATIONS.split("\n| code | means | do |\n", 1)[1].split("\n\n", 1)[0]

    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Code)


def test_every_log_event_is_explained():
    events = logged_events()

    assert "instance_stored" in events
    assert sorted(event for event in events if f"`{event}`" not in OPERATIONS) == []


@pytest.mark.parametrize("state", [*StudyStatus, *ScorerState])
def test_every_state_is_explained(state):
    assert f"\n| `{state}` |" in OPERATIONS


def test_every_file_that_the_guide_installs_from_exists():
    named = set(re.findall(r"/opt/triage/share/triage/([\w.-]+)", INSTALL))

    assert {"triage.service", "sysusers.conf", "triage.toml"} <= named
    for name in named:
        source = REPOSITORY / ("" if name == "triage.toml" else "deploy") / name
        assert source.is_file(), name


@pytest.mark.parametrize("guide", [INSTALL, OPERATIONS], ids=["INSTALL", "OPERATIONS"])
def test_every_page_that_a_guide_names_exists(guide):
    for name in re.findall(r"`([A-Z]+\.md)`", guide):
        assert (REPOSITORY / "deploy" / name).is_file(), name


@pytest.mark.parametrize("guide", [INSTALL, OPERATIONS], ids=["INSTALL", "OPERATIONS"])
def test_every_setting_that_a_guide_names_exists(guide):
    sections = settings.Settings.model_fields
    named = re.findall(rf"`({'|'.join(sections)})\.(\w+)(?: = [^`]*)?`", guide)

    assert named
    for section, key in named:
        if key != "safetensors":  # a file
            assert key in sections[section].annotation.model_fields, f"{section}.{key}"


def test_the_settings_that_the_guide_writes_are_valid(tmp_path):
    written = re.findall(r"<<'END'\n(.*?)^END$", INSTALL, re.MULTILINE | re.DOTALL)
    shown = re.findall(r"^```toml\n(.*?)^```$", INSTALL, re.MULTILINE | re.DOTALL)
    path = tmp_path / "triage.toml"

    assert written
    assert shown
    for text in written[:1] + shown:
        path.write_text(text, "utf-8")
        assert configuration.load(path).dicom.port == 11112


def test_the_paths_of_the_guide_lie_where_the_unit_lets_the_daemon_write(tmp_path):
    unit = (REPOSITORY / "deploy/triage.service").read_text("utf-8")
    path = tmp_path / "triage.toml"
    path.write_text(
        re.search(r"<<'END'\n(.*?)^END$", INSTALL, re.MULTILINE | re.DOTALL).group(1), "utf-8"
    )
    loaded = configuration.load(path)

    assert "\nStateDirectory=triage\n" in unit
    assert "\nProtectSystem=strict\n" in unit
    assert loaded.database.url.startswith("sqlite:////var/lib/triage/")
    assert loaded.spool.directory.is_relative_to("/var/lib/triage")
    assert "--config /etc/triage/triage.toml serve" in unit


@pytest.mark.parametrize(
    "guide", sorted((REPOSITORY / "deploy").glob("*.md")), ids=lambda p: p.name
)
def test_nothing_in_a_guide_is_still_to_be_filled_in(guide):
    assert re.findall(r"@@|TODO|FIXME|\bXXX\b", guide.read_text("utf-8")) == []
