"""What each instance shows: the attributes that decided, and its exposure.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

from triage.store.columns import Key
from triage.store.schema import no_way_back

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXTS = (
    *("part_from", "side_from", "exposed_field"),
    *("intent", "irradiation_event", "acquired", "view_position", "source_uid"),
)


def upgrade() -> None:
    # Instances that are there already keep their study type; why, and what they
    # show of which exposure, is not known of them until they are scored again.
    for name in TEXTS:
        op.add_column("instance", sa.Column(name, sa.Text, nullable=False, server_default=""))
    op.add_column("instance", sa.Column("exposure_id", Key))


def downgrade() -> None:
    no_way_back(revision)
