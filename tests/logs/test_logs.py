"""One JSON document a line, whoever logs."""

import json
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
