"""What the log says of an exception: what kind it is and where it came from.

The text of an exception may quote what was worked on: pydicom quotes the values
of attributes, a database's driver the row that it refused. So only those texts
are shown that we wrote ourselves or that speak of the system and the code.
"""

import traceback
from types import TracebackType

from triage.errors import TriageError

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]

# Their texts name files, addresses, modules and attributes of classes.
_SPEAK = (TriageError, OSError, MemoryError, ImportError, AttributeError, NameError)
_SPEAK_ALSO = (ArithmeticError, RecursionError, NotImplementedError)
LEFT_OUT = "its text is left out, for it may quote a patient's data"
_BECAUSE = "\nThat was the direct cause of:\n\n"
_MEANWHILE = "\nWhile that was handled, there came:\n\n"


def traceback_of(exc_info: ExceptionInfo) -> str:
    """Return the tracebacks of an exception and of those that led to it, the first one first.

    The lines are those of the source; values of variables are not in them.
    """
    _, error, trace = exc_info
    text = _one(error, trace)
    seen = {id(error)}
    while (link := _led_by(error)) is not None and id(link[0]) not in seen:
        error, joint = link
        seen.add(id(error))
        text = _one(error, error.__traceback__) + joint + text
    return text.rstrip("\n")


def _led_by(error: BaseException) -> tuple[BaseException, str] | None:
    if error.__cause__ is not None:
        return error.__cause__, _BECAUSE
    if error.__context__ is not None and not error.__suppress_context__:
        return error.__context__, _MEANWHILE
    return None


def _one(error: BaseException, trace: TracebackType | None) -> str:
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    spoken = isinstance(error, (*_SPEAK, *_SPEAK_ALSO))
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(trace)]
    return "".join(lines) + f"{name}: {error if spoken else LEFT_OUT}\n"
