"""Members, human and virtual (seed 002)

The tables ``human_members`` and ``virtual_members`` that the seed's own system has made are taken over
with their rows, ids and further columns, which may be NULL from then on. Times without a zone are read as
UTC, as its container runs; whoever had another gives the columns a zone first (docs/members.md).

Revision ID: 20261121_05
Revises: 20261121_04
Create Date: 2026-11-21 16:40:00.000000

"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from daicho.core.errors import Outdated
from daicho.core.language import Text
from daicho.core.types import Instant, StringList
from daicho.migrations import taking_over
from daicho.migrations.former_values import instant, json_list, texts

revision: str = "20261121_05"
down_revision: str | None = "20261121_04"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

Columns = Sequence[sa.Column[Any]]
Lists = dict[str, list[str] | None]

TIMES = ("created_at", "updated_at")
OTHER_TIME = {"created_at": "updated_at", "updated_at": "created_at"}
NUMBER_MAX = 2**31 - 1


def human_columns() -> Columns:
    return [
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(255)),
        sa.Column("skills", StringList),
        sa.Column("bio", sa.Text),
        sa.Column("contact_email", sa.String(255)),
        sa.Column("github_username", sa.String(255)),
        sa.Column("file_uri", sa.String(512)),
        *_times(),
    ]


def virtual_columns() -> Columns:
    return [
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("role", sa.String(255)),
        sa.Column("llm_model", sa.String(255), nullable=False),
        sa.Column("system_prompt", sa.Text),
        sa.Column("personality_traits", StringList),
        sa.Column("expertise_areas", StringList),
        sa.Column("file_uri", sa.String(512)),
        *_times(),
    ]


def _times() -> Columns:
    return [sa.Column(name, Instant, server_default=sa.func.current_timestamp()) for name in TIMES]


TABLES: Mapping[str, Callable[[], Columns]] = {
    "human_members": human_columns,
    "virtual_members": virtual_columns,
}


def upgrade() -> None:
    for table, columns in TABLES.items():
        former = taking_over.columns_of(table)
        if not former:
            _create(table, table)
            continue
        taking_over.check_columns(table, former, columns())
        _check_types(table, former)
        changed = dict(_read(table, columns(), former))
        if op.get_context().dialect.name == "sqlite":
            _make_anew(table, columns())
        else:
            _convert(table, former, columns())
            _write(table, columns(), changed)


def downgrade() -> None:
    op.drop_table("virtual_members")
    op.drop_table("human_members")


def _create(table: str, name: str) -> None:
    op.create_table(
        name,
        *TABLES[table](),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("name", name=f"uq_{table}_name"),
    )


# -- what is there --------------------------------------------------------------------------------


def _check_types(table: str, former: Mapping[str, Any]) -> None:
    """Raise Outdated for columns that cannot become what they should be."""
    taking_over.check_key(table, "id")
    wrong = [] if isinstance(former["id"]["type"], sa.Integer) else ["id"]
    if op.get_context().dialect.name == "postgresql":
        wrong += [name for name in TIMES if not isinstance(former[name]["type"], sa.DateTime)]
    if wrong:
        shown = ", ".join(f"{name} ({former[name]['type']})" for name in wrong)
        raise Outdated(
            f"the table {table} has columns of another type: {shown}; make id an INTEGER and the times "
            "TIMESTAMP, then run again: daicho db upgrade",
            f"表 {table} に型の異なる列があります: {shown}。id は INTEGER、日時は TIMESTAMP に直してから、"
            "もう一度実行してください: daicho db upgrade",
        )


def _read(table: str, columns: Columns, former: Mapping[str, Any]) -> Iterator[tuple[int, Lists]]:
    """Yield the lists of the rows whose lists are to be written anew, by the row's id.

    Raises Outdated for rows with values that cannot be kept.
    """
    arrays = {
        column.name: isinstance(former[column.name]["type"], sa.ARRAY)
        for column in columns
        if isinstance(column.type, StringList)
    }
    # PostgreSQL keeps times that Python has not; there they need no reading.
    read = [c for c in columns if c.name not in TIMES or op.get_context().dialect.name == "sqlite"]
    rows = op.get_bind().exec_driver_sql(f"SELECT {', '.join(c.name for c in read)} FROM {table} ORDER BY id")
    wrong: list[Text] = []
    first: dict[object, int] = {}
    for row in rows.mappings():
        reasons = [reason for column in read if (reason := _wrong(column, row[column.name]))]
        if row["name"] is not None and (holder := first.setdefault(row["name"], row["id"])) != row["id"]:
            reasons.append(Text(f"name is that of id {holder} too", f"name が id {holder} と同じ"))
        wrong += [Text(f"id {row['id']}: {one.en}", f"id {row['id']}: {one.ja}") for one in reasons]
        if not wrong:
            lists = {name: texts(row[name]) for name in arrays}
            if any(value != row[name] or not arrays[name] for name, value in lists.items()):
                yield row["id"], lists
    if wrong:
        raise Outdated(
            f"the table {table} has values that cannot be kept ({len(wrong):,}): "
            f"{taking_over.first_few([one.en for one in wrong])}; "
            "correct them, then run again: daicho db upgrade",
            f"表 {table} に引き継げない値が {len(wrong):,} 件あります: "
            f"{taking_over.first_few([one.ja for one in wrong])}。"
            "直してから、もう一度実行してください: daicho db upgrade",
        )


def _wrong(column: sa.Column[Any], value: object) -> Text | None:
    """Why a column cannot keep a value; None if it can."""
    name, kind, shown = column.name, column.type, repr(str(value)[:40])
    if value is None:
        return None if column.nullable else Text(f"{name} is NULL", f"{name} が NULL")
    if isinstance(kind, StringList):
        try:
            texts(value)
        except ValueError:
            return Text(
                f'{name} is no list of texts like ["one", "two"]: {shown}',
                f'{name} が ["one", "two"] のような文字列のリストではない: {shown}',
            )
    elif isinstance(kind, Instant):
        if instant(value) is None:
            return Text(f"{name} is no time: {shown}", f"{name} が日時ではない: {shown}")
    elif isinstance(kind, sa.Integer):
        if isinstance(value, int) and value > NUMBER_MAX:
            return Text(f"{name} is over {NUMBER_MAX:,}", f"{name} が {NUMBER_MAX:,} を超えている")
    elif isinstance(kind, sa.String) and kind.length and len(str(value)) > kind.length:
        return Text(f"{name} is longer than {kind.length}", f"{name} が {kind.length} 文字を超えている")
    return None


# -- what becomes of it ---------------------------------------------------------------------------


def _filled(name: str, read: str = "{}") -> str:
    """The SQL of a time where it may be missing: the row's other one, else now."""
    known = ", ".join(read.format(one) for one in (name, OTHER_TIME[name]))
    return f"coalesce({known}, CURRENT_TIMESTAMP)"


