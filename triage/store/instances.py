"""The rows of an instance and its views."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import Connection, case, insert, or_, select, update

from triage.core.reasons import Code, reason
from triage.core.study import Instance, InstanceState, ViewState
from triage.store.tables import history, instance, view

SUPERSEDED = reason(Code.INSTANCE_REPLACED, "the same SOP instance came again with other bytes")
PIXELS_DELETED = reason(
    Code.PIXELS_DELETED, "it was not scored before its pixel data was deleted, after the reading"
)

# Of a view that is to be scored as if nobody had tried.
QUEUED: Mapping[str, object] = MappingProxyType(
    {
        "state": ViewState.PENDING,
        "reason": None,
        "held_by": None,
        "held_until": None,
        "attempts": 0,
        "interruptions": 0,
    }
)
NO_SCORE: Mapping[str, object] = MappingProxyType(
    {"probability": None, "threshold": None, "model": None}
)

# Built once, for every image needs them; see `triage.store.derive`.
_INSERT_INSTANCE = insert(instance).returning(instance.c.id)
_INSERT_VIEW = insert(view)


def replace_instance(connection: Connection, instance_id: int) -> None:
    """Set an instance aside whose UID has come again with other bytes."""
    connection.execute(
        update(instance).where(instance.c.id == instance_id).values(state=InstanceState.REPLACED)
    )
    drop_pending(connection, instance_id, SUPERSEDED)


def add_instance(
    connection: Connection, study_id: int, received: Instance, now: datetime, former: int | None
) -> None:
    """Add the received instance with its views, which keep the scores of *former*'s until theirs.

    The bytes may be those of a still earlier version that comes back: then that one counts again.
    """
    # Of an instance of which nothing counts there is nothing.
    again = None if former is None else version(connection, received)
    if again is not None:
        note_file_is_there(connection, again, received.size)
        judge_instance(connection, again, received)
        if not received.frames or _revive_views(connection, again):
            return
    instance_id = again or _insert(connection, study_id, received, now)
    if received.frames:
        scores = {} if former is None else _scores(connection, former)
        add_views(connection, study_id, instance_id, received.frames, scores)


def version(connection: Connection, received: Instance) -> int | None:
    """Return the row that these very bytes have, whether they count or not."""
    return connection.execute(
        select(instance.c.id).where(
            instance.c.sop_instance_uid == received.sop_instance_uid,
            instance.c.digest == received.digest,
        )
    ).scalar()


def add_former(connection: Connection, study_id: int, received: Instance, now: datetime) -> None:
    """Add a version of an instance that came before the one that counts, and counts no more."""
    # Of those that count there may be one alone, at no moment two.
    _insert(connection, study_id, received, now, state=InstanceState.REPLACED)


def note_file_is_there(connection: Connection, instance_id: int, size: int) -> None:
    """Note that an instance has its file again, of *size* bytes."""
    connection.execute(
        update(instance).where(instance.c.id == instance_id).values(deleted_at=None, size=size)
    )


def was_restored(
    connection: Connection, study_id: int, sop_instance_uid: str, since: datetime
) -> bool:
    """Say whether a file of the instance, which had gone, came back after *since*."""
    back = select(history.c.id).where(
        history.c.study_id == study_id,
        history.c.kind == "file_restored",
        history.c.detail == sop_instance_uid,
        history.c.at >= since,
    )
    return connection.execute(back.limit(1)).first() is not None


def requeue(connection: Connection, instance_id: int, *, everything: bool) -> bool:
    """Queue the views again that wait or failed for want of their file; say whether any did.

    With *everything* also those that failed over its content, and those that a scorer
    may just be failing on: the file that it saw is another one, or none.
    """
    lost = or_(
        *(
            view.c.reason.startswith(f"{code}:", autoescape=True)
            for code in (Code.FILE_MISSING, Code.PIXELS_DELETED)
        )
    )
    unscored = view.c.state.in_((ViewState.FAILED, ViewState.PENDING))
    counts = select(instance.c.id).where(
        instance.c.id == instance_id, instance.c.state == InstanceState.SCORABLE
    )
    queued = connection.execute(
        update(view)
        .where(view.c.instance_id.in_(counts), or_(lost, unscored) if everything else lost)
        .values(**QUEUED)
    )
    return queued.rowcount > 0


def judge_instance(connection: Connection, instance_id: int, judged: Instance) -> None:
    """Store what the header means by the rules and settings of today."""
    connection.execute(
        update(instance).where(instance.c.id == instance_id).values(**_judgement(judged))
    )


def add_views(
    connection: Connection,
    study_id: int,
    instance_id: int,
    frames: int,
    scores: Mapping[int, Mapping[str, object]] = MappingProxyType({}),
) -> None:
    """Queue each frame as a view, with its former score from *scores* where it has one."""
    connection.execute(
        _INSERT_VIEW,
        [
            {
                "study_id": study_id,
                "instance_id": instance_id,
                "frame": frame,
                "state": ViewState.PENDING,
                "attempts": 0,
                "interruptions": 0,
                **scores.get(frame, NO_SCORE),
            }
            for frame in range(1, frames + 1)
        ],
    )


def drop_pending(connection: Connection, instance_id: int, why: str | None) -> None:
    """Take an instance's views out of the queue, and from the scorer that may hold them."""
    connection.execute(
        update(view)
        .where(view.c.instance_id == instance_id, view.c.state == ViewState.PENDING)
        .values(state=ViewState.FAILED, reason=why, held_by=None, held_until=None)
    )


