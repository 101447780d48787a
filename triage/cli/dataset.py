"""`triage dataset`: what a data set in MURA's layout holds, and what is wrong with it."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage.cli.output import JsonOption, print_json, print_table
from triage.cli.progress import counting
from triage.core.studytype import StudyType
from triage.errors import DatasetUnusable

if TYPE_CHECKING:
    from triage.research.mura import Dataset, Split
    from triage.research.problems import Problem

# The rows of the paper's table 1, in its order (Rajpurkar et al. 2017).
TABLE_1 = (
    StudyType.ELBOW,
    StudyType.FINGER,
    StudyType.HAND,
    StudyType.HUMERUS,
    StudyType.FOREARM,
    StudyType.SHOULDER,
    StudyType.WRIST,
)
NAMED = 20  # problems of a kind that are printed; --json has all of them


def dataset(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder with the *_image_paths.csv in it.")
    ],
    decode: Annotated[
        bool, typer.Option("--decode/--no-decode", help="Decode every image, to find damaged ones.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Check a data set in MURA's layout and count its studies, as the paper's table 1 does.

    Exit 1 if it cannot be used, or if what is wrong with it makes its figures doubtful.
    """
    from triage.research.mura import read_dataset

    with counting("images decoded") as count:
        found = read_dataset(folder, decode=decode, progress=count.reached)
    if as_json:
        print_json(_document(found))
    else:
        _print(found)
    if grave := Counter(problem.fault for problem in found.problems if problem.grave):
        faults = ", ".join(f"{fault} ({count})" for fault, count in grave.items())
        raise DatasetUnusable(f"{folder}: what it measures is in doubt: {faults}")


def _document(found: "Dataset") -> dict[str, Any]:
    return {
        "root": found.root,
        "splits": [
            {
                "name": split.name,
                "studies": len(split.studies),
                "images": len(split.images),
                "patients": len(split.patients),
            }
            for split in found.splits
        ],
        "study_types": [
            {
                "study_type": study_type,
                "splits": {split.name: _labels(split, study_type) for split in found.splits},
            }
            for study_type in TABLE_1
        ],
        "problems": [
            dataclasses.asdict(problem) | {"grave": problem.grave} for problem in found.problems
        ],
    }


def _labels(split: "Split", study_type: StudyType | None = None) -> dict[str, int]:
    """Count the studies of a type, or all, by label."""
    labels = Counter(
        study.abnormal for study in split.studies if study_type in (None, study.study_type)
    )
    return {"normal": labels[False], "abnormal": labels[True]}


def _print(found: "Dataset") -> None:
    columns = [
        f"{split.name} {label}" for split in found.splits for label in ("normal", "abnormal")
    ]
    rows = [_row(study_type.title(), found, study_type) for study_type in TABLE_1]
    print_table(["study type", *columns, "total"], [*rows, _row("Total", found)])
    typer.echo()
    print_table(
        ["split", "studies", "images", "patients"],
        [
            [
                split.name,
                *(f"{len(part):,}" for part in (split.studies, split.images, split.patients)),
            ]
            for split in found.splits
        ],
    )
    _print_problems(found.problems)


def _row(name: str, found: "Dataset", study_type: StudyType | None = None) -> list[str]:
    counts = [count for split in found.splits for count in _labels(split, study_type).values()]
    return [name, *(f"{count:,}" for count in (*counts, sum(counts)))]


def _print_problems(problems: tuple["Problem", ...]) -> None:
    for fault, count in Counter(problem.fault for problem in problems).items():
        same = [problem for problem in problems if problem.fault is fault]
        typer.echo(f"\n{'' if same[0].grave else 'note: '}{fault} ({count})")
        for problem in same[:NAMED]:
            typer.echo(f"  {problem.where}: {problem.message}")
        if count > NAMED:
            typer.echo(f"  and {count - NAMED} more; --json has them all")