def _make_anew(table: str, columns: Columns) -> None:
    taking_over.make_anew(
        table,
        lambda name: _create(table, name),
        changed={name: _filled(name, "instant({})") for name in TIMES}
        | {column.name: f"list({column.name})" for column in columns if isinstance(column.type, StringList)},
        functions={"instant": instant, "list": json_list},
        indexes=[f"uq_{table}_file_uri"],
        unique=["name", "file_uri"],
    )
    taking_over.check_references(table)


def _convert(table: str, former: Mapping[str, Any], columns: Columns) -> None:
    """Give a PostgreSQL table the types, the defaults and the constraints' names of a new one."""
    taking_over.give_zone(table, TIMES, former)
    for column in columns:
        if column.name in TIMES:
            op.alter_column(table, column.name, server_default=sa.func.current_timestamp())
            continue
        kind, was = column.type, former[column.name]["type"]
        dialect = op.get_context().dialect
        if isinstance(kind, StringList) and not isinstance(was, sa.ARRAY):
            op.alter_column(table, column.name, server_default=None)
            taking_over.retype(table, column.name, kind, "NULL")  # ``_write`` fills it
        elif kind.compile(dialect) != was.compile(dialect):
            taking_over.retype(table, column.name, kind, f"{column.name}::{kind.compile(dialect)}")
    missing = " OR ".join(f"{name} IS NULL" for name in TIMES)
    op.execute(
        f"UPDATE {table} SET {', '.join(f'{name} = {_filled(name)}' for name in TIMES)} WHERE {missing}"
    )
    taking_over.settle_nulls(table, columns, former)
    _name_constraints(table)
    _count_on(table, former["id"])


def _write(table: str, columns: Columns, changed: Mapping[int, Lists]) -> None:
    target = sa.table(table, *[sa.column(column.name, column.type) for column in columns])
    for key, lists in changed.items():
        values = {name: sa.null() if value is None else value for name, value in lists.items()}
        op.execute(target.update().where(target.c.id == key).values(values))


def _name_constraints(table: str) -> None:
    """Give a PostgreSQL table's constraints the names that ours have; ``file_uri`` gets its own next."""
    inspector = sa.inspect(op.get_bind())
    quote = op.get_context().dialect.identifier_preparer.quote
    unique = {one["name"]: one["column_names"] for one in inspector.get_unique_constraints(table)}
    key = inspector.get_pk_constraint(table)["name"]
    renamed = {str(key): f"pk_{table}"}
    by_name = [str(name) for name, of in unique.items() if of == ["name"]]
    if by_name:
        renamed[by_name[0]] = f"uq_{table}_name"
    for name, wanted in renamed.items():
        if name != wanted:
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {quote(name)} TO {wanted}")
    for constraint, of in unique.items():
        if of == ["file_uri"]:
            op.drop_constraint(str(constraint), table)
    whole = [one for one in inspector.get_indexes(table) if one["unique"] and one["name"] not in unique]
    whole = [one for one in whole if not one["dialect_options"].get("postgresql_where")]
    for index in whole:
        if index["column_names"] == ["file_uri"]:
            op.drop_index(str(index["name"]), table)
    if not by_name:
        former = next((str(one["name"]) for one in whole if one["column_names"] == ["name"]), None)
        by = f"USING INDEX {quote(former)}" if former else "(name)"
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT uq_{table}_name UNIQUE {by}")


def _count_on(table: str, key: Mapping[str, Any]) -> None:
    """Let a PostgreSQL table's ids go on after the highest: also where none were counted."""
    connection = op.get_bind()
    find = f"SELECT pg_get_serial_sequence('{table}', 'id')"
    sequence = connection.exec_driver_sql(find).scalar()
    if sequence is None and not key["default"]:
        op.execute(f"CREATE SEQUENCE {table}_id_seq AS INTEGER OWNED BY {table}.id")
        op.execute(f"ALTER TABLE {table} ALTER id SET DEFAULT nextval('{table}_id_seq')")
        sequence = connection.exec_driver_sql(find).scalar()
    if sequence is not None:
        op.execute(
            f"SELECT setval('{sequence}', max(id)) FROM {table} "
            f"HAVING max(id) > coalesce(pg_sequence_last_value('{sequence}'), 0)"
        )
