"""The audit trail, what retention and repair need to know of the files, a queue of any length.

Revision ID: 0004
Revises: 0003
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from triage.store.columns import Key, Moment
from triage.store.schema import no_way_back

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SQLITE_ONLY_GROWS = (
    """
    CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END
    """,
    """
    CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END
    """,
    # INSERT OR REPLACE deletes the former row without asking the trigger above.
    """
    CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END
    """,
)
POSTGRESQL_ONLY_GROWS = (
    """
    CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the audit trail only grows'; END $$
    """,
    """
    CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()
    """,
)


def upgrade() -> None:
    _audit()
    op.add_column("instance", sa.Column("deleted_at", Moment))
    op.create_index("ix_instance_digest", "instance", ["digest"])
    _partial_index("ix_instance_kept", "instance", ["digest"], "deleted_at IS NULL")
    op.add_column("study", sa.Column("kept_since", Moment))
    # Retention is new to the site: what was read long ago must not go in the first second.
    study = sa.table("study", sa.column("reading_state", sa.Text), sa.column("kept_since", Moment))
    op.execute(
        study.update().where(study.c.reading_state == "read").values(kept_since=datetime.now(UTC))
    )
    _partial_index("ix_study_kept_since", "study", ["kept_since"], "kept_since IS NOT NULL")
    pending = "state = 'pending'"
    trouble = sa.text("(attempts + interruptions)")
    _partial_index("ix_view_queue", "view", [trouble, "id"], pending)
    _partial_index("ix_view_unexplained", "view", ["id"], f"{pending} AND reason IS NULL")
    _partial_index("ix_view_held_by", "view", ["held_by"], "held_by IS NOT NULL")


def _partial_index(name: str, table: str, columns: list[str | sa.TextClause], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def _audit() -> None:
    # It begins with this version: what happened before stands in the history of each study.
    op.create_table(
        "audit",
        sa.Column("id", Key, nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("study_instance_uid", sa.Text),
        sa.Column("accession_number", sa.Text),
        sa.Column("sop_instance_uid", sa.Text),
        sa.Column("detail", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at", "id"])
    op.create_index("ix_audit_kind", "audit", ["kind", "at", "id"])
    op.create_index("ix_audit_study_instance_uid", "audit", ["study_instance_uid", "at", "id"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_ONLY_GROWS if sqlite else POSTGRESQL_ONLY_GROWS:
        op.execute(statement)


def downgrade() -> None:
    no_way_back(revision)
