"""`triage model check`: a model loaded, tried, and compared with what it gave before."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage.cli.output import JsonOption, print_json, print_table, settings_of
from triage.cli.targets import check_target
from triage.errors import ModelDiffers, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from triage.model.card import Card
    from triage.model.scorer import Scorer
    from triage.model.selfcheck import Trial
    from triage.model.stored import Difference, Outputs


def check(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The checkpoint; else model.path.")
    ] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A PNG or JPEG to score as well; repeatable."),
    ] = None,
    expect: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="Stored outputs to compare with; else those beside the checkpoint, if any.",
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Store the outputs.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what --write names.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Load a model as the daemon does, score built-in images, and compare with stored outputs.

    Exit 1 if it cannot be used, or computes otherwise than it did.
    """
    _refuse_contradictions(picture or [], expect, write, force=force)
    wanted = settings_of(context).model
    if file is not None:
        wanted = wanted.naming(file)

    from triage.model import stored
    from triage.model.scorer import open_scorer
    from triage.model.selfcheck import try_out

    known = stored.read(expect) if expect else None
    # What is stored is to be found again anywhere.
    scorer = open_scorer(wanted.exact if write else wanted)
    if not expect and not write and len(scorer.paths) == 1:
        expect = stored.beside(scorer.paths[0])
        known = stored.read(expect) if expect else None
    trial = try_out(scorer)
    found = stored.measure(scorer, trial.probabilities, _pictures(picture or [], known))
    if write:
        stored.write(write, found)
    differences = stored.differences(known, found) if known else []
    if as_json:
        print_json(
            _document(scorer, trial)
            | {"pictures": {each.path: each.probability for each in found.pictures}}
            | {"expected": _comparison(expect, known, found, differences)}
        )
    else:
        report(scorer, trial, found)
        if known and not differences:
            count = len(known.specimens) + len(known.pictures)
            typer.echo(f"the {count} outputs in {expect} were found again")
    if known and differences:
        raise ModelDiffers(
            f"{scorer.name}: computes otherwise than {expect} says of {known.model}, "
            f"made with {_makers(known)}; here {_makers(found)}:"
            + "".join(f"\n  {difference}" for difference in differences)
        )


def _refuse_contradictions(
    pictures: list[Path], expect: Path | None, write: Path | None, *, force: bool
) -> None:
    if write and expect:
        raise UsageError("give --write or --expect, not both")
    if write:
        check_target("--write", write, force=force)
    if missing := [str(path) for path in pictures if not path.exists()]:
        raise UsageError(f"there is no {', no '.join(missing)}")


def _pictures(named: list[Path], known: "Outputs | None") -> list[Path]:
    """Return the pictures to score: those that were named, and those stored that are there."""
    stored = (Path(each.path) for each in known.pictures) if known else ()
    return [*named, *(path for path in stored if path.is_file() and path not in named)]


def _makers(outputs: "Outputs") -> str:
    made = ", ".join(f"{name} {value}" for name, value in outputs.made_with.items())
    return f"{made}, {outputs.precision}"


def _comparison(
    expect: Path | None,
    known: "Outputs | None",
    found: "Outputs",
    differences: "list[Difference]",
) -> dict[str, Any] | None:
    if known is None:
        return None
    from triage.model.stored import tolerance

    return {
        "path": expect,
        "model": known.model,
        "made_with": known.made_with,
        "compared": len(known.specimens) + len(known.pictures),
        "tolerance": tolerance(known, found),
        "differences": [dataclasses.asdict(difference) for difference in differences],
    }


def _document(scorer: "Scorer", trial: "Trial") -> dict[str, Any]:
    from triage.model.card import to_document

    members = [
        {"path": path, "sha256": sha256, "card": to_document(card)}
        for path, sha256, card in _checkpoints(scorer)
    ]
    return {
        **(members[0] if len(members) == 1 else {"path": None, "sha256": None, "card": None}),
        "members": members,
        "device": scorer.device,
        "backend": scorer.backend,
        "precision": scorer.precision,
        "threads": scorer.threads,
        "batch": scorer.batch,
        "chosen_because": scorer.choice.why,
        "not_chosen": scorer.choice.others,
        "seconds_per_view": {"single": trial.single, "batched": trial.batched},
        "spread": trial.spread,
        "probabilities": trial.probabilities,
    }


def report(scorer: "Scorer", trial: "Trial", found: "Outputs | None" = None) -> None:
    """Print what the card says and what the model gives."""
    for path, sha256, card in _checkpoints(scorer):
        rows = [["SHA-256", sha256], *_facts(card)]
        print_table(["card", ""], rows, title=f"{path}: usable")
        typer.echo()
    pictures = found.pictures if found else ()
    print_table(
        ["image", "probability"],
        [
            *([name, f"{value:.6f}"] for name, value in trial.probabilities.items()),
            *([each.path, f"{each.probability:.6f}"] for each in pictures),
        ],
    )
    typer.echo(
        f"\n{scorer.choice.kind}, {scorer.threads} threads: "
        f"{trial.single * 1000:.0f} ms a view alone, {trial.batched * 1000:.0f} ms in batches; "
        f"repeated passes differ by at most {trial.spread:.1e}"
    )


def _checkpoints(scorer: "Scorer") -> "Iterator[tuple[Path, str, Card]]":
    return zip(scorer.paths, scorer.sha256, scorer.ensemble.cards, strict=True)


def _facts(card: "Card") -> list[list[str]]:
    shape = card.preprocessing
    own = [f"{part} {value:g}" for part, value in card.thresholds.items()]
    return [
        ["name", card.name],
        ["version", card.version],
        ["architecture", card.architecture],
        ["input", f"{shape.size} x {shape.size} pixels, {shape.resize}"],
        ["mean, deviation", f"{shape.mean}, {shape.std}"],
        ["accepts", ", ".join(card.accepted)],
        ["measured on", ", ".join(card.measured) or "nothing"],
        ["threshold", ", ".join([f"{card.threshold:g}", *own])],
        ["temperature", f"{card.temperature:g}"],
        ["training data", card.training_data],
        ["licence", card.licence],
        ["calibration", card.calibration or "-"],
        ["figures", ", ".join(f"{name} {value:g}" for name, value in card.figures.items()) or "-"],
        ["recipe", ", ".join(f"{name} {value}" for name, value in card.recipe.items()) or "-"],
        ["intended use", card.intended_use or "-"],
        ["known failures", card.known_failures or "-"],
    ]
