"""The class activation map of each view.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from triage.store.columns import Key
from triage.store.schema import no_way_back

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Views that are scored already have none until they are scored again.
    op.create_table(
        "activation",
        sa.Column("view_id", Key, autoincrement=False, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("cells", sa.LargeBinary, nullable=False),
        sa.Column("side", sa.Integer, nullable=False),
        sa.Column("resize", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("view_id", name="pk_activation"),
        sa.ForeignKeyConstraint(["view_id"], ["view.id"], name="fk_activation_view_id"),
    )


def downgrade() -> None:
    no_way_back(revision)
