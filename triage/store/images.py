"""Where the pixels of a study's images lie."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from triage.core.study import InstanceState
from triage.errors import ViewNotFound
from triage.store.database import Database
from triage.store.tables import instance


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """The file of an instance, as it counts now."""

    digest: str  # names it in the spool
    deleted_at: datetime | None  # when retention deleted it


def digests_of(database: Database, study_id: int) -> dict[str, str]:
    """Return the digest of each image of the study that counts, by SOP Instance UID."""
    with database.reading() as connection:
        rows = connection.execute(
            select(instance.c.sop_instance_uid, instance.c.digest).where(
                instance.c.study_id == study_id, instance.c.state != InstanceState.REPLACED
            )
        ).all()
    return {row.sop_instance_uid: row.digest for row in rows}


def find_image(database: Database, study_id: int, sop_instance_uid: str) -> StoredImage:
    """Return the study's image of this SOP Instance UID, the newest where it came again.

    Raises ViewNotFound.
    """
    with database.reading() as connection:
        row = connection.execute(
            select(instance.c.digest, instance.c.deleted_at).where(
                instance.c.sop_instance_uid == sop_instance_uid,
                instance.c.state != InstanceState.REPLACED,
                instance.c.study_id == study_id,
            )
        ).first()
    if row is None:
        raise ViewNotFound(f"the study has no image with the SOP Instance UID {sop_instance_uid!r}")
    return StoredImage(digest=row.digest, deleted_at=row.deleted_at)
