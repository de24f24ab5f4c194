"""Taking over a table that another system has made: what the revisions that do so have in common.

What cannot be kept stops the migration with the way out. All of it is one transaction, so nothing has
changed then.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import NotSupportedError
from sqlalchemy.types import TypeEngine

from daicho.core.errors import Outdated
from daicho.core.types import uuid_text

SHOWN = 3
"""Things that a message names."""


def columns_of(table: str) -> dict[str, Any]:
    """Return a table's columns by name, as SQLAlchemy's inspector gives them; none if there is no table."""
    inspector = sa.inspect(op.get_bind())
    if not inspector.has_table(table):
        return {}
    return {column["name"]: column for column in inspector.get_columns(table)}


def first_few(found: Sequence[str]) -> str:
    """The first few of what was found, for a message."""
    return ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")


# -- what cannot be taken over --------------------------------------------------------------------


def check_columns(
    table: str, former: Iterable[str], needed: Iterable[sa.Column[Any]], later: Sequence[str] = ()
) -> None:
    """Raise Outdated for a table that is another one of the same name.

    Args:
        former: the names of the columns that are there.
        needed: the columns that the other system's table has.
        later: the names of columns that Daicho will add.
    """
    there = set(former)
    if missing := ", ".join(sorted({column.name for column in needed} - there)):
        raise Outdated(
            f"there is a table {table} already, without {missing}; rename it",
            f"表 {table} が既にあり、{missing} がありません。その表の名前を変えてください",
        )
    if taken := ", ".join(name for name in former if name.lower() in later):
        raise Outdated(
            f"the table {table} has columns of its own named {taken}, which Daicho adds; rename them",
            f"表 {table} に、Daicho が追加する列と同じ名前の列 {taken} があります。名前を変えてください",
        )


def check_key(table: str, wanted: str) -> None:
    """Raise Outdated for a table whose primary key is another."""
    key = sa.inspect(op.get_bind()).get_pk_constraint(table)["constrained_columns"]
    if key != [wanted]:
        raise Outdated(
            f"the primary key of {table} is ({', '.join(key)}), not ({wanted})",
            f"表 {table} の主キーが ({wanted}) ではなく ({', '.join(key)}) です",
        )


def check_references(table: str) -> None:
    """Raise Outdated for rows that reference one that is not there: SQLite did not check, Daicho does."""
    rows = op.get_bind().exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if lost := [f"{child} (row {row})" for child, row, parent, _ in rows if parent.lower() == table]:
        raise Outdated(
            f"there are rows that reference {table} that do not exist ({len(lost):,}): {first_few(lost)}; "
            "delete these rows, then run again: daicho db upgrade",
            f"表 {table} にない行を参照している行が {len(lost):,} 件あります: {first_few(lost)}。"
            "その行を削除してから、もう一度実行してください: daicho db upgrade",
        )


def check_free(tables: Iterable[str]) -> None:
    """Raise Outdated where another system's tables have the names of ours."""
    if taken := sorted(set(tables) & set(sa.inspect(op.get_bind()).get_table_names())):
        shown = ", ".join(taken)
        raise Outdated(
            f"there is a table {shown} already, which Daicho makes; rename it, "
            "then run again: daicho db upgrade",
            f"Daicho が作る表 {shown} が既にあります。その表の名前を変えてから、"
            "もう一度実行してください: daicho db upgrade",
        )


def check_not_referenced(table: str) -> None:
    """Raise Outdated where other tables reference one whose key will change."""
    inspector = sa.inspect(op.get_bind())
    names = inspector.get_table_names()
    found = [
        name
        for name in names
        if any(one["referred_table"].lower() == table for one in inspector.get_foreign_keys(name))
    ]
    if found:
        shown = ", ".join(found)
        raise Outdated(
            f"the key of {table} changes, but {shown} references it; drop this reference, "
            "then run again: daicho db upgrade",
            f"表 {table} のキーが変わりますが、{shown} がそれを参照しています。この外部キーを削除してから、"
            "もう一度実行してください: daicho db upgrade",
        )


