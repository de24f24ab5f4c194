"""Many rows at once, by each database's fastest way: COPY on PostgreSQL, the driver's cursor on SQLite."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain, islice
from operator import itemgetter
from typing import Any, cast
from uuid import uuid4

import psycopg
from sqlalchemy import Connection, Dialect, Table, Update, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import await_only

from daicho.core.model import Base
from daicho.core.watch import wrote

REFUSED = (IntegrityError, sqlite3.IntegrityError, psycopg.IntegrityError)
"""What a constraint's refusal is, whether it comes through SQLAlchemy or from the driver itself."""
Meanwhile = Callable[[], object]
SAMPLE = 64
"""Rows that a look at whether there are duplicates takes."""
BULK_ROWS = 5_000
"""Rows that one round of a bulk insert carries."""


def insert_numbered(
    connection: Connection, model: type[Base], rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert rows and return their new numbers, in the rows' order: rising, without another's between.

    Every row has the first row's keys. The cheapest way on each database: one statement for all of
    them on PostgreSQL, where each costs a round trip; one each by the driver's cursor on SQLite.
    """
    if connection.dialect.name == "postgresql":
        return list(connection.execute(_numbered(model), rows).scalars())
    statement, values_of = _for_driver(_plain(model), tuple(rows[0]))
    cursor = connection.connection.cursor()
    numbers = []
    for row in rows:
        cursor.execute(statement, values_of(row))
        numbers.append(cursor.lastrowid)
    cursor.close()
    wrote(connection, model.__tablename__, "insert", len(numbers))
    return numbers


def run_many(connection: Connection, statement: Update, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run a statement that is built once (a constant) for each row; return how many rows it touched."""
    if connection.dialect.name == "postgresql":
        return connection.execute(statement, rows).rowcount
    compiled, values_of = _for_driver(statement, ())
    cursor = connection.connection.cursor()
    cursor.executemany(compiled, [values_of(row) for row in rows])
    touched = cursor.rowcount
    cursor.close()
    wrote(connection, statement.table.description, "update", touched)
    return touched


@cache
def _numbered(model: type[Base]) -> Any:
    return postgresql.insert(model).returning(model.__mapper__.primary_key[0], sort_by_parameter_order=True)


@cache
def _plain(model: type[Base]) -> sqlite.Insert:
    return sqlite.insert(model)


@lru_cache(maxsize=64)
def _for_driver(
    statement: sqlite.Insert | Update, names: tuple[str, ...]
) -> tuple[str, Callable[[Mapping[str, Any]], Sequence[Any]]]:
    """A statement as SQLite's driver takes it, and what makes its values of a row."""
    here = sqlite.dialect()
    compiled = statement.compile(dialect=here, column_keys=list(names) or None)
    order = compiled.positiontup or []
    return compiled.string, _values_of([(name, compiled.binds[name].type) for name in order], here)


def insert_new(connection: Connection, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Insert rows but for those that meet a unique constraint; say of each whether it is new.

    Every row has the first row's keys. On PostgreSQL one statement for all, of the same text for any
    number of rows (an array a column); on SQLite one for as many as a power of two, so that there are few
    texts: each gives Python's lock away and has to get it back from whoever waits for the answers.
    """
    if not rows:
        return []
    target = Base.metadata.tables[model.__tablename__]
    names = tuple(rows[0])
    values_of = _values_for(target, names, connection.dialect)
    if connection.dialect.name == "postgresql":
        return _insert_together(connection, model, names, rows, values_of)
    cursor = connection.connection.cursor()
    new: list[bool] = []
    while some := rows[len(new) : len(new) + (1 << _power(len(rows) - len(new)))]:
        statement = _inserting(model, names, _marks(len(some), len(names)))
        cursor.execute(statement, list(chain.from_iterable(map(values_of, some))))
        new += _which(model, some, cursor)
    cursor.close()
    wrote(connection, model.__tablename__, "insert", sum(new))
    return new


TOGETHER = 5
"""The power of two of how many rows SQLite takes in a statement at most."""


def _power(number: int) -> int:
    """The power of two of how many of a number of rows go in a statement."""
    return min(max(number.bit_length() - 1, 0), TOGETHER)


@lru_cache(maxsize=64)
def _marks(rows: int, columns: int) -> str:
    one = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([one] * rows)}"


def _which(model: type[Base], rows: Sequence[Mapping[str, Any]], cursor: Any) -> list[bool]:
    """Which of the rows that SQLite was just given are new: their numbers are the last ones."""
    if cursor.rowcount in {0, len(rows)}:
        return [cursor.rowcount > 0] * len(rows)
    key = _key(model)
    statement = f"SELECT {', '.join(key)} FROM {model.__tablename__} WHERE rowid > ?"
    return _new_among(rows, key, cursor.execute(statement, (cursor.lastrowid - cursor.rowcount,)))


def _insert_together(
    connection: Connection,
    model: type[Base],
    names: tuple[str, ...],
    rows: Sequence[Mapping[str, Any]],
    values_of: Callable[[Mapping[str, Any]], Sequence[Any]],
) -> list[bool]:
    key = _key(model)
    # In the order of their keys: two that write the same ones wait for each other, not in a circle.
    values = [values_of(row) for row in sorted(rows, key=itemgetter(*key))]
    statement = _insert_arrays(model, names, connection.dialect)
    found = connection.exec_driver_sql(statement, tuple(list(column) for column in zip(*values, strict=True)))
    return _new_among(rows, key, found)


def _new_among(
    rows: Sequence[Mapping[str, Any]], key: Sequence[str], inserted: Iterable[Sequence[Any]]
) -> list[bool]:
    """Of each row, whether it is one that was inserted: of several with one key the first."""
    unseen = Counter(tuple(map(str, one)) for one in inserted)
    answers = []
    for row in rows:
        name = tuple(str(row[column]) for column in key)
        answers.append(unseen[name] > 0)
        unseen[name] -= 1
    return answers


@cache
def _key(model: type[Base]) -> list[str]:
    """The names of a model's primary key."""
    return [str(column.key) for column in inspect(model).primary_key]


@lru_cache(maxsize=64)
def _insert_arrays(model: type[Base], names: tuple[str, ...], dialect: Dialect) -> str:
    target = Base.metadata.tables[model.__tablename__]
    arrays = [f"%s::{target.c[name].type.compile(dialect)}[]" for name in names]
    key = ", ".join(f'"{name}"' for name in _key(model))
    rows = f"SELECT * FROM unnest({', '.join(arrays)})"
    return f"{_inserting(model, names, rows)} RETURNING {key}"


@lru_cache(maxsize=64)
def _inserting(model: type[Base], names: tuple[str, ...], what: str) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {model.__tablename__} ({quoted}) {what} ON CONFLICT DO NOTHING"


def insert_many(
    session: Session,
    model: type[Base],
    rows: Iterable[Mapping[str, Any]],
    *,
    skip_duplicates: bool = False,
    at_once: int = BULK_ROWS,
    meanwhile: Meanwhile = lambda: None,
) -> int:
    """Insert any number of rows by the driver's fastest way: COPY, or executemany.

    Every row has the first row's keys. With ``skip_duplicates`` a row that meets a unique constraint
    is left out. ``at_once`` rows go in one statement. ``meanwhile`` is called when the database has all
    of them and we would only wait for it. Returns the number of rows inserted.
    """
    target = Base.metadata.tables[model.__tablename__]
    total = 0
    for chunk in _chunks(rows, at_once):
        names = list(chunk[0])
        if session.get_bind().dialect.name != "postgresql":
            total += _execute_many(session.connection(), target, names, chunk, skip_duplicates, meanwhile)
        elif skip_duplicates:
            total += _copy_new(session.connection(), target, names, chunk, meanwhile)
        else:
            total += _copy(session.connection(), target, names, chunk, meanwhile)
    return total


def _execute_many(
    connection: Connection,
    target: Table,
    names: list[str],
    rows: Sequence[Mapping[str, Any]],
    skip: bool,
    meanwhile: Meanwhile,
) -> int:
    """SQLite: by way of a table of its own, out of which one statement moves all of them.

    For a table with triggers SQLite saves every page that a statement changes, to be able to undo it:
    once a statement, not once a row.
    """
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    values_of = _values_for(target, tuple(names), connection.dialect)
    place = f"incoming_{uuid4().hex}"
    ignore = " ON CONFLICT DO NOTHING" if skip else ""
    cursor = connection.connection.cursor()
    cursor.execute(f"CREATE TEMPORARY TABLE {place} ({columns})")
    cursor.executemany(f"INSERT INTO {place} VALUES ({marks})", [values_of(row) for row in rows])
    meanwhile()
    cursor.execute(f"INSERT INTO {target.name} ({columns}) SELECT {columns} FROM {place} WHERE true{ignore}")
    moved = cursor.rowcount
    cursor.execute(f"DROP TABLE {place}")
    cursor.close()
    wrote(connection, target.name, "insert", moved)
    return moved


def _copy_new(
    connection: Connection,
    target: Table,
    names: list[str],
    rows: Sequence[Mapping[str, Any]],
    meanwhile: Meanwhile,
) -> int:
    """PostgreSQL: copy rows straight in where all are new, as nearly always; else those that are.

    Where even these meet what another has just written, or row-level security, which allows no COPY, they
    take the longer way.
    """
    key_of = itemgetter(*[str(column.key) for column in target.primary_key.columns])
    new: Sequence[Mapping[str, Any]] = rows
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    for look_at in (sample, rows):
        if _there(connection, target, look_at):
            there = _there(connection, target, rows)
            new = [row for row in rows if _name(key_of(row)) not in there]
        if not new:
            return 0
        try:
            with connection.begin_nested():
                return _copy(connection, target, names, _unique(new, key_of), meanwhile)
        except psycopg.errors.UniqueViolation:
            continue
        except psycopg.errors.FeatureNotSupported:
            break
    return _copy_by_way(connection, target, names, new)


def _unique(
    rows: Iterable[Mapping[str, Any]], key_of: Callable[[Mapping[str, Any]], object]
) -> Iterator[Mapping[str, Any]]:
    """The first row of each key."""
    seen = set()
    for row in rows:
        if (key := key_of(row)) not in seen:
            seen.add(key)
            yield row


def _there(connection: Connection, target: Table, rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    """The keys, as texts, of rows that are there already by the first column of their key."""
    first = next(iter(target.primary_key.columns))
    keys = ", ".join(column.name for column in target.primary_key.columns)
    kind = first.type.compile(connection.dialect)
    statement = f"SELECT {keys} FROM {target.name} WHERE {first.name} = ANY(%s::{kind}[])"
    found = connection.exec_driver_sql(statement, ([row[str(first.key)] for row in rows],))
    return {_name(tuple(key)) for key in found}


def _name(key: Any) -> tuple[str, ...]:
    return tuple(map(str, key)) if isinstance(key, tuple) else (str(key),)


def _copy_by_way(
    connection: Connection, target: Table, names: list[str], rows: Sequence[Mapping[str, Any]]
) -> int:
    """PostgreSQL: copy rows into a table of their own, and move from there what is new."""
    columns = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    place = f"incoming_{uuid4().hex}"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE {place} ON COMMIT DROP AS SELECT {columns} FROM {target.name} LIMIT 0"
    )
    _copy(connection, target, names, rows, lambda: None, place)
    moved = connection.exec_driver_sql(
        f"INSERT INTO {target.name} ({columns}) SELECT {columns} FROM {place} ON CONFLICT DO NOTHING"
    ).rowcount
    connection.exec_driver_sql(f"DROP TABLE {place}")
    return moved


def _copy(
    connection: Connection,
    target: Table,
    names: list[str],
    rows: Iterable[Mapping[str, Any]],
    meanwhile: Meanwhile,
    place: str | None = None,
) -> int:
    """PostgreSQL: COPY rows into a table, or into ``place``, which has the same columns."""
    columns = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
    values_of = _values_for(target, tuple(names), connection.dialect)
    values = map(values_of, rows)  # as they are sent: the server works on the former ones meanwhile
    statement = f"COPY {place or target.name} ({columns}) FROM STDIN"
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.AsyncConnection):
        copied = await_only(_copy_async(driver, statement, values, meanwhile))
    else:
        copied = _copy_sync(cast("psycopg.Connection[Any]", driver), statement, values, meanwhile)
    if place is None:
        wrote(connection, target.name, "insert", copied)
    return copied


def _copy_sync(
    driver: psycopg.Connection[Any], statement: str, values: Iterable[Sequence[Any]], meanwhile: Meanwhile
) -> int:
    with driver.cursor() as cursor:
        with cursor.copy(statement.encode()) as copy:
            for value in values:
                copy.write_row(value)
            meanwhile()
        return cursor.rowcount


@lru_cache(maxsize=64)
def _values_for(
    target: Table, names: tuple[str, ...], dialect: Dialect
) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """As ``_values_of``, made once for a table's columns on an engine."""
    return _values_of([(name, target.c[name].type) for name in names], dialect)


def _values_of(
    columns: Sequence[tuple[str, TypeEngine[Any]]], dialect: Dialect
) -> Callable[[Mapping[str, Any]], Sequence[Any]]:
    """What makes a row the values that the driver takes: only what its column's type changes is touched."""
    read = itemgetter(*[name for name, _ in columns])
    changes = [
        (at, kind.dialect_impl(dialect).bind_processor(dialect)) for at, (_, kind) in enumerate(columns)
    ]
    needed = [(at, change) for at, change in changes if change is not None]

    def values_of(row: Mapping[str, Any]) -> Sequence[Any]:
        values = list(read(row)) if len(columns) > 1 else [read(row)]
        for at, change in needed:
            values[at] = change(values[at])
        return values

    return values_of


async def _copy_async(
    driver: psycopg.AsyncConnection[Any],
    statement: str,
    values: Iterable[Sequence[Any]],
    meanwhile: Meanwhile,
) -> int:
    async with driver.cursor() as cursor:
        async with cursor.copy(statement.encode()) as copy:
            for value in values:
                await copy.write_row(value)
            meanwhile()
        return cursor.rowcount


def _chunks(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    source = iter(rows)
    while chunk := list(islice(source, size)):
        yield chunk
