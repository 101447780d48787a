"""The tables, one description for SQLite and PostgreSQL.

`migrations/` creates them; a test holds the two against each other. The view
`worklist` is created there too.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from triage.store.columns import Key, Moment

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)

# Characters of an accession number that are kept; SH has 16 (PS3.5 6.2). It is the one indexed
# text that comes as the sender wrote it, and PostgreSQL refuses a row whose index entry is
# longer than a third of a page.
ACCESSION_NUMBER = 64


study = Table(
    "study",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_instance_uid", String(64), nullable=False, unique=True),
    Column("accession_number", Text, index=True),
    Column("patient_id", Text),
    Column("patient_name", Text),
    Column("study_description", Text),
    # That made its newest image; where none says so, who sent it. Null of what came before 0007.
    Column("station", Text),
    # When its images came. `opened_at` is the first image or the one that
    # reopened it, `waiting_since` the first image or the one after a reading.
    Column("received_at", Moment, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("last_received_at", Moment, nullable=False),
    Column("waiting_since", Moment, nullable=False),
    Column("completed_at", Moment),
    # Derived from the views by triage.store.derive, in the transaction that changes them.
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("study_type", Text),
    Column("side", Text),
    Column("label", Text),
    Column("probability", Double),
    Column("model", Text),
    Column("views", Integer, nullable=False),
    Column("views_scored", Integer, nullable=False),
    # The reader's side.
    Column("reading_state", Text, nullable=False),
    Column("claimed_by", Text),
    Column("claimed_at", Moment),
    Column("read_by", Text),
    Column("read_at", Moment),
    Column("finding", Text),
    Column("image_after_reading", Boolean, nullable=False),
    # Since when a read study's pixel data waits for its deletion: the reading, or an image that
    # came later and did not reopen it. Null while it is not read, and when nothing is left.
    Column("kept_since", Moment),
    # The reading order; see triage.core.worklist.
    Column("overdue", Boolean, nullable=False),
    Column("band", Integer, nullable=False),
    Column("weight", Double, nullable=False),
)
# In these very words SQLite need not look into the row again.
ON_WORKLIST = text("reading_state <> 'read'")
Index(
    "ix_study_reading_order",
    study.c.band,
    study.c.weight,
    study.c.received_at,
    study.c.study_instance_uid,
    sqlite_where=ON_WORKLIST,
    postgresql_where=ON_WORKLIST,
)
Index(
    "ix_study_waiting",
    study.c.overdue,
    study.c.waiting_since,
    sqlite_where=ON_WORKLIST,
    postgresql_where=ON_WORKLIST,
)
_RECEIVING = text("status = 'receiving'")
Index(
    "ix_study_receiving",
    study.c.last_received_at,
    sqlite_where=_RECEIVING,
    postgresql_where=_RECEIVING,
)

_MAY_GO = text("kept_since IS NOT NULL")
Index("ix_study_kept_since", study.c.kept_since, sqlite_where=_MAY_GO, postgresql_where=_MAY_GO)

# What came and what was read in a day, a week or a quarter, without all that ever was.
Index("ix_study_received_at", study.c.received_at)
_READ = text("reading_state = 'read'")
Index("ix_study_read_at", study.c.read_at, sqlite_where=_READ, postgresql_where=_READ)

instance = Table(
    "instance",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_id", Key, ForeignKey("study.id"), nullable=False, index=True),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("digest", String(64), nullable=False, index=True),  # names its file in the spool
    Column("pixel_digest", String(64), nullable=False),
    Column("series_instance_uid", Text, nullable=False),
    Column("sop_class_uid", Text, nullable=False),
    Column("transfer_syntax_uid", Text, nullable=False),
    Column("modality", Text, nullable=False),
    Column("body_part", Text, nullable=False),
    Column("study_type", Text),
    Column("part_from", Text, nullable=False),  # the attribute that decided the study type
    Column("side", Text, nullable=False),
    Column("side_from", Text, nullable=False),
    Column("exposed_field", Text, nullable=False),
    # The exposure that it shows; see triage.core.exposure. `exposure_id` is the
    # instance that speaks for it where several show it.
    Column("intent", Text, nullable=False),
    Column("irradiation_event", Text, nullable=False),
    Column("acquired", Text, nullable=False),
    Column("view_position", Text, nullable=False),
    Column("source_uid", Text, nullable=False),
    Column("exposure_id", Key),
    Column("frames", Integer, nullable=False),  # that could be scored, if the state admits it
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("size", BigInteger, nullable=False),
    Column("calling_ae_title", Text, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("deleted_at", Moment),  # when retention deleted its file
    UniqueConstraint("sop_instance_uid", "digest"),
)
_CURRENT = text("state <> 'replaced'")
Index(
    "ix_instance_current",
    instance.c.sop_instance_uid,
    unique=True,
    sqlite_where=_CURRENT,
    postgresql_where=_CURRENT,
)

# What is in the spool, and of which studies, without all that ever was.
_KEPT = text("deleted_at IS NULL")
Index(
    "ix_instance_kept",
    instance.c.digest,
    instance.c.study_id,
    sqlite_where=_KEPT,
    postgresql_where=_KEPT,
)

view = Table(
    "view",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_id", Key, ForeignKey("study.id"), nullable=False, index=True),
    Column("instance_id", Key, ForeignKey("instance.id"), nullable=False),
    Column("frame", Integer, nullable=False),  # from 1, as DICOM counts
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("probability", Double),
    Column("threshold", Double),
    Column("model", Text),
    Column("scored_at", Moment),
    # The scorer that works on it, and until when nobody else may.
    Column("held_by", Text),
    Column("held_until", Moment),
    Column("attempts", Integer, nullable=False),  # that failed, or that the scorer did not survive
    Column("interruptions", Integer, nullable=False),  # by the end of the whole daemon
    UniqueConstraint("instance_id", "frame"),
)
_PENDING = text("state = 'pending'")
Index("ix_view_pending", view.c.id, sqlite_where=_PENDING, postgresql_where=_PENDING)
# The order in which triage.store.scoring takes them; however many wait, the first is found at once.
Index(
    "ix_view_queue",
    view.c.attempts + view.c.interruptions,
    view.c.id,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)
_UNEXPLAINED = text("state = 'pending' AND reason IS NULL")
Index("ix_view_unexplained", view.c.id, sqlite_where=_UNEXPLAINED, postgresql_where=_UNEXPLAINED)
_HELD = text("held_by IS NOT NULL")
Index("ix_view_held_by", view.c.held_by, sqlite_where=_HELD, postgresql_where=_HELD)

# The class activation map of a view that has a probability; see triage.core.activation. Apart
# from the view, whose row changes often, is read by every derivation, and stays small.
activation = Table(
    "activation",
    metadata,
    Column("view_id", Key, ForeignKey("view.id"), primary_key=True, autoincrement=False),
    Column("height", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("cells", LargeBinary, nullable=False),
    Column("side", Integer, nullable=False),
    Column("resize", Text, nullable=False),
)

history = Table(
    "history",
    metadata,
    Column("id", Key, primary_key=True),
    Column("study_id", Key, ForeignKey("study.id"), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text),
    Column("actor", Text),
)

# The audit trail only grows: triggers refuse everything but INSERT. It speaks of studies by
# UID, so that it holds whatever becomes of their rows.
audit = Table(
    "audit",
    metadata,
    Column("id", Key, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("study_instance_uid", Text),
    Column("accession_number", Text),
    Column("sop_instance_uid", Text),
    Column("detail", Text),
    # Each ends with the id, by which a long answer is read page after page.
    Index("ix_audit_at", "at", "id"),
    Index("ix_audit_kind", "kind", "at", "id"),
    Index("ix_audit_study_instance_uid", "study_instance_uid", "at", "id"),
)

# Who may log in to the web interface. What they did stands in the audit trail by name, so that a
# user can be removed. ("user" is a word of SQL.)
web_user = Table(
    "web_user",
    metadata,
    Column("id", Key, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password", Text, nullable=False),  # its hash, see triage.web.passwords
    Column("created_at", Moment, nullable=False),
    Column("password_set_at", Moment, nullable=False),
)

# Who is logged in: a few at a time, for those that are over go when somebody logs in.
web_session = Table(
    "web_session",
    metadata,
    # The SHA-256 of what the browser holds: who reads this table is not logged in by that.
    Column("digest", String(64), primary_key=True),
    Column("user_id", Key, ForeignKey("web_user.id"), nullable=False),
    Column("ends_at", Moment, nullable=False),
)
