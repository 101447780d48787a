"""Studies, instances, views, history, and the worklist.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

from triage.store.columns import Key, Moment
from triage.store.schema import no_way_back

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# The two databases subtract moments in their own ways; all else is one text.
WAITING = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM now() - waiting_since) AS double precision)",
    "sqlite": "(julianday('now') - julianday(waiting_since)) * 86400.0",
}
# The outer order repeats that of the numbering, so that a database which sorted
# once for the numbers need not sort again, and LIMIT stops early.
WORKLIST = """
CREATE VIEW worklist AS
SELECT
    row_number() OVER (ORDER BY band, weight, received_at, study_instance_uid) AS position,
    CASE WHEN band <= 1 THEN 'HIGH' WHEN band = 2 THEN 'MEDIUM' ELSE 'LOW' END AS priority,
    overdue,
    label,
    probability,
    status = 'receiving' AS provisional,
    status,
    reason,
    study_type,
    views,
    views_scored,
    accession_number,
    patient_id,
    patient_name,
    study_instance_uid,
    study_description,
    received_at,
    completed_at,
    {waiting} AS waiting_seconds,
    claimed_by,
    model
FROM study
WHERE reading_state <> 'read'
ORDER BY band, weight, received_at, study_instance_uid
"""


def upgrade() -> None:
    _studies()
    _instances()
    _views()
    op.create_table(
        "history",
        sa.Column("id", Key, nullable=False),
        sa.Column("study_id", Key, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text()),
        sa.Column("actor", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_history_study_id"),
    )
    op.create_index("ix_history_study_id", "history", ["study_id"])
    op.execute(WORKLIST.format(waiting=WAITING[op.get_bind().dialect.name]))


def _studies() -> None:
    op.create_table(
        "study",
        sa.Column("id", Key, nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("accession_number", sa.Text()),
        sa.Column("patient_id", sa.Text()),
        sa.Column("patient_name", sa.Text()),
        sa.Column("study_description", sa.Text()),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("last_received_at", Moment(), nullable=False),
        sa.Column("waiting_since", Moment(), nullable=False),
        sa.Column("completed_at", Moment()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("study_type", sa.Text()),
        sa.Column("side", sa.Text()),
        sa.Column("label", sa.Text()),
        sa.Column("probability", sa.Double()),
        sa.Column("model", sa.Text()),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.Column("views_scored", sa.Integer(), nullable=False),
        sa.Column("reading_state", sa.Text(), nullable=False),
        sa.Column("claimed_by", sa.Text()),
        sa.Column("claimed_at", Moment()),
        sa.Column("read_by", sa.Text()),
        sa.Column("read_at", Moment()),
        sa.Column("finding", sa.Text()),
        sa.Column("image_after_reading", sa.Boolean(), nullable=False),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("band", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_study"),
        sa.UniqueConstraint("study_instance_uid", name="uq_study_study_instance_uid"),
    )
    op.create_index("ix_study_accession_number", "study", ["accession_number"])
    for name, columns, where in (
        (
            "ix_study_reading_order",
            ["band", "weight", "received_at", "study_instance_uid"],
            "reading_state <> 'read'",
        ),
        ("ix_study_waiting", ["overdue", "waiting_since"], "reading_state <> 'read'"),
        ("ix_study_receiving", ["last_received_at"], "status = 'receiving'"),
    ):
        _partial_index(name, "study", columns, where)


def _instances() -> None:
    op.create_table(
        "instance",
        sa.Column("id", Key, nullable=False),
        sa.Column("study_id", Key, nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("pixel_digest", sa.String(64), nullable=False),
        sa.Column("series_instance_uid", sa.Text(), nullable=False),
        sa.Column("sop_class_uid", sa.Text(), nullable=False),
        sa.Column("transfer_syntax_uid", sa.Text(), nullable=False),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("body_part", sa.Text(), nullable=False),
        sa.Column("study_type", sa.Text()),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("calling_ae_title", sa.Text(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_instance_study_id"),
        sa.UniqueConstraint(
            "sop_instance_uid", "digest", name="uq_instance_sop_instance_uid_digest"
        ),
    )
    op.create_index("ix_instance_study_id", "instance", ["study_id"])
    _partial_index(
        "ix_instance_current",
        "instance",
        ["sop_instance_uid"],
        "state <> 'replaced'",
        unique=True,
    )


def _views() -> None:
    op.create_table(
        "view",
        sa.Column("id", Key, nullable=False),
        sa.Column("study_id", Key, nullable=False),
        sa.Column("instance_id", Key, nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("probability", sa.Double()),
        sa.Column("threshold", sa.Double()),
        sa.Column("model", sa.Text()),
        sa.Column("scored_at", Moment()),
        sa.Column("held_by", sa.Text()),
        sa.Column("held_until", Moment()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_view"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_view_study_id"),
        sa.ForeignKeyConstraint(["instance_id"], ["instance.id"], name="fk_view_instance_id"),
        sa.UniqueConstraint("instance_id", "frame", name="uq_view_instance_id_frame"),
    )
    op.create_index("ix_view_study_id", "view", ["study_id"])
    _partial_index("ix_view_pending", "view", ["id"], "state = 'pending'")


def _partial_index(
    name: str, table: str, columns: list[str], where: str, *, unique: bool = False
) -> None:
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )


def downgrade() -> None:
    no_way_back(revision)
