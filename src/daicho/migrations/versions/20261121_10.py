"""Guilds: what is sent twice is kept once, and indexes for long lists

Revision ID: 20261121_10
Revises: 20261121_09
Create Date: 2026-11-21 21:05:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "20261121_10"
down_revision: str | None = "20261121_09"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

REQUESTED = {"tickets": "guild_id", "logs": "guild_id", "queues": "guild_id", "avatar_histories": "user_id"}
"""The tables whose rows may carry the caller's own name for them, and within what it is unique."""
INDEXES = (
    ("tickets", ["guild_id", "created_at", "id"], None),
    ("ticket_messages", ["ticket_id", "timestamp", "id"], None),
    ("logs", ["guild_id", "timestamp", "id"], None),
    ("logs", ["guild_id", "log_type", "timestamp", "id"], None),
    ("logs", ["guild_id", "user_id", "timestamp", "id"], "user_id IS NOT NULL"),
    ("logs", ["guild_id", "channel_id", "timestamp", "id"], "channel_id IS NOT NULL"),
    ("music_sessions", ["current_track_id"], None),
    ("avatar_histories", ["user_id", "timestamp", "id"], None),
)


def upgrade() -> None:
    for table, within in REQUESTED.items():
        op.add_column(table, sa.Column("request_id", sa.String(64)))
        _index(
            f"uq_{table}_{within}_request_id", table, [within, "request_id"], "request_id IS NOT NULL", True
        )
    _index(
        "uq_ticket_messages_ticket_id_message_id",
        "ticket_messages",
        ["ticket_id", "message_id"],
        "message_id <> 0",
        True,
    )
    _index("ix_tickets_open", "tickets", ["created_at", "id"], "status = 'open'")
    for table, columns, where in INDEXES:
        _index(f"ix_{table}_{'_'.join(columns)}", table, columns, where)


def downgrade() -> None:
    for table, columns, _ in INDEXES:
        op.drop_index(f"ix_{table}_{'_'.join(columns)}", table)
    op.drop_index("ix_tickets_open", "tickets")
    op.drop_index("uq_ticket_messages_ticket_id_message_id", "ticket_messages")
    for table, within in REQUESTED.items():
        op.drop_index(f"uq_{table}_{within}_request_id", table)
        op.drop_column(table, "request_id")


def _index(name: str, table: str, columns: list[str], where: str | None, unique: bool = False) -> None:
    part = sa.text(where) if where else None
    op.create_index(name, table, columns, unique=unique, sqlite_where=part, postgresql_where=part)
