"""Tasks: who works on one, and the last sign of life

Revision ID: 20261121_04
Revises: 20261121_03
Create Date: 2026-11-21 15:10:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from daicho.core.types import Instant

revision: str = "20261121_04"
down_revision: str | None = "20261121_03"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("process_identity", sa.String(128)))
    op.add_column("tasks", sa.Column("heartbeat_at", Instant))
    op.add_column("tasks", sa.Column("claim", sa.String(36)))


def downgrade() -> None:
    op.drop_column("tasks", "claim")
    op.drop_column("tasks", "heartbeat_at")
    op.drop_column("tasks", "process_identity")
