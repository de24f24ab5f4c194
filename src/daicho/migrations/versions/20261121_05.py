"""Members, human and virtual (seed 002)

Revision ID: 20261121_05
Revises: 20261121_04
Create Date: 2026-11-21 16:40:00.000000

"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from daicho.core.types import Instant, StringList

revision: str = "20261121_05"
down_revision: str | None = "20261121_04"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def _times() -> list[sa.Column[Any]]:
    return [
        sa.Column(name, Instant, server_default=sa.func.current_timestamp())
        for name in ("created_at", "updated_at")
    ]


def upgrade() -> None:
    op.create_table(
        "human_members",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(255)),
        sa.Column("skills", StringList),
        sa.Column("bio", sa.Text),
        sa.Column("contact_email", sa.String(255)),
        sa.Column("github_username", sa.String(255)),
        sa.Column("file_uri", sa.String(512)),
        *_times(),
        sa.PrimaryKeyConstraint("id", name="pk_human_members"),
        sa.UniqueConstraint("name", name="uq_human_members_name"),
    )
    op.create_table(
        "virtual_members",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(255)),
        sa.Column("llm_model", sa.String(255), nullable=False),
        sa.Column("system_prompt", sa.Text),
        sa.Column("personality_traits", StringList),
        sa.Column("expertise_areas", StringList),
        sa.Column("file_uri", sa.String(512)),
        *_times(),
        sa.PrimaryKeyConstraint("id", name="pk_virtual_members"),
        sa.UniqueConstraint("name", name="uq_virtual_members_name"),
    )


def downgrade() -> None:
    op.drop_table("virtual_members")
    op.drop_table("human_members")
