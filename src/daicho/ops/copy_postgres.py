"""One end of a copy that is a PostgreSQL database."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Column, Connection, Integer, Table, text

from daicho.core.model import Base
from daicho.core.types import Instant, UuidText
from daicho.ops.copy_ends import AT_ONCE, End, Last, Reading
from daicho.ops.copy_values import Values, for_postgresql, selected

SIDE_BY_SIDE = 2
"""Indexes that are built at the same time: each takes a core of the server's, and its memory."""
MEMORY = "256MB"
MINE = "= ANY(CAST(:tables AS regclass[]))"
CONSTRAINTS = text(
    "SELECT contype, format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),"
    " format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))"
    f" FROM pg_constraint WHERE contype IN ('f', 'p', 'u') AND conrelid {MINE} ORDER BY conname"
)
INDEXES = text(
    "SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid) FROM pg_index"
    f" WHERE indrelid {MINE} AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)"
    " ORDER BY indexrelid::regclass::text"
)
TRIGGERS = text(
    "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger"
    f" WHERE tgrelid {MINE} AND NOT tgisinternal ORDER BY 1"
)
NUMBERS = (
    "SELECT pg_get_serial_sequence({name}, 'id'), greatest(coalesce(max(id), 0),"
    " coalesce(pg_sequence_last_value(pg_get_serial_sequence({name}, 'id')::regclass), 0)) FROM {table}"
)


class PostgresReading(Reading):
    """A PostgreSQL database, read in one transaction, in the order of each table's key."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def count(self, table: Table) -> int:
        found = self._connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.name))
        )
        (count,) = found.fetchone() or (0,)
        return int(count)

    def batches(self, table: Table, after: Last | None) -> Iterator[tuple[list[Values], Last]]:
        columns = list(table.columns)
        key = [columns.index(column) for column in table.primary_key.columns]
        order = ", ".join(f'"{columns[at].name}"' for at in key)
        beyond = ", ".join(_typed(columns[at]) for at in key)
        where = f" WHERE ({order}) > ({beyond})" if after else ""
        query = f'SELECT {", ".join(map(selected, columns))} FROM "{table.name}"{where} ORDER BY {order}'
        with self._connection.cursor(f"daicho_copy_{table.name}", binary=True) as cursor:
            cursor.execute(cast("Any", query), after or None)
            while rows := cursor.fetchmany(AT_ONCE):
                yield cast("list[Values]", rows), [rows[-1][at] for at in key]

    def numbered(self) -> dict[str, int]:
        tables = filter(is_numbered, Base.metadata.sorted_tables)
        return {table.name: _numbers(self._connection, table.name)[1] for table in tables}


class PostgresEnd(End):
    """A PostgreSQL database as an end of a copy."""

    @contextmanager
    def reading(self) -> Iterator[PostgresReading]:
        with self.database.engine.connect() as plain:
            connection = plain.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(text("SET TRANSACTION READ ONLY"))
            yield PostgresReading(_driver(connection))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with super().writing() as connection:
            # Rows and the note of how far they came are lost together or not at all.
            connection.execute(text("SET LOCAL synchronous_commit = off"))
            connection.execute(text("SET LOCAL timezone = 'UTC'"))
            connection.execute(text(f"SET LOCAL maintenance_work_mem = '{MEMORY}'"))
            yield connection

    def bare(self, connection: Connection, tables: Sequence[Table]) -> tuple[list[str], list[str]]:
        mine = {"tables": [f'"{table.name}"' for table in tables]}
        constraints = connection.execute(CONSTRAINTS, mine).all()
        indexes = connection.execute(INDEXES, mine).all()
        triggers = connection.execute(TRIGGERS, mine).scalars().all()
        foreign = [row for row in constraints if row[0] == "f"]
        own = [row for row in constraints if row[0] != "f"]
        taken = [drop for _, drop, _ in (*foreign, *own)] + [drop for drop, _ in indexes]
        given_back = [make for _, _, make in own] + [make for _, make in indexes]
        given_back += [make for _, _, make in foreign]
        return (
            [*taken, *[f"ALTER TABLE {name} DISABLE TRIGGER USER" for name in triggers]],
            [*given_back, *[f"ALTER TABLE {name} ENABLE TRIGGER USER" for name in triggers]],
        )

    def write(self, table: Table, rows: Sequence[Values], last: Last, total: int) -> None:
        columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
        values_of = for_postgresql(table)
        with self.writing() as connection:
            with _driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(values_of(row))
            self.note(connection, f"table {table.name}", [last, total])

    def restored_together(self, statements: dict[str, str], done: Callable[[], None]) -> None:
        # Keys and indexes first, side by side; references need them, and lock two tables each.
        apart = {at: one for at, one in statements.items() if not _needs_others(one)}
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="daicho-index") as threads:
            for _ in threads.map(self.restore, apart.keys(), apart.values()):
                done()
        for at in statements.keys() - apart.keys():
            self.restore(at, statements[at])
            done()

    def finish(self, tables: Sequence[Table], numbered: dict[str, int]) -> None:
        with self.database.engine.begin() as connection:
            driver = _driver(connection)
            for table in tables:
                if is_numbered(table):
                    sequence, highest = _numbers(driver, table.name)
                    if sequence and (highest := max(highest, numbered.get(table.name, 0))):
                        driver.execute("SELECT setval(%s, %s)", (sequence, highest))
                driver.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table.name)))
            self.is_whole(connection)


def is_numbered(table: Table) -> bool:
    """Whether the database counts a table's rows up."""
    return "id" in table.columns and isinstance(table.columns["id"].type, Integer)


def _numbers(connection: "psycopg.Connection[Any]", table: str) -> tuple[str | None, int]:
    query = sql.SQL(NUMBERS).format(name=sql.Literal(table), table=sql.Identifier(table))
    sequence, highest = connection.execute(query).fetchone() or (None, 0)
    return sequence, int(highest)


def _typed(column: Column[Any]) -> str:
    if isinstance(column.type, Instant):
        return "%s::timestamp AT TIME ZONE 'UTC'"
    return "%s::uuid" if isinstance(column.type, UuidText) else "%s"


def _needs_others(statement: str) -> bool:
    return " FOREIGN KEY " in statement or statement.endswith("TRIGGER USER")


def _driver(connection: Connection) -> "psycopg.Connection[Any]":
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
