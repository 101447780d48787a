"""What every command shares: its settings, and how it prints.

Whatever is printed may come from a peer or a file, so it passes through `printable`.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from triage import configuration
from triage.core.printable import printable
from triage.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def settings_of(context: typer.Context) -> Settings:
    """Read the settings that `--config` names."""
    path: Path | None = context.find_root().obj
    return configuration.load(path)


def timestamp(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def print_json(document: Any, *, one_line: bool = False) -> None:
    """Print one UTF-8 JSON document; missing values are null, probabilities unrounded."""
    _print(_json(document, indent=None if one_line else 2) + "\n")


def print_json_array(documents: Iterable[Any]) -> None:
    """Print one JSON array, an element a line, however many there are."""
    elements = (_json(document, indent=None) for document in documents)
    first = next(elements, None)
    if first is None:
        _print("[]\n")
        return
    _print_blocks(chain([f"[\n{first}"], (f",\n{element}" for element in elements), ["\n]\n"]))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, however many there are."""
    _print_blocks(f"{printable(line)}\n" for line in lines)


def tell(sentence: str) -> None:
    """Print a sentence, or some lines, on standard error."""
    typer.echo(printable(sentence, keep="\n"), err=True)


def _json(document: Any, *, indent: int | None) -> str:
    text = json.dumps(document, ensure_ascii=False, indent=indent, default=_plain, allow_nan=False)
    return printable(text, keep="\n")  # what it escapes stands in strings, and JSON reads it back


def _print_blocks(texts: Iterable[str]) -> None:
    """Print *texts* a thousand at a time: each printing waits for whoever reads."""
    left = iter(texts)
    while block := "".join(islice(left, 1000)):
        _print(block)


def _print(text: str) -> None:
    # Bytes, because the terminal's encoding is not the document's.
    typer.echo(text.encode("utf-8"), nl=False)


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]], *, title: str = "") -> None:
    """Print a table, as wide as the terminal, or as its content where there is none."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=240)
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))  # Text: a [ in a name is no markup
    console.print(table)
