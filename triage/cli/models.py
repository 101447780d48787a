"""`triage model`: weights and their cards."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage.cli.calibrate import calibrate
from triage.cli.check import check, report
from triage.cli.output import JsonOption, print_json, print_table, settings_of
from triage.cli.targets import check_target
from triage.core.studytype import StudyType
from triage.errors import ModelUnusable, UsageError

if TYPE_CHECKING:
    from triage.model.card import Card

app = typer.Typer(help="Weights, with their card.", no_args_is_help=True)
app.command()(calibrate)
app.command()(check)

ALL_TYPES = ",".join(StudyType)


@app.command("list")
def list_models(
    context: typer.Context,
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Checkpoints or folders; else the daemon's."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List checkpoints with what their cards say; a damaged one with what is wrong.

    The daemon's are those of model.path; where that is empty, the reference model of the package.
    """
    if not places:
        from triage.model.card import chosen_paths

        try:
            places = list(chosen_paths(settings_of(context).model))
        except ModelUnusable as error:
            typer.echo(f"triage: {error}", err=True)
            places = []
    entries = [_entry(file) for file in _checkpoints(places)]
    if as_json:
        print_json(entries)
        return
    print_table(
        [
            "file",
            "name",
            "version",
            "input",
            "accepts",
            "training data",
            "licence",
            "SHA-256",
            "error",
        ],
        [_row(entry) for entry in entries],
    )


def _checkpoints(places: Iterable[Path]) -> Iterable[Path]:
    for place in places:
        if place.is_dir():
            yield from sorted(place.glob("*.safetensors"))
        else:
            yield place


def _entry(file: Path) -> dict[str, Any]:
    from triage.model.card import read_card, sha256_of, to_document

    entry: dict[str, Any] = {"path": file, "sha256": None, "card": None, "error": None}
    try:
        entry["sha256"] = sha256_of(file)
        entry["card"] = to_document(read_card(file))
    except ModelUnusable as error:
        entry["error"] = str(error)
    return entry


def _row(entry: dict[str, Any]) -> list[str]:
    card, sha256 = entry["card"], entry["sha256"] or ""
    if card is None:
        return [str(entry["path"]), "", "", "", "", "", "", sha256, entry["error"]]
    preprocessing = card["preprocessing"]
    return [
        str(entry["path"]),
        card["name"],
        card["version"],
        f"{preprocessing['size']} {preprocessing['resize']}",
        "all" if set(card["accepted"]) == set(StudyType) else ", ".join(card["accepted"]),
        card["training_data"],
        card["licence"],
        sha256,
        "",
    ]


@app.command("import")
def import_model(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="safetensors without a card, or a torch pickle.")
    ],
    out: Annotated[Path | None, typer.Option(help="The checkpoint to write.")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    version: Annotated[str | None, typer.Option(help="The model's version.")] = None,
    training_data: Annotated[
        str | None, typer.Option(help="What it was trained on, with the source.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="The licence of the weights.")] = None,
    input_size: Annotated[int, typer.Option(help="Pixels, height and width.")] = 224,
    resize: Annotated[str, typer.Option(help="squeeze or pad to the square.")] = "squeeze",
    mean: Annotated[
        str | None, typer.Option(help="Of intensities 0 to 1, R,G,B; by default ImageNet's.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Likewise, the deviation.")] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(help="Abnormal is above it: 0.4, or for one type wrist=0.4; repeatable."),
    ] = None,
    temperature: Annotated[float, typer.Option(help="Logits are divided by it.")] = 1.0,
    accepts: Annotated[str, typer.Option(help="Study types to score.")] = ALL_TYPES,
    measured: Annotated[str, typer.Option(help="Study types the figures speak of.")] = "",
    figure: Annotated[
        list[str] | None, typer.Option(help="A measured figure, auroc=0.9; repeatable.")
    ] = None,
    intended_use: Annotated[str, typer.Option(help="What the model is for.")] = "",
    known_failures: Annotated[str, typer.Option(help="Where it is not to be trusted.")] = "",
    abnormal_output: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="Of a last layer with two outputs, that for abnormal."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what --out names.")] = False,
) -> None:
    """Make a checkpoint with a card from the weights of a DenseNet-169."""
    required = {
        "--out": out,
        "--name": name,
        "--version": version,
        "--training-data": training_data,
        "--licence": licence,
    }
    missing = [option for option, value in required.items() if not value]
    if missing or out is None:
        raise UsageError(f"a model needs a card; give {', '.join(missing)} as well")
    check_target("--out", out, force=force)
    overall, by_type = _thresholds(threshold or [])
    preprocessing: dict[str, Any] = {"size": input_size, "resize": resize}
    preprocessing |= {"mean": _triple("--mean", mean)} if mean else {}
    preprocessing |= {"std": _triple("--std", std)} if std else {}
    card = _card(
        name=name,
        version=version,
        training_data=training_data,
        licence=licence,
        preprocessing=preprocessing,
        accepted=study_types("--accepts", accepts),
        measured=study_types("--measured", measured),
        threshold=overall,
        thresholds=by_type,
        temperature=temperature,
        figures=dict(_assignment("--figure", text) for text in figure or []),
        intended_use=intended_use,
        known_failures=known_failures,
    )

    from triage.model.conversion import convert
    from triage.model.scorer import Scorer
    from triage.model.selfcheck import try_out

    convert(source, out, card, abnormal=abnormal_output)
    scorer = Scorer(out, device="cpu", backend="torch", precision="float32")
    report(scorer, try_out(scorer))


def _card(**fields: Any) -> "Card":
    from triage.model.card import card_from

    try:
        return card_from(fields)
    except ValueError as error:
        raise UsageError(f"the card would be invalid: {error}") from error


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: is not a number") from error


def _triple(option: str, text: str) -> tuple[float, ...]:
    return tuple(_number(option, part) for part in text.split(","))


def _assignment(option: str, text: str) -> tuple[str, float]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{option} {text}: give NAME=NUMBER")
    return key, _number(option, value)


def _thresholds(texts: Iterable[str]) -> tuple[float, dict[str, float]]:
    """Return the overall threshold and those of single study types."""
    overall = 0.5
    by_type: dict[str, float] = {}
    for text in texts:
        if "=" in text:
            part, value = _assignment("--threshold", text)
            named = study_types("--threshold", part)
            if len(named) != 1:
                raise UsageError(f"--threshold {text}: give one study type, as in hand=0.4")
            by_type[named[0]] = value
        else:
            overall = _number("--threshold", text)
    return overall, by_type


def study_types(option: str, text: str) -> tuple[StudyType, ...]:
    """Read a list of study types, separated by commas; raises UsageError naming the option."""
    try:
        return tuple(StudyType(part.strip().lower()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"{option} {text}: give some of {', '.join(StudyType)}") from error
