"""The JSON documents that commands and web interface share.

Missing values are null, moments RFC 3339 in UTC with microseconds and Z, probabilities unrounded.
"""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from triage.core.detail import StudyDetail
from triage.core.printable import printable
from triage.core.worklist import WorklistRow


def timestamp(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def encode(document: Any, *, indent: int | None = None) -> str:
    """Write a document of plain values, moments and paths as JSON.

    Control characters are escaped, whatever a peer has sent: what stands in strings, JSON
    reads back.
    """
    text = json.dumps(document, ensure_ascii=False, indent=indent, default=_plain, allow_nan=False)
    return printable(text, keep="\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def row_document(row: WorklistRow) -> dict[str, Any]:
    """Return a row of the worklist: keys are exactly the columns of the view `worklist`."""
    return dict(vars(row))  # its values are plain, and `asdict` takes ten times as long


def study_document(detail: StudyDetail) -> dict[str, Any]:
    """Return a study: the worklist's columns and what is under them."""
    return {
        **row_document(detail.row),
        "reading_state": detail.reading_state,
        "finding": detail.finding,
        "groups": [dataclasses.asdict(group) for group in detail.groups],
        "instances": [dataclasses.asdict(instance) for instance in detail.instances],
        "history": [dataclasses.asdict(line) for line in detail.history],
    }
