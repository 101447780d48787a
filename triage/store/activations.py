"""The class activation maps of the views, kept beside their probabilities."""

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import Connection, bindparam, delete, insert, select

from triage.core.activation import CoarseMap, ScoredView
from triage.core.study import InstanceState, ViewState
from triage.store.database import Database
from triage.store.tables import activation, instance, view

# Made once; see `triage.store.derive`.
_DELETE = delete(activation).where(activation.c.view_id == bindparam("of_view"))
_INSERT = insert(activation)


def keep_maps(connection: Connection, new: Mapping[int, CoarseMap | None]) -> None:
    """Replace the views' maps, in the transaction that replaces their probabilities."""
    connection.execute(_DELETE, [{"of_view": view_id} for view_id in new])
    maps = [{"view_id": view_id, **asdict(each)} for view_id, each in new.items() if each]
    if maps:
        connection.execute(_INSERT, maps)


def scored_views(database: Database, study_id: int) -> list[ScoredView]:
    """Return the study's views that count with a probability, in the order of `show_study`."""
    with database.reading() as connection:
        rows = connection.execute(
            select(
                instance.c.sop_instance_uid,
                instance.c.digest,
                instance.c.deleted_at,
                view.c.frame,
                view.c.state,
                activation,
            )
            .join(instance, view.c.instance_id == instance.c.id)
            .outerjoin(activation, activation.c.view_id == view.c.id)
            .where(view.c.study_id == study_id, instance.c.state == InstanceState.SCORABLE)
            .where(view.c.state.in_((ViewState.SCORED, ViewState.PENDING)))
            .where(view.c.probability.is_not(None))
            .order_by(instance.c.id, view.c.frame)
        ).all()
    return [
        ScoredView(
            sop_instance_uid=row.sop_instance_uid,
            frame=row.frame,
            digest=row.digest,
            deleted_at=row.deleted_at,
            waiting=row.state == ViewState.PENDING,
            map=None
            if row.view_id is None
            else CoarseMap(
                height=row.height,
                width=row.width,
                cells=row.cells,
                side=row.side,
                resize=row.resize,
            ),
        )
        for row in rows
    ]
