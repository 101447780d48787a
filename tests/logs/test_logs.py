"""One JSON document a line, whoever logs."""

import json
import os
import subprocess
import sys

SCRIPT = """
import logging, warnings
from triage import logs
logs.configure(level="info")
import triage.app  # pydicom sets the level of its logger when it is imported
log = logs.get("test")
log.info("stored", study_instance_uid="1.2", size=3)
log.debug("not shown")
logging.getLogger("sqlalchemy.pool").warning("a library's %s", "word")
warnings.warn("Doe^Jane is no valid name")
logging.getLogger("pydicom").warning("Doe^Jane")
logging.getLogger("pynetdicom").error("Doe^Jane")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def test_every_line_is_one_json_document_with_time_and_level():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]

    assert done.stdout == ""
    assert [line["event"] for line in lines] == ["stored", "a library's word", "failed"]
    assert lines[0]["study_instance_uid"] == "1.2"
    assert all(line["timestamp"].endswith("Z") and line["level"] for line in lines)
    assert "ZeroDivisionError" in lines[2]["exception"]


def test_what_a_library_says_of_a_data_set_stays_out():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )

    assert "Doe" not in done.stderr


HOSTILE = """
from triage import logs
logs.configure(level="info")
log = logs.get("test")
log.warning("association_refused", calling_ae_title="A\\x1b]0;t\\x07\\n\\x7f")
"""


def test_on_a_terminal_no_field_of_an_event_commands_it():
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run([sys.executable, "-c", HOSTILE], stderr=theirs, check=False)
        os.close(theirs)
        shown = terminal.read(10_000)

    assert done.returncode == 0
    assert rb"A\u001b]0;t\u0007\u000a\u007f" in shown


def test_in_json_no_field_of_an_event_holds_a_control_character():
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE], capture_output=True, text=True, check=True
    )

    (line,) = done.stderr.splitlines()
    assert line.isprintable()
    assert json.loads(line)["calling_ae_title"] == "A\x1b]0;t\x07\n\x7f"
