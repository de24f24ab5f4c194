"""Calls: references, caller numbers, client message ids, indexes and search

Brings a database that LibertyCall itself made into the same shape as a new one. A log line whose
call is missing gets a call with an empty client, so that nothing is lost.

Revision ID: 20261121_02
Revises: 20251121_01
Create Date: 2026-11-21 05:00:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from daicho.core.dialect import search_ddl, search_table

revision: str = "20261121_02"
down_revision: str | None = "20251121_01"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

ADOPT_ORPHANS = """
INSERT INTO calls (call_id, client_id, started_at, ended_at, current_state, is_transferred)
SELECT call_id, '', min(timestamp), max(timestamp), 'unknown', false FROM call_logs
WHERE call_id NOT IN (SELECT call_id FROM calls) GROUP BY call_id
"""
CALLS = "id, call_id, client_id, started_at, ended_at, current_state, is_transferred, handover_summary"
LOGS = "id, call_id, timestamp, role, text, state"


def upgrade() -> None:
    op.execute(ADOPT_ORPHANS)
    if op.get_context().dialect.name == "sqlite":
        _rebuild_sqlite()
    else:
        op.add_column("calls", sa.Column("caller_number", sa.String(32)))
        op.add_column("call_logs", sa.Column("message_id", sa.String(64)))
        op.create_foreign_key(
            "fk_call_logs_call_id_calls", "call_logs", "calls", ["call_id"], ["call_id"], ondelete="CASCADE"
        )
    live, named = sa.text("ended_at IS NULL"), sa.text("message_id IS NOT NULL")
    op.create_index("ix_calls_started_at_id", "calls", ["started_at", "id"])
    op.create_index("ix_calls_client_id_started_at_id", "calls", ["client_id", "started_at", "id"])
    op.create_index("ix_calls_live", "calls", ["started_at", "id"], sqlite_where=live, postgresql_where=live)
    op.create_index("ix_call_logs_call_id_id", "call_logs", ["call_id", "id"])
    op.create_index(
        "uq_call_logs_call_id_message_id",
        "call_logs",
        ["call_id", "message_id"],
        unique=True,
        sqlite_where=named,
        postgresql_where=named,
    )
    if op.get_context().dialect.name == "sqlite":
        for statement in search_ddl("call_logs", "text"):
            op.execute(statement)
    else:
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        op.create_index(
            "ix_call_logs_text_trgm",
            "call_logs",
            ["text"],
            postgresql_using="gin",
            postgresql_ops={"text": "gin_trgm_ops"},
        )


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for event in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER {search_table('call_logs')}_{event}")
        op.execute(f"DROP TABLE {search_table('call_logs')}")
        _restore_sqlite()
        return
    op.drop_index("ix_call_logs_text_trgm", "call_logs")
    op.drop_index("uq_call_logs_call_id_message_id", "call_logs")
    op.drop_index("ix_call_logs_call_id_id", "call_logs")
    op.drop_index("ix_calls_live", "calls")
    op.drop_index("ix_calls_client_id_started_at_id", "calls")
    op.drop_index("ix_calls_started_at_id", "calls")
    op.drop_constraint("fk_call_logs_call_id_calls", "call_logs", type_="foreignkey")
    op.drop_column("call_logs", "message_id")
    op.drop_column("calls", "caller_number")


def _rebuild_sqlite() -> None:
    """Make both tables anew: whatever constraints a former program gave them, they end alike."""
    op.execute("ALTER TABLE calls RENAME TO calls_former")
    op.execute("ALTER TABLE call_logs RENAME TO call_logs_former")
    op.execute(
        "CREATE TABLE calls (id INTEGER NOT NULL, call_id VARCHAR(64) NOT NULL,"
        " client_id VARCHAR(128) NOT NULL, started_at DATETIME NOT NULL, ended_at DATETIME,"
        " current_state VARCHAR(64) NOT NULL, is_transferred BOOLEAN NOT NULL, handover_summary TEXT,"
        " caller_number VARCHAR(32), CONSTRAINT pk_calls PRIMARY KEY (id),"
        " CONSTRAINT uq_calls_call_id UNIQUE (call_id))"
    )
    op.execute(
        "CREATE TABLE call_logs (id INTEGER NOT NULL, call_id VARCHAR(64) NOT NULL,"
        " timestamp DATETIME NOT NULL, role VARCHAR(16) NOT NULL, text TEXT NOT NULL,"
        " state VARCHAR(64) NOT NULL, message_id VARCHAR(64), CONSTRAINT pk_call_logs PRIMARY KEY (id),"
        " CONSTRAINT fk_call_logs_call_id_calls FOREIGN KEY (call_id) REFERENCES calls (call_id)"
        " ON DELETE CASCADE)"
    )
    op.execute(
        f"INSERT INTO calls ({CALLS}) SELECT id, call_id, coalesce(client_id, ''),"
        " coalesce(started_at, ended_at, '1970-01-01 00:00:00.000000'), ended_at,"
        " coalesce(current_state, 'unknown'), coalesce(is_transferred, 0), handover_summary FROM calls_former"
    )
    op.execute(
        f"INSERT INTO call_logs ({LOGS}) SELECT l.id, l.call_id, coalesce(l.timestamp, c.started_at),"
        " lower(coalesce(l.role, 'user')), coalesce(l.text, ''), coalesce(l.state, c.current_state)"
        " FROM call_logs_former l JOIN calls c ON c.call_id = l.call_id"
    )
    op.execute("DROP TABLE call_logs_former")
    op.execute("DROP TABLE calls_former")


def _restore_sqlite() -> None:
    op.execute(
        "CREATE TABLE call_logs_former (id INTEGER NOT NULL, call_id VARCHAR(64) NOT NULL,"
        " timestamp DATETIME NOT NULL, role VARCHAR(16) NOT NULL, text TEXT NOT NULL,"
        " state VARCHAR(64) NOT NULL, CONSTRAINT pk_call_logs PRIMARY KEY (id))"
    )
    op.execute(f"INSERT INTO call_logs_former ({LOGS}) SELECT {LOGS} FROM call_logs")
    op.execute("DROP TABLE call_logs")
    op.execute("ALTER TABLE call_logs_former RENAME TO call_logs")
    for index in ("ix_calls_live", "ix_calls_client_id_started_at_id", "ix_calls_started_at_id"):
        op.execute(f"DROP INDEX {index}")
    op.execute("ALTER TABLE calls DROP COLUMN caller_number")
