"""One event a line on standard error: JSON for a machine, colour for a person.

Identifiers are UIDs and accession numbers; a person's name or birth date never
enters an event, and what the DICOM libraries would print of a data set is cut off.
"""

import logging
import sys
from typing import Any

import structlog

# Libraries that log what passes through them, or chatter at every tick.
_QUIET = {
    "alembic": logging.WARNING,
    "apscheduler": logging.ERROR,
    "py": logging.ERROR,  # py.warnings: what pydicom warns of may quote a data set
    "pydicom": logging.ERROR,
    "pynetdicom": logging.CRITICAL,
}


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= _QUIET.get(record.name.partition(".")[0], logging.NOTSET)


def configure(*, level: str = "info") -> None:
    """Send our events and the libraries' warnings to standard error in one form."""
    machine = not sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if machine
        else [structlog.dev.ConsoleRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    # On the handler: pydicom sets the level of its own logger when it is imported.
    handler.addFilter(_is_wanted)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
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
