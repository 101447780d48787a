"""`triage score`: once, without a daemon."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triage.cli.output import JsonOption, print_json, print_table, settings_of
from triage.core.studytype import StudyType
from triage.errors import TriageError
from triage.store import rights

if TYPE_CHECKING:
    from triage.pipeline.overlay import Drawing


def score(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="DICOM files, PNG or JPEG pictures, or folders of them.")
    ],
    study_type: Annotated[
        StudyType | None, typer.Option(help="The study type of pictures outside XR_PART folders.")
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="The checkpoint; repeated, an ensemble; by default model.path.", metavar="FILE"
        ),
    ] = None,
    cam: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw what the network looked at over each view, as PNG files."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Score files and print a study each, in the order given; no daemon, no database."""
    from triage.pipeline import offline, overlay
    from triage.pipeline.gather import gather
    from triage.pipeline.judge import rules_of

    if cam is not None:
        rights.write_privately()
        overlay.prepare_folder(cam)
    settings = settings_of(context)
    gathered = gather(paths, study_type=study_type, rules=rules_of(settings.study))
    wanted = settings.model
    if model:
        wanted = wanted.naming(*model)
    with offline.decoders_for(gathered.studies) as decoders:  # they start beside torch
        from triage.model.scorer import open_scorer

        offline.score_studies(open_scorer(wanted), gathered.studies, decoders)
    documents = [_document(study) for study in gathered.studies]
    unreadable, not_drawn = offline.unreadable_views(gathered), []
    if cam is not None:
        not_drawn = _add_drawings(documents, overlay.draw_offline(gathered.studies, cam))
    if json:
        print_json(documents)
    else:
        _print(documents)
    problems = {"could not be read": unreadable, "could not be drawn": not_drawn}
    sentences = ["\n  ".join([f"{what}:", *which]) for what, which in problems.items() if which]
    if sentences:
        raise TriageError("\n".join(sentences))


def _add_drawings(
    documents: list[dict[str, Any]], drawings: list[list["Drawing | None"]]
) -> list[str]:
    """Name each view's drawing in the documents; return what could not be drawn."""
    problems = []
    for document, of_study in zip(documents, drawings, strict=True):
        for view, drawing in zip(document["views"], of_study, strict=True):
            view["cam"] = drawing.path if drawing else None
            view["full_strength"] = drawing.full_strength if drawing else None
            if drawing and drawing.reason:
                problems.append(f"{view['path']}: {drawing.reason}")
    return problems


def _document(study: Any) -> dict[str, Any]:
    assessment = study.assess()
    result = assessment.score
    return {
        "study_instance_uid": study.study_instance_uid,
        "study_type": result.study_type if result else None,
        "label": result.label if result else None,
        "probability": result.probability if result else None,
        "status": assessment.status,
        "reason": assessment.reason,
        "model": result.model if result else None,
        "views": [
            {
                "path": view.path,
                "sop_instance_uid": view.sop_instance_uid,
                "frame": view.frame,
                "group": view.group,
                "probability": view.verdict.probability,
                "status": view.status,
                "reason": view.reason,
            }
            for view in study.views
        ],
    }


def _print(documents: list[dict[str, Any]]) -> None:
    print_table(
        ["study", "type", "label", "probability", "views", "status", "reason"],
        [
            [
                document["study_instance_uid"] or str(document["views"][0]["path"].parent),
                document["study_type"] or "-",
                document["label"] or "-",
                "-" if document["probability"] is None else f"{document['probability']:.3f}",
                str(sum(view["status"] == "scored" for view in document["views"])),
                document["status"],
                document["reason"] or "",
            ]
            for document in documents
        ],
    )
    drawn = [view for document in documents for view in document["views"] if view.get("cam")]
    if drawn:
        print_table(
            ["view", "frame", "full strength", "file"],
            [
                [
                    str(view["path"]),
                    str(view["frame"]),
                    f"{view['full_strength']:.2f}",
                    str(view["cam"]),
                ]
                for view in drawn
            ],
            title="\nclass activation maps",
        )
