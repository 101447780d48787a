"""What every command shares: its settings, and how it prints.

Whatever is printed may come from a peer or a file, so it passes through `printable`.
"""

from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from triage import configuration
from triage.core.documents import encode
from triage.core.printable import printable
from triage.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def settings_of(context: typer.Context) -> Settings:
    """Read the settings that `--config` names."""
    path: Path | None = context.find_root().obj
    return configuration.load(path)


def print_json(document: Any, *, one_line: bool = False) -> None:
    """Print one UTF-8 JSON document; missing values are null, probabilities unrounded."""
    _print(encode(document, indent=None if one_line else 2) + "\n")


def print_json_array(documents: Iterable[Any]) -> None:
    """Print one JSON array, an element a line, however many there are."""
    elements = (encode(document) for document in documents)
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
