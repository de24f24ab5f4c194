"""Tasks of a coding agent (seed 001)

A ``tasks`` table that the seed's own system has made (SQLAlchemy's types) is taken over with its
rows and with its further columns, nullable from then on. Its uuids arrive in one spelling: lower
case with hyphens. The older file with TEXT columns is another matter: ``daicho tasks adopt`` reads it.

Revision ID: 20261121_03
Revises: 20261121_02
Create Date: 2026-11-21 15:00:00.000000

"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from daicho.core.errors import Outdated
from daicho.core.types import Instant, UuidText
from daicho.migrations import taking_over
from daicho.migrations.taking_over import first_few

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
LATER = ("process_identity", "heartbeat_at", "claim")
"""The columns that the next revision adds."""
NOT_DIGITS = "[ {}-]|urn:uuid:"
"""What a UUID's spelling may have besides its digits, in the patterns of Python and PostgreSQL."""


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
    former = taking_over.columns_of("tasks")
    if former:
        _check(former)
    there = set()
    if not former:
        _create("tasks")
    elif op.get_context().dialect.name == "sqlite":
        references = list(_references(inspector))
        _check_uuids()
        _make_anew(references)
    else:
        there = {index["name"] for index in inspector.get_indexes("tasks")}
        if not isinstance(former["uuid"]["type"], sa.UUID):
            _refuse(_references(inspector))
            _check_uuids()
        _convert(former)
    for name, of in INDEXES.items():
        if name not in there:
            op.create_index(name, "tasks", of)


def downgrade() -> None:
    op.drop_table("tasks")


def _create(name: str) -> None:
    op.create_table(name, *columns(), sa.PrimaryKeyConstraint("uuid", name="pk_tasks"))


# -- what cannot be taken over --------------------------------------------------------------------


def _check(former: dict[str, Any]) -> None:
    """Raise Outdated for a table that the seed's system has not made."""
    taking_over.check_columns("tasks", former, columns(), LATER)
    if any(isinstance(former[name]["type"], sa.String) for name in TIMES):
        raise Outdated(
            "this is a coding agent's old file, with its times as text; run: daicho tasks adopt FILE",
            "旧コーディングエージェントのファイルです (日時が文字列)。"
            "次を実行してください: daicho tasks adopt FILE",
        )


def _check_uuids() -> None:
    """Raise Outdated for rows whose uuid is none, and for rows that have the same one, spelled otherwise."""
    rows = op.get_bind().exec_driver_sql("SELECT uuid, owner, repo, task_id FROM tasks")
    wrong, twice = [], []
    seen: dict[str, object] = {}
    for uuid, owner, repo, task_id in rows:
        canonical = _canonical(uuid)
        if canonical is None:
            wrong.append(f"{str(uuid)[:60]!r} ({owner}/{repo} {task_id})")
        elif canonical in seen:
            twice.append(f"{seen[canonical]} = {uuid}")
        else:
            seen[canonical] = uuid
    if wrong:
        raise Outdated(
            f"the table tasks has rows whose uuid is no UUID ({len(wrong):,}): {first_few(wrong)}; "
            "correct or delete them, then run again: daicho db upgrade",
            f"表 tasks に、uuid が UUID でない行が {len(wrong):,} 件あります: {first_few(wrong)}。"
            "直すか削除してから、もう一度実行してください: daicho db upgrade",
        )
    if twice:
        raise Outdated(
            f"the table tasks has rows with another row's uuid, spelled otherwise ({len(twice):,}): "
            f"{first_few(twice)}; keep one row of each, then run again: daicho db upgrade",
            f"表 tasks に、uuid が別の行と表記だけ異なる行が {len(twice):,} 件あります: {first_few(twice)}。"
            "それぞれ 1 行だけ残してから、もう一度実行してください: daicho db upgrade",
        )


def _canonical(value: object) -> str | None:
    """A UUID in lower case with hyphens, whatever its spelling; None for what is no UUID."""
    if not isinstance(value, str):
        return None
    digits = re.sub(NOT_DIGITS, "", value, flags=re.IGNORECASE)
    return str(UUID(digits)) if re.fullmatch("[0-9a-fA-F]{32}", digits) else None


def _references(inspector: sa.Inspector) -> Iterator[tuple[str, str]]:
    """The columns that reference a task's uuid: (table, column).

    Raises Outdated for a reference to anything else of a task: only its uuid stays unique.
    """
    for table in inspector.get_table_names():
        for key in inspector.get_foreign_keys(table):
            if key["referred_table"].lower() != "tasks" or key["referred_schema"]:
                continue
            of = key["constrained_columns"]
            # None named means the primary key, which will be uuid.
            if len(of) > 1 or {name.lower() for name in key["referred_columns"]} - {"uuid"}:
                _refuse([(table, ", ".join(of))])
            yield table, of[0]


def _refuse(references: Iterable[tuple[str, str]]) -> None:
    """Raise Outdated for references that cannot be kept, if there are any."""
    if found := first_few([f"{table} ({of})" for table, of in references]):
        raise Outdated(
            f"other tables reference tasks in a way that cannot be kept: {found}; drop these foreign keys, "
            "then run again: daicho db upgrade",
            f"他の表から tasks への参照に、引き継げないものがあります: {found}。"
            "その外部キーを外してから、もう一度実行してください: daicho db upgrade",
        )


# -- SQLite: a new table --------------------------------------------------------------------------


def _make_anew(references: Sequence[tuple[str, str]]) -> None:
    """Make the table anew, and spell what references it as its uuids are spelled then."""
    taking_over.make_anew(
        "tasks",
        _create,
        changed={"uuid": "canonical_uuid(uuid)"} | {name: f"coalesce({name}, 0)" for name in COUNTS},
        functions={"canonical_uuid": _canonical},
        indexes=INDEXES,
        unique=["uuid"],
    )
    connection = op.get_bind()
    quote = connection.dialect.identifier_preparer.quote_identifier
    for table, of in references:
        connection.exec_driver_sql(
            f"UPDATE {quote(table)} SET {quote(of)} = canonical_uuid({quote(of)}) "
            f"WHERE canonical_uuid({quote(of)}) <> {quote(of)}"
        )
    taking_over.check_references("tasks")


# -- PostgreSQL: in place -------------------------------------------------------------------------


def _convert(former: dict[str, Any]) -> None:
    """Give a PostgreSQL table the seed's types where it has others, and let go what Daicho does not fill."""
    taking_over.check_key("tasks", "uuid")
    if not isinstance(former["uuid"]["type"], sa.UUID):
        digits = f"regexp_replace(uuid, '{NOT_DIGITS}', '', 'gi')"
        taking_over.retype("tasks", "uuid", sa.UUID(), f"{digits}::uuid")
    taking_over.give_zone("tasks", TIMES, former)
    for name in COUNTS:
        op.execute(f"UPDATE tasks SET {name} = 0 WHERE {name} IS NULL")
        op.alter_column("tasks", name, server_default="0")
    taking_over.settle_nulls("tasks", columns(), former)
