"""One event a line on standard error: JSON for a machine, colour for a person.

Identifiers are UIDs and accession numbers; a person's name or birth date never
enters an event. What libraries would print of a data set or a database row is
cut off, at every level: see `triage.logs.discretion`.
"""

import json
import logging
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

import structlog

from triage.core.printable import printable
from triage.logs.discretion import traceback_of
from triage.logs.repeats import Repeats

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

# Libraries that log what passes through them, or chatter at every tick. Of all others what
# is worse than info is shown, also at --log-level debug: that speaks of us.
_QUIET = {
    "apscheduler": logging.ERROR,
    "py": logging.ERROR,  # py.warnings: what pydicom warns of may quote a data set
    "pydicom": logging.CRITICAL,
    "pynetdicom": logging.CRITICAL,
}


def _is_wanted(record: logging.LogRecord) -> bool:
    ours = isinstance(record.msg, dict)
    return ours or record.levelno >= _QUIET.get(record.name.partition(".")[0], logging.WARNING)


def configure(*, level: str = "info") -> None:
    """Send our events and the libraries' warnings to standard error in one form."""
    machine = not sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any] = (
        [
            structlog.processors.ExceptionRenderer(traceback_of),
            structlog.processors.JSONRenderer(serializer=_json),
        ]
        if machine
        # Its own way with exceptions would print the values of variables.
        else [_harmless, structlog.dev.ConsoleRenderer(exception_formatter=_print_traceback)]
    )
    handler = logging.StreamHandler(sys.stderr)
    # On the handler: pydicom sets the level of its own logger when it is imported.
    handler.addFilter(_is_wanted)
    handler.addFilter(Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow={"suppressed"})],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, least in _QUIET.items():  # what nobody will see is not even put into words
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def get(name: str) -> Any:
    """Return the logger of a module."""
    return structlog.get_logger(name)


def _json(event: dict[str, Any], **options: Any) -> str:
    return printable(json.dumps(event, **options))


def _harmless(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Escape what a terminal would obey, in the texts of an event; it may come from a peer."""
    return {
        key: printable(value) if isinstance(value, str) else value for key, value in event.items()
    }


def _print_traceback(stream: Any, exc_info: Any) -> None:
    stream.write("\n" + printable(traceback_of(exc_info), keep="\n"))


def catch_uncaught() -> None:
    """Log what nobody caught, of any thread; Python's own way is lines that are no JSON, and quote."""
    log = get(__name__)

    def process(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            log.critical("process_failed", exc_info=(kind, error, trace))

    def thread(ended: threading.ExceptHookArgs) -> None:
        name = ended.thread.name.partition("@")[0] if ended.thread else None
        log.critical("thread_failed", thread=name, exc_info=_complete(ended))

    def finalizer(ended: "UnraisableHookArgs") -> None:
        log.error("finalizer_failed", exc_info=_complete(ended))

    sys.excepthook, threading.excepthook, sys.unraisablehook = process, thread, finalizer


def _complete(ended: Any) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    return ended.exc_type, ended.exc_value or ended.exc_type(), ended.exc_traceback
