"""How far a long command has come: a line on standard error, on a terminal alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


class Count:
    """The line of one task."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def reached(self, done: int, total: int) -> None:
        """Show that *done* of *total* are done."""
        self._bar.update(self._task, completed=done, total=total)

    def more(self, done: int) -> None:
        """Show that so many more are done."""
        self._bar.update(self._task, advance=done)


@contextmanager
def counting(what: str, total: int | None = None) -> Iterator[Count]:
    """Show how many of *total* are done; *what* names them."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield Count(bar, bar.add_task(what, total=total))
