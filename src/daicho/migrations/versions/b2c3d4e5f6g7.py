"""AI usage logs (seed 003)

Revision ID: b2c3d4e5f6g7
Revises: a1b2c3d4e5f6
Create Date: 2025-11-18 00:00:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from daicho.core.types import Instant, UuidText

revision: str = "b2c3d4e5f6g7"
down_revision: str | None = "a1b2c3d4e5f6"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REFERENCES = {
    "tenant_id": ("tenants", "CASCADE"),
    "user_id": ("users", "SET NULL"),
    "assessment_id": ("assessments", "SET NULL"),
    "lead_id": ("leads", "SET NULL"),
}
INDEXES = {
    "idx_ai_usage_logs_tenant_id": ["tenant_id"],
    "idx_ai_usage_logs_operation": ["operation"],
    "idx_ai_usage_logs_created_at": ["created_at"],
    "idx_ai_usage_logs_tenant_created": ["tenant_id", "created_at"],
}


def upgrade() -> None:
    postgres = op.get_context().dialect.name == "postgresql"
    moment = sa.text("now()" if postgres else "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))")
    op.create_table(
        "ai_usage_logs",
        sa.Column("id", UuidText, nullable=False),
        sa.Column("tenant_id", UuidText, nullable=False),
        sa.Column("user_id", UuidText),
        sa.Column("operation", sa.String(100), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("input_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("total_tokens", sa.Integer, nullable=False),
        sa.Column("cost_usd", sa.Float),
        sa.Column("assessment_id", UuidText),
        sa.Column("lead_id", UuidText),
        sa.Column("duration_ms", sa.Integer),
        sa.Column("success", sa.String(20), nullable=False, server_default="success"),
        sa.Column("created_at", Instant, nullable=False, server_default=moment),
        sa.PrimaryKeyConstraint("id", name="pk_ai_usage_logs"),
        *[
            sa.ForeignKeyConstraint(
                [column], [f"{to}.id"], name=f"fk_ai_usage_logs_{column}_{to}", ondelete=action
            )
            for column, (to, action) in REFERENCES.items()
        ],
    )
    for name, columns in INDEXES.items():
        op.create_index(name, "ai_usage_logs", columns)


def downgrade() -> None:
    op.drop_table("ai_usage_logs")
