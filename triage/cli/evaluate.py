"""`triage evaluate`: how good a model is on a data set in MURA's layout."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triage.cli.output import JsonOption, print_json, print_table, settings_of
from triage.cli.progress import counting
from triage.cli.targets import check_target
from triage.errors import TriageError

if TYPE_CHECKING:
    from triage.model.scorer import Scorer
    from triage.research.document import LeftOut, Report
    from triage.research.evaluate import Chance, Judged
    from triage.research.mura import LabelledStudy
    from triage.research.predictions import Prediction
    from triage.settings import ModelSettings

COLUMNS = (
    *("study", "study_type", "patient", "abnormal"),
    *("probability", "threshold", "label", "views"),
)


def evaluate(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder with the *_image_paths.csv in it.")
    ],
    model: Annotated[
        Path | None, typer.Option(help="The checkpoint; by default model.path.", metavar="FILE")
    ] = None,
    split: Annotated[str, typer.Option(help="The part to evaluate on.")] = "valid",
    raters: Annotated[
        Path | None,
        typer.Option(help="Votes of raters: a row a study, a column each.", metavar="FILE.csv"),
    ] = None,
    gold: Annotated[int, typer.Option(help="Raters whose majority is the gold standard; odd.")] = 3,
    against: Annotated[
        Path | None, typer.Option(help="Another checkpoint to compare with.", metavar="FILE")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the bootstrap and of the choice of raters.")
    ] = 0,
    bootstrap: Annotated[int, typer.Option(min=1, help="Replicates of the bootstrap.")] = 2000,
    html: Annotated[
        Path | None, typer.Option(help="Write a report with plots.", metavar="FILE")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write each study's probability.", metavar="FILE.csv")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a model against labels, and beside raters; by study type and overall."""
    from triage.research.document import to_document
    from triage.research.evaluate import Chance
    from triage.research.report import write_report
    from triage.research.tables import reservations

    for option, path in (("--html", html), ("--predictions", predictions)):
        if path:
            check_target(option, path)
    wanted = settings_of(context).model.exact
    report = _measured(
        folder,
        split,
        model=_naming(wanted, model),
        against=_naming(wanted, against) if against else None,
        votes=(raters, gold) if raters else None,
        chance=Chance(seed, bootstrap),
    )
    if as_json:
        print_json(to_document(report))
    else:
        _print(report)
    for sentence in (*report.left_out.unreadable_images, *reservations(report)):
        typer.echo(f"triage: {sentence}", err=True)
    # Last: a full disk is not to cost the figures.
    if predictions:
        _write_predictions(report.judged, predictions)
    if html:
        write_report(report, html)


def _naming(settings: "ModelSettings", path: Path | None) -> "ModelSettings":
    return settings.naming(path) if path else settings


def _measured(
    folder: Path,
    split: str,
    *,
    model: "ModelSettings",
    against: "ModelSettings | None",
    votes: tuple[Path, int] | None,
    chance: "Chance",
) -> "Report":
    """Evaluate; *votes* is the raters' file, and how many of them are the gold standard."""
    from triage.research.document import Report
    from triage.research.evaluate import compare, evaluate, judge
    from triage.research.mura import read_dataset
    from triage.research.raters import choose_gold, rate, read_ratings

    dataset = read_dataset(folder)
    studies = dataset.split(split).studies
    if votes:  # before the network, for a mistake in the file is to be told at once
        ratings = read_ratings(votes[0], studies)
        gold = choose_gold(ratings.raters, votes[1], chance.seed)

    from triage.model.scorer import open_scorer

    scorer = open_scorer(model)
    other = open_scorer(against) if against else None
    found, left_out = _predicted(scorer, studies)
    if not found:
        why = "".join(f"\n  {sentence}" for sentence in left_out.unreadable_images)
        raise TriageError(f"{folder}: no study of {split} could be evaluated{why}")
    judged = judge(found, scorer.threshold)
    return Report(
        dataset=folder.resolve(),
        problems=sum(problem.grave for problem in dataset.problems),
        split=split,
        model=scorer.identity,
        checkpoint=scorer.name,
        chance=chance,
        judged=judged,
        figures=evaluate(judged, chance),
        left_out=left_out,
        raters=rate(judged, ratings, gold, chance) if votes else None,
        against=(other.identity, compare(judged, _predicted(other, studies)[0], chance))
        if other
        else None,
    )


def _predicted(
    scorer: "Scorer", studies: "Sequence[LabelledStudy]"
) -> "tuple[list[Prediction], LeftOut]":
    """Score the studies that the model accepts; name the images that cannot be read."""
    from triage.research.document import LeftOut
    from triage.research.predictions import predict

    accepted = [study for study in studies if study.study_type in scorer.ensemble.accepted]
    total = sum(len(study.images) for study in accepted)
    with counting("images scored", total) as count:
        found, unreadable = predict(scorer, accepted, progress=count.more)
    scored = {prediction.study.key for prediction in found}
    return found, LeftOut(
        unreadable_images=tuple(unreadable),
        unreadable_studies=tuple(study.key for study in accepted if study.key not in scored),
        not_accepted=tuple(
            study.key for study in studies if study.study_type not in scorer.ensemble.accepted
        ),
    )


def _write_predictions(judged: "Sequence[Judged]", path: Path) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(COLUMNS)
            rows.writerows(
                (
                    study.key,
                    study.study_type,
                    study.patient,
                    int(study.truth),
                    study.probability,
                    study.threshold,
                    int(study.said),
                    len(study.prediction.views),
                )
                for study in judged
            )
    except OSError as error:
        raise TriageError(f"{path}: cannot be written ({error.strerror or error})") from error


def _print(report: "Report") -> None:
    from triage.research.tables import tables

    typer.echo(f"{report.model} on {report.dataset}, {report.split}\n")
    for table in tables(report):
        print_table(table.columns, table.rows, title=table.title)
        for note in table.notes:
            typer.echo(note)
        typer.echo()
