"""API keys, own prices, and rows that only their tenant sees

Revision ID: 20261121_08
Revises: 20261121_07
Create Date: 2026-11-21 18:10:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from daicho.core.types import Instant, UuidText
from daicho.migrations import taking_over

revision: str = "20261121_08"
down_revision: str | None = "20261121_07"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TENANT = "(SELECT current_setting('daicho.tenant_id', true))"
"""Whose rows a connection works with; ``*``: everybody's; unset: nobody's."""
OWNED = (
    "users",
    "assessments",
    "leads",
    "ai_usage_logs",
    "usage_totals",
    "usage_details",
    "usage_sources",
    "api_keys",
    "usage_prices",
)


def upgrade() -> None:
    taking_over.check_free(["api_keys", "usage_prices"])
    op.create_table(
        "api_keys",
        sa.Column("id", UuidText, nullable=False),
        sa.Column("tenant_id", UuidText, nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("scope", sa.String(20), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("hint", sa.String(20), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("last_used_at", Instant),
        sa.Column("revoked_at", Instant),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_api_keys_tenant_id_tenants", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id"])
    prices = ("input_price", "output_price", "cache_read_price", "cache_write_price", "discount")
    op.create_table(
        "usage_prices",
        sa.Column("id", UuidText, nullable=False),
        sa.Column("tenant_id", UuidText),
        sa.Column("model", sa.String(100)),
        *[sa.Column(name, sa.Float) for name in prices],
        sa.Column("starts_at", Instant, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage_prices"),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name="fk_usage_prices_tenant_id_tenants", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_usage_prices_tenant_id", "usage_prices", ["tenant_id"])
    if op.get_context().dialect.name == "postgresql":
        for table in ("tenants", *OWNED):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            mine = f"{TENANT} = '*' OR {'id' if table == 'tenants' else 'tenant_id'}::text = {TENANT}"
            seen = f"{mine} OR tenant_id IS NULL" if table == "usage_prices" else mine
            op.execute(f"CREATE POLICY {table}_of_tenant ON {table} USING ({seen}) WITH CHECK ({mine})")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in ("tenants", *OWNED):
            op.execute(f"DROP POLICY {table}_of_tenant ON {table}")
            op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.drop_table("usage_prices")
    op.drop_table("api_keys")
