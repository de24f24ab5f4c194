"""Members: a file is its member's key, and what is known of each file

A system that went by names may have let several members name one file: it stays with the one that was
changed last, which is who the file describes now.

Revision ID: 20261121_06
Revises: 20261121_05
Create Date: 2026-11-21 16:45:00.000000

"""

import logging
from collections.abc import Sequence
from itertools import groupby

import sqlalchemy as sa
from alembic import op

from daicho.core.errors import Outdated
from daicho.core.language import say
from daicho.core.types import Instant, Json
from daicho.migrations import taking_over

revision: str = "20261121_06"
down_revision: str | None = "20261121_05"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

log = logging.getLogger("daicho")

SHARED = """
SELECT file_uri, id, name FROM {0} WHERE file_uri IN (
    SELECT file_uri FROM {0} WHERE file_uri IS NOT NULL GROUP BY file_uri HAVING count(*) > 1
) ORDER BY file_uri, updated_at IS NULL, updated_at DESC, id DESC
"""


def upgrade() -> None:
    if taking_over.columns_of("member_files"):
        raise Outdated(
            "there is a table member_files already; rename it",
            "表 member_files が既にあります。その表の名前を変えてください",
        )
    for table in ("human_members", "virtual_members"):
        _give_each_file_one_member(table)
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


def _give_each_file_one_member(table: str) -> None:
    """Let a file that several members name stay with one, and say so. An empty text names none."""
    op.execute(f"UPDATE {table} SET file_uri = NULL WHERE file_uri = ''")
    shared = op.get_bind().exec_driver_sql(SHARED.format(table)).fetchall()
    members = sa.table(table, sa.column("id"), sa.column("file_uri"))
    for file_uri, group in groupby(shared, key=lambda row: row.file_uri):
        (_, kept, name), *others = group
        ids = [other.id for other in others]
        op.execute(members.update().where(members.c.id.in_(ids)).values(file_uri=None))
        without = ", ".join(f"{other.name} (id {other.id})" for other in others)
        log.warning(
            say(
                f"{table}: {file_uri} stays with {name} (id {kept}), changed last; "
                f"without a file now: {without}",
                f"{table}: {file_uri} は最後に更新された {name} (id {kept}) のものとします。"
                f"ファイルなしになったもの: {without}",
            )
        )
