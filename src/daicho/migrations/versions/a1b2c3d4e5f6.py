"""Tenants, users, assessments and leads (seed 003)

Revision ID: a1b2c3d4e5f6
Revises: 20261121_06
Create Date: 2026-11-21 18:00:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from daicho.core.types import Instant, UuidText

revision: str = "a1b2c3d4e5f6"
down_revision: str | None = "20261121_06"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

OWNED = ("users", "assessments", "leads")


def upgrade() -> None:
    postgres = op.get_context().dialect.name == "postgresql"
    new_id = sa.text("gen_random_uuid()") if postgres else None
    moment = sa.text("now()" if postgres else "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))")
    op.create_table(
        "tenants",
        sa.Column("id", UuidText, nullable=False, server_default=new_id),
        sa.Column("name", sa.String(255)),
        sa.Column("created_at", Instant, server_default=moment),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
    )
    for table in OWNED:
        op.create_table(
            table,
            sa.Column("id", UuidText, nullable=False, server_default=new_id),
            sa.Column("tenant_id", UuidText, nullable=False),
            sa.Column("name", sa.String(255)),
            sa.Column("created_at", Instant, server_default=moment),
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
            sa.ForeignKeyConstraint(
                ["tenant_id"], ["tenants.id"], name=f"fk_{table}_tenant_id_tenants", ondelete="CASCADE"
            ),
        )
        op.create_index(f"ix_{table}_tenant_id", table, ["tenant_id"])


def downgrade() -> None:
    for table in reversed(OWNED):
        op.drop_table(table)
    op.drop_table("tenants")
