"""One end of a copy that is an SQLite file."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from sqlalchemy import Connection, Table, text

from daicho.core.dialect import search_table
from daicho.core.errors import Invalid
from daicho.ops.copy_ends import AT_ONCE, End, Last, Reading
from daicho.ops.copy_values import Values


class SqliteReading(Reading):
    """An SQLite file, read in one transaction, in the order in which its rows lie in it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def count(self, table: Table) -> int:
        (count,) = self._connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()
        return int(count)

    def batches(self, table: Table, after: Last | None) -> Iterator[tuple[list[Values], Last]]:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        key = self._key(table)
        beyond = f" WHERE ({key}) > ({', '.join('?' * len(after))})" if after else ""
        found = self._connection.execute(
            f'SELECT {columns}, {key} FROM "{table.name}"{beyond} ORDER BY {key}', after or []
        )
        width = len(table.columns)
        while rows := found.fetchmany(AT_ONCE):
            yield [row[:width] for row in rows], list(rows[-1][width:])

    def _key(self, table: Table) -> str:
        """By what a table's rows are ordered in the file: a number, or the key where they have none."""
        (kept_by_key,) = self._connection.execute(
            "SELECT wr FROM pragma_table_list WHERE name = ?", [table.name]
        ).fetchone()
        return ", ".join(f'"{column.name}"' for column in table.primary_key) if kept_by_key else "rowid"

    def numbered(self) -> dict[str, int]:
        return dict(self._connection.execute("SELECT name, seq FROM sqlite_sequence"))

    def check_references(self) -> None:
        """Raise Invalid for a row that refers to one that is not there: it could not be written elsewhere."""
        wrong = self._connection.execute("PRAGMA foreign_key_check").fetchone()
        if wrong is not None:
            table, row, parent, _ = wrong
            raise Invalid(
                f"{table}: row {row} refers to a row of {parent} that is not there; mend or delete it"
                " (all of them: PRAGMA foreign_key_check)",
                f"{table}: {row} 行目が参照する {parent} の行がありません。修正するか削除してください"
                " (一覧: PRAGMA foreign_key_check)",
            )


class SqliteEnd(End):
    """An SQLite file as an end of a copy."""

    @contextmanager
    def reading(self) -> Iterator[SqliteReading]:
        with self.database.engine.connect().execution_options(writes=False) as connection:
            connection.execute(text("SELECT count(*) FROM sqlite_master"))  # from now on it stays as it is
            yield SqliteReading(cast("sqlite3.Connection", connection.connection.driver_connection))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self.database.engine.connect() as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            # What a reference is found by is not there yet. Only outside of a transaction can this be said.
            driver.execute("PRAGMA foreign_keys = OFF")
            try:
                with connection.begin():
                    yield connection
            finally:
                driver.execute("PRAGMA foreign_keys = ON")

    def bare(self, connection: Connection, tables: Sequence[Table]) -> tuple[list[str], list[str]]:
        there = connection.execute(
            text("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type")
        ).all()
        names = {table.name for table in tables}
        taken, given_back = [], []
        for kind, name, of, statement in there:
            if kind in {"index", "trigger"} and of in names:
                taken.append(f'DROP {kind} "{name}"')
                given_back.append(statement)
        searched = {search_table(name) for name in names} & {name for _, name, _, _ in there}
        given_back += [f"INSERT INTO {index} ({index}) VALUES ('rebuild')" for index in sorted(searched)]
        return taken[::-1], given_back

    def write(self, table: Table, rows: Sequence[Values], last: Last, total: int) -> None:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        marks = ", ".join("?" * len(table.columns))
        with self.writing() as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            driver.executemany(f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})', rows)
            self.note(connection, f"table {table.name}", [last, total])

    def restored_together(self, statements: dict[str, str], done: Callable[[], None]) -> None:
        for at, statement in statements.items():
            self.restore(at, statement)
            done()

    def finish(self, tables: Sequence[Table], numbered: dict[str, int]) -> None:
        with self.writing() as connection:
            counting = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'")
            ).scalars()
            for name in set(counting) & numbered.keys():
                values = {"name": name, "highest": numbered[name]}
                connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
                connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :highest)"), values)
            connection.execute(text("ANALYZE"))
            self.is_whole(connection)
