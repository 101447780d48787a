"""What came and what was read in some time, found by the moment; the station of each study.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

from triage.store.schema import no_way_back

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of what came before, nobody noted the station: it stays unknown.
    op.add_column("study", sa.Column("station", sa.Text))
    op.create_index("ix_study_received_at", "study", ["received_at"])
    read = sa.text("reading_state = 'read'")
    op.create_index(
        "ix_study_read_at", "study", ["read_at"], sqlite_where=read, postgresql_where=read
    )


def downgrade() -> None:
    no_way_back(revision)
