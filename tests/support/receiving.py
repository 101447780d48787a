"""A receiver in the test's own process, so that its limits can be short."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from structlog.testing import capture_logs

from tests.support.daemon import HOST
from triage.dicom.connection import Limits
from triage.dicom.scp import Arrival, Receiver
from triage.settings import DicomSettings


@contextmanager
def receiving(
    port: int,
    keep: Callable[[Arrival], Any] = bool,
    *,
    slots: int = 4,
    settings: dict[str, Any] | None = None,
    **limits: Any,
) -> Iterator[tuple[Receiver, list[Any]]]:
    """Run a receiver with *limits* and *settings*; yield it and its log events."""
    chosen = DicomSettings.model_validate(
        {"host": HOST, "port": port, "max_associations": slots, **(settings or {})}
    )
    with capture_logs() as events:
        receiver = Receiver(chosen, keep, Limits(**limits))
        receiver.start()
        try:
            yield receiver, events
        finally:
            receiver.stop()
