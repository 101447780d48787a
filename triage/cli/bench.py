"""`triage bench`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage.cli.output import JsonOption, print_json, print_lines, print_table, settings_of, tell
from triage.ending import orderly

if TYPE_CHECKING:
    from triage.bench import Report


def bench(
    context: typer.Context,
    model: Annotated[
        Path | None,
        typer.Option(help="The checkpoint; by default model.path.", metavar="FILE"),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where to work, on the disk to measure; by default beside the spool.",
        ),
    ] = None,
    sqlite: Annotated[
        bool, typer.Option("--sqlite", help="Measure with SQLite where the site has PostgreSQL.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Measure what this machine carries: receiving, decoding, scoring, all of it.

    It takes some two minutes, 2.5 GB on the disk, and the machine for itself.
    """
    from triage.bench import run

    settings = settings_of(context)
    if model is not None:
        settings = settings.model_copy(update={"model": settings.model.naming(model)})
    with orderly():
        report = run(
            settings, directory=directory, sqlite=sqlite, say=(lambda _: None) if json else tell
        )
    if json:
        print_json(_document(report))
    else:
        _print(report)
    if report.broken:
        tell(f"triage: it ended before its last part: {report.broken}")
        raise typer.Exit(1)


def _document(report: "Report") -> dict[str, Any]:
    document = dataclasses.asdict(report)
    for part in ("receiving", "together"):
        measured = getattr(report, part) or []
        for one, entry in zip(_listed(measured), _listed(document[part] or []), strict=True):
            entry["per_second"] = one.per_second
    return document


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _print(report: "Report") -> None:
    machine = report.machine
    print_lines(
        [
            f"{machine['cores']} cores ({machine['processor']}), "
            f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['file_system']}, "
            f"{machine['database']}"
        ]
    )
    print_table(
        ["object", "size", "senders", "objects a second", "MB a second"],
        [
            [
                one.objects,
                f"{one.bytes / 1000:,.0f} kB",
                str(one.senders),
                f"{one.per_second:.1f}",
                f"{one.per_second * one.bytes / 1e6:.0f}",
            ]
            for one in report.receiving
        ],
        title="\nreceiving",
    )
    print_table(
        ["transfer syntax", "size", "ms an image", "images a second"],
        [
            [
                one.name,
                f"{one.bytes / 1e6:.1f} MB",
                "" if one.milliseconds is None else f"{one.milliseconds:.0f}",
                "" if one.per_second is None else f"{one.per_second:.1f}",
            ]
            for one in report.decoding
        ],
        title="\ndecoding 2500 x 2000 pixels of 12 bits",
    )
    print_lines(f"{one.name}: {one.reason}" for one in report.decoding if one.reason)
    if report.scoring:
        _print_scoring(report)
    print_lines(
        f"{one.backend} {one.precision} on {one.device} fails: {one.reason}"
        for one in report.failed
    )
    if report.together is not None and report.capacity is not None:
        print_lines(
            [
                "",
                f"A lone study: {report.together.lone_milliseconds:.0f} ms from a view's answer to "
                "its score (median).",
                f"{report.together.studies} studies at once: {report.together.seconds:.1f} s from "
                f"the first request to the last of {report.together.views} scores.",
                f"This machine carries {report.capacity.sentence}.",
            ]
        )
    if report.without:
        tell(f"Nothing was scored: {report.without}")


def _print_scoring(report: "Report") -> None:
    batches = sorted({one.batch for one in report.scoring})
    engines: dict[tuple[str, str, str], dict[int, float]] = {}
    for one in report.scoring:
        engines.setdefault((one.backend, one.device, one.precision), {})[one.batch] = one.per_second
    chosen = {(one.backend, one.device, one.precision) for one in report.scoring if one.chosen}
    print_table(
        ["", "engine", *(f"{batch} at once" for batch in batches)],
        [
            [
                "*" if engine in chosen else "",
                " ".join(engine),
                *(f"{rates[batch]:.1f}" if batch in rates else "" for batch in batches),
            ]
            for engine, rates in engines.items()
        ],
        title="\nscoring, views a second (* is what the daemon uses)",
    )
