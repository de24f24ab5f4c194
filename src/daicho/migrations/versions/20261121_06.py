"""Members: a file is its member's key, and what is known of each file

Revision ID: 20261121_06
Revises: 20261121_05
Create Date: 2026-11-21 16:45:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from daicho.core.types import Instant, Json

revision: str = "20261121_06"
down_revision: str | None = "20261121_05"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    for table in ("human_members", "virtual_members"):
        op.create_index(f"uq_{table}_file_uri", table, ["file_uri"], unique=True)
    op.create_table(
        "member_files",
        sa.Column("file_uri", sa.String(512), nullable=False),
        sa.Column("etag", sa.String(255)),
        sa.Column("sequencer", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("problems", Json),
        sa.Column("modified_at", Instant),
        sa.Column("synced_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("file_uri", name="pk_member_files"),
    )
    op.create_index("ix_member_files_status", "member_files", ["status"])


def downgrade() -> None:
    op.drop_table("member_files")
    for table in ("virtual_members", "human_members"):
        op.drop_index(f"uq_{table}_file_uri", table)