def check_types(table: str, names: Iterable[str], kind: type[TypeEngine[Any]]) -> None:
    """Raise Outdated for columns of a PostgreSQL table that are of another type."""
    former = columns_of(table)
    if wrong := [name for name in names if not isinstance(former[name]["type"], kind)]:
        shown = ", ".join(f"{name} ({former[name]['type']})" for name in wrong)
        wanted = {sa.UUID: "UUID", sa.DateTime: "TIMESTAMP"}[kind]
        raise Outdated(
            f"the table {table} has columns of another type: {shown}; make them {wanted}, "
            "then run again: daicho db upgrade",
            f"表 {table} に型の異なる列があります: {shown}。{wanted} に直してから、"
            "もう一度実行してください: daicho db upgrade",
        )


def check_values(table: str, wrong: Mapping[str, str]) -> None:
    """Raise Outdated for rows with values that cannot be kept.

    Args:
        wrong: by column, the condition that its value cannot be kept.
    """
    found, count = [], 0
    for name, condition in wrong.items():
        run = op.get_bind().exec_driver_sql
        count += run(f"SELECT count(*) FROM {table} WHERE {condition}").scalar_one()
        rows = run(
            f"SELECT id, CAST({name} AS text) FROM {table} WHERE {condition} ORDER BY id LIMIT {SHOWN + 1}"
        )
        found += [f"id {id_}: {name} = {value}" for id_, value in rows]
    if found:
        raise Outdated(
            f"the table {table} has values that cannot be kept ({count:,}): {first_few(found)}; "
            "correct them (a cost that is not known is NULL), then run again: daicho db upgrade",
            f"表 {table} に引き継げない値が {count:,} 件あります: {first_few(found)}。"
            "直してから (不明な金額は NULL)、もう一度実行してください: daicho db upgrade",
        )


# -- SQLite: ids --------------------------------------------------------------------------------------


def spell_ids(columns: Mapping[str, Sequence[str]]) -> None:
    """Write UUIDs as Daicho does, lower case with hyphens, in these columns and in what references them.

    Args:
        columns: by table. Raises Outdated for what is no UUID there.
    """
    teach({"uuid_text": uuid_text})
    run = op.get_bind().exec_driver_sql
    quote = op.get_bind().dialect.identifier_preparer.quote_identifier
    for table in sa.inspect(op.get_bind()).get_table_names():
        keys = run(f"PRAGMA foreign_key_list({quote(table)})").mappings()
        referring = [str(key["from"]) for key in keys if key["table"].lower() in columns]
        for name in dict.fromkeys([*columns.get(table, ()), *referring]):
            column = quote(name)
            if table in columns:
                none = f"{column} IS NOT NULL AND uuid_text({column}) IS NULL"
                check_values(table, {column: none})
            right = f"uuid_text({column})"
            run(f"UPDATE {quote(table)} SET {column} = {right} WHERE {column} <> {right}")


# -- SQLite: a new table --------------------------------------------------------------------------


