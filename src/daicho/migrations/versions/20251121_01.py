"""Calls and call logs, as LibertyCall made them (seed 000)

Revision ID: 20251121_01
Revises:
Create Date: 2025-11-21 08:18:22.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "20251121_01"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
        sa.Column("current_state", sa.String(64), nullable=False),
        sa.Column("is_transferred", sa.Boolean, nullable=False),
        sa.Column("handover_summary", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        sa.UniqueConstraint("call_id", name="uq_calls_call_id"),
    )
    op.create_table(
        "call_logs",
        sa.Column("id", KEY, primary_key=True),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("timestamp", INSTANT, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_call_logs"),
    )


def downgrade() -> None:
    op.drop_table("call_logs")
    op.drop_table("calls")
