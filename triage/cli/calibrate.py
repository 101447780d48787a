"""`triage model calibrate`: temperature and thresholds from a validation set."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage.cli.output import JsonOption, print_json, print_table, settings_of
from triage.cli.progress import counting
from triage.cli.targets import check_target
from triage.errors import DatasetUnusable, UsageError

if TYPE_CHECKING:
    from triage.model.card import Card
    from triage.model.scorer import Scorer
    from triage.research.calibrate import Fit, Outcome
    from triage.research.mura import LabelledStudy
    from triage.research.predictions import Prediction

MARK = "-calibrated"  # the end of the new model's version, where --version names no other


def calibrate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The checkpoint.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="A data set in MURA's layout.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The checkpoint to write.")],
    split: Annotated[str, typer.Option(help="A part that the model did not learn from.")] = "valid",
    sensitivity: Annotated[
        float | None,
        typer.Option(min=0.5, max=1, help="What thresholds must reach; else maximal kappa."),
    ] = None,
    temperature_only: Annotated[
        bool,
        typer.Option("--temperature-only", help="Thresholds go along: single views keep labels."),
    ] = False,
    version: Annotated[
        str | None, typer.Option(help="The new model's; by default the old one's, -calibrated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what --out names.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit temperature and thresholds to labelled studies; write the model with them in its card.

    A study type with 30 normal and 30 abnormal studies gets a threshold of its
    own, the others take the overall one.
    """
    if temperature_only and sensitivity is not None:
        raise UsageError("--temperature-only fits no thresholds; leave --sensitivity out")
    check_target("--out", out, force=force)
    wanted = settings_of(context).model.naming(file).exact

    from triage.model.card import read_card
    from triage.research.mura import read_dataset

    name = _version(version, read_card(file))
    dataset = read_dataset(data)
    studies = dataset.split(split).studies
    if doubtful := sum(problem.grave for problem in dataset.problems):
        typer.echo(
            f"triage: the data set is not sound (problems: {doubtful}): `triage dataset {data}` "
            "names what puts a fit to it in doubt",
            err=True,
        )

    from triage.model.scorer import open_scorer
    from triage.research.calibrate import fit
    from triage.research.calibrated import calibrated, scale_of, write

    scorer = open_scorer(wanted)
    predictions = _predicted(scorer, studies, f"{data}: {split}")
    found = fit(
        predictions,
        scale_of(scorer.card),
        sensitivity=sensitivity,
        temperature_only=temperature_only,
    )
    former = scorer.card.calibration or "those of the model before"
    aim = "maximal kappa" if sensitivity is None else f"sensitivity {sensitivity:g}"
    aim = f"moved with the temperature ({former})" if temperature_only else aim
    on = f"{data.resolve().name}/{split}"
    card = scorer.card
    if found.fitted:
        card = calibrated(card, found, version=name, on=on, aim=aim)
        write(file, out, card)
    if as_json:
        path = out if found.fitted else None
        print_json({"source": file, "path": path, **_document(scorer.card, card, found)})
    else:
        _print(scorer.card, card, found)
    if not found.fitted:
        raise DatasetUnusable(
            f"{on}: a class is missing, so nothing was fitted and {out} was not written; "
            "add studies of the other"
        )
    if not as_json:
        typer.echo(f"\n{out}: {card.identity}")


def _version(wanted: str | None, card: "Card") -> str:
    """Return what the calibrated model is called, so that results tell the two apart."""
    from triage.model.card import card_from, to_document

    version = wanted or _next(card.version)
    try:
        card_from(to_document(card) | {"version": version})
    except ValueError as error:
        raise UsageError(f"--version: {error}") from error
    return version


def _next(version: str) -> str:
    """Return 1-calibrated for 1, 1-calibrated-2 for that, and so on."""
    first, mark, number = version.rpartition(MARK)
    if not mark or not (number == "" or number.removeprefix("-").isdecimal()):
        return f"{version}{MARK}"
    return f"{first}{MARK}-{int(number.removeprefix('-') or 1) + 1}"


def _predicted(
    scorer: "Scorer", studies: "Sequence[LabelledStudy]", where: str
) -> "list[Prediction]":
    """Score the studies that the model accepts."""
    from triage.research.predictions import predict

    accepted = [study for study in studies if study.study_type in scorer.card.accepted]
    total = sum(len(study.images) for study in accepted)
    with counting("images scored", total) as count:
        found, unreadable = predict(scorer, accepted, progress=count.more)
    for sentence in unreadable:
        typer.echo(f"triage: left out: {sentence}", err=True)
    if len(accepted) < len(studies):
        typer.echo(
            f"triage: left out: {len(studies) - len(accepted)} studies "
            f"of types that {scorer.identity} does not accept",
            err=True,
        )
    if not found:
        raise DatasetUnusable(f"{where} holds no study that {scorer.identity} can score")
    return found


def _document(old: "Card", new: "Card", found: "Fit") -> dict[str, Any]:
    return {
        "model": new.identity,
        "calibration": new.calibration,
        "fitted": found.fitted,
        "temperature": {
            "before": old.temperature,
            "after": new.temperature,
            "bounded": found.bounded,
        },
        "nll": {"before": found.before.nll, "after": found.after.nll},
        "ece": {"before": found.before.ece, "after": found.after.ece},
        "threshold": {"before": old.threshold, "after": new.threshold},
        "study_types": [_outcome(outcome, old, new) for outcome in found.outcomes],
    }


def _outcome(outcome: "Outcome", old: "Card", new: "Card") -> dict[str, Any]:
    counts = outcome.confusion
    merits = {
        "kappa": counts.kappa,
        "sensitivity": counts.sensitivity,
        "specificity": counts.specificity,
    }
    return {
        "study_type": outcome.study_type,
        "normal": counts.normal,
        "abnormal": counts.abnormal,
        "threshold": {
            "before": old.threshold_for(outcome.study_type),
            "after": new.threshold_for(outcome.study_type),
            "own": outcome.study_type in new.thresholds,
        },
        **{name: merit.value if merit else None for name, merit in merits.items()},
    }


def _print(old: "Card", new: "Card", found: "Fit") -> None:
    from triage.research.tables import estimate

    rows = [
        ["temperature", f"{old.temperature:.4g}", f"{new.temperature:.4g}"],
        ["negative log-likelihood", f"{found.before.nll:.4f}", f"{found.after.nll:.4f}"],
        ["expected calibration error", f"{found.before.ece:.4f}", f"{found.after.ece:.4f}"],
    ]
    typer.echo(new.calibration or "not calibrated")
    print_table(["", "before", "after"], rows)
    typer.echo()
    print_table(
        ["study type", "normal", "abnormal", "threshold", "kappa", "sensitivity", "specificity"],
        [
            [
                outcome.study_type or "all",
                f"{outcome.confusion.normal}",
                f"{outcome.confusion.abnormal}",
                _threshold(outcome, new),
                estimate(outcome.confusion.kappa, outcome.confusion.total),
                estimate(outcome.confusion.sensitivity, outcome.confusion.abnormal),
                estimate(outcome.confusion.specificity, outcome.confusion.normal),
            ]
            for outcome in found.outcomes
        ],
    )
    typer.echo("These figures are of the studies that were fitted to; triage evaluate has others.")
    if found.bounded:
        typer.echo(
            "The best temperature lies beyond this bound: the views are told apart without a "
            "mistake, or no better than by chance."
        )


def _threshold(outcome: "Outcome", card: "Card") -> str:
    own = " (own)" if outcome.study_type in card.thresholds else ""
    return f"{card.threshold_for(outcome.study_type):.4f}{own}"
