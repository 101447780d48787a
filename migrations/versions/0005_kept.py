"""The studies of which pixel data is left, found without all that ever were.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

from triage.store.schema import no_way_back

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_instance_kept", "instance")
    kept = sa.text("deleted_at IS NULL")
    op.create_index(
        "ix_instance_kept",
        "instance",
        ["digest", "study_id"],
        sqlite_where=kept,
        postgresql_where=kept,
    )


def downgrade() -> None:
    no_way_back(revision)
