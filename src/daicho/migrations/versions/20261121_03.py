"""Tasks of a coding agent (seed 001)

A ``tasks`` table that the seed's own system has made (SQLAlchemy's types) is taken over with its
rows. The older file with TEXT columns is another matter: ``daicho tasks adopt`` reads it.

Revision ID: 20261121_03
Revises: 20261121_02
Create Date: 2026-11-21 15:00:00.000000

"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from daicho.core.errors import Outdated
from daicho.core.types import Instant, UuidText

revision: str = "20261121_03"
down_revision: str | None = "20261121_02"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEXES = {
    "ix_tasks_status": ["status"],
    "ix_tasks_created_at": ["created_at"],
    "ix_tasks_user": ["user"],
    "ix_tasks_task_source_owner_repo": ["task_source", "owner", "repo"],
}
TIMES = ("created_at", "started_at", "completed_at")
COUNTS = ("llm_call_count", "tool_call_count", "total_tokens", "compression_count")


def columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("uuid", UuidText, nullable=False),
        sa.Column("task_source", sa.String(50), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("repo", sa.String(255), nullable=False),
        sa.Column("task_type", sa.String(50), nullable=False),
        sa.Column("task_id", sa.String(50), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("started_at", Instant),
        sa.Column("completed_at", Instant),
        sa.Column("process_id", sa.Integer),
        sa.Column("hostname", sa.String(255)),
        sa.Column("llm_provider", sa.String(50)),
        sa.Column("model", sa.String(100)),
        sa.Column("context_length", sa.Integer),
        *[sa.Column(name, sa.Integer, server_default="0") for name in COUNTS],
        sa.Column("error_message", sa.Text),
        sa.Column("user", sa.String(255)),
    ]


def upgrade() -> None:
    inspector = sa.inspect(op.get_bind())
    former = {}
    if inspector.has_table("tasks"):
        former = {column["name"]: column for column in inspector.get_columns("tasks")}
        _check(former)
    sqlite = op.get_context().dialect.name == "sqlite"
    if former and not sqlite:
        _convert(former, inspector.get_pk_constraint("tasks")["constrained_columns"])
    else:
        if former:
            _set_aside(inspector)
        op.create_table("tasks", *columns(), sa.PrimaryKeyConstraint("uuid", name="pk_tasks"))
        if former:
            _bring_over(former)
    there = {index["name"] for index in inspector.get_indexes("tasks")} if former and not sqlite else set()
    for name, of in INDEXES.items():
        if name not in there:
            op.create_index(name, "tasks", of)


def downgrade() -> None:
    op.drop_table("tasks")


def _check(former: dict[str, Any]) -> None:
    """Raise Outdated for a table that the seed's system has not made."""
    needed = {column.name for column in columns()}
    if missing := sorted(needed - former.keys()):
        raise Outdated(f"there is a table tasks already, without {', '.join(missing)}; rename it")
    if any(isinstance(former[name]["type"], sa.String) for name in TIMES):
        raise Outdated(
            "this is a coding agent's old file, with its times as text; run: daicho tasks adopt FILE",
            "旧コーディングエージェントのファイルです (日時が文字列)。"
            "次を実行してください: daicho tasks adopt FILE",
        )


def _set_aside(inspector: sa.Inspector) -> None:
    for index in inspector.get_indexes("tasks"):
        op.drop_index(str(index["name"]), "tasks")
    op.rename_table("tasks", "tasks_former")


def _bring_over(former: dict[str, Any]) -> None:
    names = [column.name for column in columns()]
    quoted = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(
        f'coalesce("{name}", 0)' if name in COUNTS else f'lower("{name}")' if name == "uuid" else f'"{name}"'
        for name in names
    )
    op.execute(f"INSERT INTO tasks ({quoted}) SELECT {values} FROM tasks_former")
    op.drop_table("tasks_former")


def _convert(former: dict[str, Any], key: list[str]) -> None:
    """Give a PostgreSQL table the seed's types where it has others, and let go what Daicho does not fill."""
    if not isinstance(former["uuid"]["type"], sa.UUID):
        op.alter_column("tasks", "uuid", type_=sa.UUID, postgresql_using="uuid::uuid")
    for name in TIMES:
        if not former[name]["type"].timezone:
            zoned = sa.DateTime(timezone=True)
            op.alter_column("tasks", name, type_=zoned, postgresql_using=f"{name} AT TIME ZONE 'UTC'")
    for name in COUNTS:
        op.execute(f"UPDATE tasks SET {name} = 0 WHERE {name} IS NULL")
        op.alter_column("tasks", name, server_default="0", nullable=True)
    for column in columns():
        if column.nullable is False and former[column.name]["nullable"]:
            op.alter_column("tasks", column.name, nullable=False)
    known = {column.name for column in columns()}
    for name in former.keys() - known:
        op.alter_column("tasks", name, nullable=True)
    if key != ["uuid"]:
        raise Outdated(f"the primary key of tasks is ({', '.join(key)}), not (uuid)")