def make_anew(
    table: str,
    create: Callable[[str], None],
    *,
    changed: Mapping[str, str],
    functions: Mapping[str, Callable[[Any], Any]],
    indexes: Iterable[str],
    unique: Sequence[str],
) -> None:
    """Make a table anew beside the former one, then let it take its name and what references it.

    The former one's further columns, unique constraints, indexes and triggers go along.

    Args:
        create: makes the new table, under the name that it is given.
        changed: the SQL of values that do not stay as they are, by column.
        functions: what that SQL calls, each with one argument.
        indexes: names of indexes that the revisions make.
        unique: columns that the revisions make unique, each by itself.
    """
    connection = op.get_bind()
    teach(functions)
    quote = connection.dialect.identifier_preparer.quote_identifier
    further = list(_further(table, indexes, unique, quote))
    beside = f"{table}_new"
    create(beside)
    names = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({beside})")]
    for _, name, kind, *_ in connection.exec_driver_sql(f"PRAGMA table_xinfo({table})").fetchall():
        if name not in names:
            # The type as it was written: its name decides how SQLite keeps the values.
            connection.exec_driver_sql(f"ALTER TABLE {beside} ADD COLUMN {quote(name)} {kind}")
            names.append(name)
    into, values = ", ".join(map(quote, names)), ", ".join(changed.get(name, quote(name)) for name in names)
    connection.exec_driver_sql(f"INSERT INTO {beside} ({into}) SELECT {values} FROM {table}")
    op.drop_table(table)
    with _names_alone(connection):
        op.rename_table(beside, table)
    for statement in further:
        connection.exec_driver_sql(statement)


def teach(functions: Mapping[str, Callable[[Any], Any]]) -> None:
    """Let SQLite's SQL call functions, each with one argument."""
    driver = cast("sqlite3.Connection", op.get_bind().connection.driver_connection)
    for called, function in functions.items():
        driver.create_function(called, 1, function, deterministic=True)


def _further(
    table: str, indexes: Iterable[str], unique: Sequence[str], quote: Callable[[str], str]
) -> Iterator[str]:
    """The statements that make a table's further indexes and triggers, and its constraints as indexes."""
    connection = op.get_bind()
    left = set(indexes)
    for _, name, distinct, origin, partial in connection.exec_driver_sql(f"PRAGMA index_list({table})"):
        of = [row[2] for row in connection.exec_driver_sql(f"PRAGMA index_info({quote(name)})")]
        if distinct and not partial and of in [[one] for one in unique]:
            left.add(name)
        elif origin == "u":
            called = quote(f"uq_{table}_{'_'.join(of)}")
            yield f"CREATE UNIQUE INDEX {called} ON {quote(table)} ({', '.join(map(quote, of))})"
    for name, statement in connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE lower(tbl_name) = ? AND type IN ('index', 'trigger')"
        " AND sql IS NOT NULL ORDER BY type, name",
        (table,),
    ):
        if name not in left:
            yield statement


@contextmanager
def _names_alone(connection: sa.Connection) -> Iterator[None]:
    """Let a table be renamed while views still name the table that is gone."""
    before = connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar()
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA legacy_alter_table = {before}")


# -- PostgreSQL: in place -------------------------------------------------------------------------


def retype(table: str, name: str, kind: TypeEngine[Any], using: str) -> None:
    """Give a column another type. Raises Outdated where a view or the like stands on it."""
    try:
        op.alter_column(table, name, type_=kind, postgresql_using=using)
    except NotSupportedError as error:
        diagnosis = getattr(error.orig, "diag", None)
        reason = getattr(diagnosis, "message_detail", None) or str(error.orig)
        raise Outdated(
            f"the type of {table}.{name} cannot change: {reason}; drop what depends on it, run again: "
            "daicho db upgrade, and make it anew",
            f"{table}.{name} の型を変えられません: {reason}。それに依存するものを一度削除し、"
            "daicho db upgrade をもう一度実行してから作り直してください",
        ) from None


def give_zone(table: str, names: Iterable[str], former: Mapping[str, Any]) -> None:
    """Make points in time of the times that have no zone: they are read as UTC."""
    for name in names:
        if not former[name]["type"].timezone:
            retype(table, name, sa.DateTime(timezone=True), f"{name} AT TIME ZONE 'UTC'")


def settle_nulls(table: str, columns: Iterable[sa.Column[Any]], former: Mapping[str, Any]) -> None:
    """Let NULL be where the columns allow it, and in every column that Daicho does not fill."""
    ours = {column.name: column for column in columns}
    for name, was in former.items():
        wanted = ours[name].nullable if name in ours else True
        if was["nullable"] != wanted:
            op.alter_column(table, name, nullable=wanted)