def _insert(
    connection: Connection,
    study_id: int,
    received: Instance,
    now: datetime,
    **other: object,
) -> int:
    """Add a row with what was received, *other* values going before; return its id."""
    values: dict[str, object] = dict(
        study_id=study_id,
        sop_instance_uid=received.sop_instance_uid,
        digest=received.digest,
        pixel_digest=received.pixel_digest,
        series_instance_uid=received.series_instance_uid,
        sop_class_uid=received.sop_class_uid,
        transfer_syntax_uid=received.transfer_syntax_uid,
        modality=received.modality,
        **_judgement(received),
        size=received.size,
        calling_ae_title=received.calling_ae_title,
        received_at=now,
    )
    instance_id: int = connection.execute(_INSERT_INSTANCE, values | other).scalar_one()
    return instance_id


def _judgement(received: Instance) -> dict[str, object]:
    exposure = received.exposure
    return {
        "body_part": received.body_part,
        "study_type": received.study_type,
        "part_from": received.part_from,
        "side": received.side,
        "side_from": received.side_from,
        "exposed_field": received.exposed_field,
        "intent": exposure.intent,
        "irradiation_event": exposure.event,
        "acquired": exposure.acquired,
        "view_position": exposure.view_position,
        "source_uid": exposure.source,
        "frames": received.frames,
        "state": InstanceState.SCORABLE if received.frames else InstanceState.UNSCORABLE,
        "reason": received.reason,
    }


def _revive_views(connection: Connection, instance_id: int) -> bool:
    """Let the views of a version that comes back count again; say whether it has any."""
    again = case((view.c.state == ViewState.FAILED, ViewState.PENDING), else_=view.c.state)
    revived = connection.execute(
        update(view)
        .where(view.c.instance_id == instance_id)
        .values(state=again, reason=None, attempts=0, interruptions=0)
    )
    return revived.rowcount > 0


def _scores(connection: Connection, former: int) -> dict[int, dict[str, object]]:
    """Return what the replaced instance's views scored, by frame.

    It counts until the new bytes are scored, so that a study which stood first
    does not fall back while they wait.
    """
    rows = connection.execute(
        select(view.c.frame, view.c.probability, view.c.threshold, view.c.model).where(
            view.c.instance_id == former, view.c.probability.is_not(None)
        )
    ).mappings()
    return {row["frame"]: {key: row[key] for key in NO_SCORE} for row in rows}
