"""Chat logs, and their sessions, which triggers keep (seed 002, future work)

Revision ID: 20261121_11
Revises: 20261121_10
Create Date: 2026-11-21 23:30:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from daicho.core.types import Instant, JsonText
from daicho.migrations import taking_over

revision: str = "20261121_11"
down_revision: str | None = "20261121_10"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

COUNT = sa.BigInteger().with_variant(sa.Integer, "sqlite")
JOIN = """INSERT INTO chat_sessions (session_id, first_at, last_at, messages)
    {rows}
    ON CONFLICT (session_id) DO UPDATE SET
        first_at = {least}(chat_sessions.first_at, excluded.first_at),
        last_at = {greatest}(chat_sessions.last_at, excluded.last_at),
        messages = chat_sessions.messages + excluded.messages"""
ENDS = """first_at = (SELECT min(timestamp) FROM chat_logs l WHERE l.session_id = chat_sessions.session_id),
        last_at = (SELECT max(timestamp) FROM chat_logs l WHERE l.session_id = chat_sessions.session_id)"""

JOIN_ONE = JOIN.format(
    rows="VALUES (new.session_id, new.timestamp, new.timestamp, 1)", least="min", greatest="max"
)
LEAVE_ONE = f"""DELETE FROM chat_sessions WHERE session_id = old.session_id
        AND NOT EXISTS (SELECT 1 FROM chat_logs WHERE session_id = old.session_id);
    UPDATE chat_sessions SET messages = messages - 1, {ENDS} WHERE session_id = old.session_id"""
ROW_TRIGGERS = {
    "insert": ("INSERT", JOIN_ONE),
    "delete": ("DELETE", LEAVE_ONE),
    "update": ("UPDATE OF session_id, timestamp", f"{LEAVE_ONE}; {JOIN_ONE}"),
}

# In the order of their names: two that write the same sessions wait for each other, not in a circle.
JOIN_SOME = JOIN.format(
    rows="SELECT session_id, min(timestamp), max(timestamp), count(*) FROM added"
    " GROUP BY session_id ORDER BY session_id",
    least="least",
    greatest="greatest",
)
# Locked first, in a statement of its own: the next one sees what others have committed meanwhile.
LEAVE_SOME = f"""PERFORM 1 FROM chat_sessions WHERE session_id IN (SELECT session_id FROM removed)
        ORDER BY session_id FOR UPDATE;
    DELETE FROM chat_sessions WHERE session_id IN (SELECT session_id FROM removed)
        AND NOT EXISTS (SELECT 1 FROM chat_logs l WHERE l.session_id = chat_sessions.session_id);
    UPDATE chat_sessions SET messages = chat_sessions.messages - gone.messages, {ENDS}
        FROM (SELECT session_id, count(*) AS messages FROM removed GROUP BY session_id) gone
        WHERE chat_sessions.session_id = gone.session_id"""
STATEMENT_TRIGGERS = {
    "insert": ("INSERT", "REFERENCING NEW TABLE AS added", JOIN_SOME),
    "delete": ("DELETE", "REFERENCING OLD TABLE AS removed", LEAVE_SOME),
    "update": (
        "UPDATE",
        "REFERENCING OLD TABLE AS removed NEW TABLE AS added",
        f"{LEAVE_SOME}; {JOIN_SOME}",
    ),
    "truncate": ("TRUNCATE", "", "TRUNCATE chat_sessions"),
}


def upgrade() -> None:
    taking_over.check_free(["chat_logs", "chat_sessions"])
    op.create_table(
        "chat_logs",
        sa.Column("session_id", sa.String(250), nullable=False),
        sa.Column("timestamp", Instant, nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("author", sa.String(255)),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("details", JsonText),
        sa.PrimaryKeyConstraint("session_id", "timestamp", name="pk_chat_logs"),
        sa.UniqueConstraint("session_id", "message_id", name="uq_chat_logs_session_id_message_id"),
    )
    op.create_table(
        "chat_sessions",
        sa.Column("session_id", sa.String(250), nullable=False),
        sa.Column("first_at", Instant, nullable=False),
        sa.Column("last_at", Instant, nullable=False),
        sa.Column("messages", COUNT, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_chat_sessions"),
    )
    op.create_index("ix_chat_sessions_last_at_session_id", "chat_sessions", ["last_at", "session_id"])
    op.create_index("ix_chat_sessions_first_at", "chat_sessions", ["first_at"])
    run = op.get_bind().exec_driver_sql
    if op.get_context().dialect.name == "postgresql":
        # What the functions below are created with: nobody's temporary table stands in for one of ours.
        schema = run("SELECT quote_ident(current_schema())").scalar()
        run(f"SET LOCAL search_path = {schema}, pg_temp")
    for statement in _triggers():
        run(statement)


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.drop_table("chat_logs")
    op.drop_table("chat_sessions")
    if postgresql:
        for kind in STATEMENT_TRIGGERS:
            op.execute(f"DROP FUNCTION {_name(kind)}()")


def _triggers() -> list[str]:
    if op.get_bind().dialect.name == "sqlite":
        return [
            f"CREATE TRIGGER {_name(kind)} AFTER {event} ON chat_logs BEGIN {body}; END"
            for kind, (event, body) in ROW_TRIGGERS.items()
        ]
    made = []
    for kind, (event, tables, body) in STATEMENT_TRIGGERS.items():
        made.append(
            f"CREATE FUNCTION {_name(kind)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            f" SET search_path FROM CURRENT AS $$ BEGIN {body}; RETURN NULL; END $$"
        )
        made.append(
            f"CREATE TRIGGER {_name(kind)} AFTER {event} ON chat_logs {tables}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {_name(kind)}()"
        )
    return made


def _name(kind: str) -> str:
    return f"chat_sessions_{kind}"
