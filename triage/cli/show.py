"""`triage show`: why a study stands where it stands."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from triage.cli.operator import operator
from triage.cli.output import JsonOption, print_json, print_lines, print_table, settings_of
from triage.cli.worklist import STUDY, open_database, probability_text
from triage.core.audit import AuditKind
from triage.core.detail import InstanceDetail, StudyDetail
from triage.core.documents import study_document
from triage.errors import TriageError
from triage.store import activations, audit, queries, rights
from triage.store.database import Database
from triage.store.spool import Spool


def show(
    context: typer.Context,
    study: STUDY,
    json: JsonOption = False,
    cam: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Draw what the network looked at over each view, as PNG files."
        ),
    ] = None,
) -> None:
    """Show why a study stands where it stands: views, groups, history."""
    database = open_database(context)
    study_id = queries.find_study(database, study)
    # Written before anything is shown: what cannot be written down is not shown.
    audit.note_access(database, study_id, AuditKind.SHOWN, operator(), datetime.now(UTC))
    detail = queries.show_study(database, study_id, datetime.now(UTC))
    maps: list[dict[str, Any]] | None = None
    if cam is not None:
        maps = _draw(context, database, study_id, cam)
    if json:
        print_json(study_document(detail) | ({} if maps is None else {"cam": maps}))
    else:
        _print_study(detail)
        _print_maps(maps or [])
    if maps is not None:
        _require_all(study, maps)


def _draw(
    context: typer.Context, database: Database, study_id: int, folder: Path
) -> list[dict[str, Any]]:
    """Draw the maps into *folder*; return what `triage show --json` says of each."""
    from triage.pipeline import overlay

    rights.write_privately()
    settings = settings_of(context)
    spool = Spool(settings.spool.directory, settings.spool.min_free)
    views = activations.scored_views(database, study_id)
    overlay.prepare_folder(folder)
    # Before anything is drawn: it is written down also where the drawing fails half-way.
    detail = f"class activation maps over {len(views)} views at most"
    audit.note_access(database, study_id, AuditKind.EXPORTED, operator(), datetime.now(UTC), detail)
    return [
        {"sop_instance_uid": view.sop_instance_uid, "frame": view.frame}
        | dataclasses.asdict(drawing)
        for view, drawing in zip(views, overlay.draw_stored(views, spool, folder), strict=True)
    ]


def _require_all(study: str, maps: list[dict[str, Any]]) -> None:
    """Raise TriageError unless each view was drawn, and there was one."""
    if not maps:
        raise TriageError(f"{study}: no view is scored, so there is no map to draw")
    if missing := [
        f"{entry['sop_instance_uid']} frame {entry['frame']}: {entry['reason']}"
        for entry in maps
        if entry["path"] is None
    ]:
        raise TriageError("not drawn:\n  " + "\n  ".join(missing))


def _shown_by(entry: InstanceDetail) -> str:
    """Say which attributes decided part and side, and what the view was cropped to."""
    found = [entry.part_from, entry.side_from if entry.side_from != entry.part_from else None]
    if entry.exposed_field:
        found.append(f"cropped to {entry.exposed_field}")
    return "; ".join(each for each in found if each) or "-"


def _print_study(detail: StudyDetail) -> None:
    row = detail.row
    place = f"position {row.position}" if row.position else "off the worklist"
    lines = {
        "study": row.study_instance_uid,
        "accession number": row.accession_number or "-",
        "patient": f"{row.patient_name or '-'} ({row.patient_id or '-'})",
        "description": row.study_description or "-",
        "place": f"{place}, {row.priority}{', overdue' if row.overdue else ''}",
        "status": f"{row.status}, {detail.reading_state}"
        + (f" by {row.claimed_by}" if row.claimed_by else ""),
        "preliminary": f"{row.label or 'not scored'} {probability_text(row)} {row.study_type or ''}",
        "model": row.model or "-",
        "reason": row.reason or "-",
        "finding": detail.finding or "-",
    }
    print_lines(f"{name:>17}  {value}" for name, value in lines.items())
    print_table(
        ["group", "probability", "threshold", "views", ""],
        [
            [
                group.group,
                f"{group.probability:.3f}",
                f"{group.threshold:.3f}",
                str(group.views),
                "decides" if group.deciding else "",
            ]
            for group in detail.groups
        ],
        title="\ngroups",
    )
    print_table(
        ["SOP instance", "frame", "state", "probability", "group", "shown by", "reason"],
        [
            [
                entry.sop_instance_uid,
                str(entry.frame or "-"),
                entry.state,
                "-" if entry.probability is None else f"{entry.probability:.3f}",
                entry.group or "-",
                _shown_by(entry),
                entry.reason or "",
            ]
            for entry in detail.instances
        ],
        title="\nviews and other instances",
    )
    print_table(
        ["at (UTC)", "what", "detail", "by"],
        [
            [f"{line.at:%Y-%m-%d %H:%M:%S}", line.kind, line.detail or "", line.actor or ""]
            for line in detail.history
        ],
        title="\nhistory",
    )


def _print_maps(maps: list[dict[str, Any]]) -> None:
    drawn = [entry for entry in maps if entry["path"] is not None]
    if drawn:
        print_table(
            ["SOP instance", "frame", "file"],
            [
                [entry["sop_instance_uid"], str(entry["frame"]), str(entry["path"])]
                for entry in drawn
            ],
            title=f"\nclass activation maps, full strength at {drawn[0]['full_strength']:.2f} of logit",
        )
