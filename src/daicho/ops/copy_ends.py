"""The two ends of a copy: how rows are read from a database and written into another.

While it is filled, the target has neither indexes nor foreign keys nor triggers, and no revision: nobody
takes it for a whole ledger. What it must get back, and how far it is, stands in its table ``daicho_copy``,
which each transaction keeps true; it goes when all is done.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Table, text

from daicho.core.engine import Database
from daicho.migrations import HEAD, UNFINISHED
from daicho.ops.copy_values import Values

AT_ONCE = 20_000
"""Rows that are read together, and written in one transaction."""
Last = list[Any]
"""Where in a table a batch ends: its last row's key."""


class Reading(ABC):
    """A database as it is at one instant."""

    @abstractmethod
    def count(self, table: Table) -> int:
        """How many rows a table has."""

    @abstractmethod
    def batches(self, table: Table, after: Last | None) -> Iterator[tuple[list[Values], Last]]:
        """Give a table's rows from a place on, in an order that stays, each batch with where it ends."""

    @abstractmethod
    def numbered(self) -> dict[str, int]:
        """The highest number that each table has ever given a row, where it gives them."""

    def rows(self, table: Table) -> Iterator[Values]:
        """All of a table's rows."""
        for batch, _ in self.batches(table, None):
            yield from batch


class End(ABC):
    """A database that a ledger is copied from, or into."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # -- the source ----------------------------------------------------------------------------------

    @abstractmethod
    def reading(self) -> AbstractContextManager[Reading]:
        """Read it as it is now, whatever others write meanwhile."""

    # -- the target ----------------------------------------------------------------------------------

    def note(self, connection: Connection, key: str, value: object) -> None:
        """Note something of the copy, in its own transaction."""
        connection.execute(
            text(
                f"INSERT INTO {UNFINISHED} (key, value) VALUES (:key, :value)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            ),
            {"key": key, "value": json.dumps(value)},
        )

    def noted(self) -> dict[str, Any]:
        """What is noted of an unfinished copy; nothing where there is none."""
        with self.database.engine.connect().execution_options(writes=False) as connection:
            if not connection.dialect.has_table(connection, UNFINISHED):
                return {}
            found = connection.execute(text(f"SELECT key, value FROM {UNFINISHED} ORDER BY key"))
            return {key: json.loads(value) for key, value in found}

    def begin(self, source: str, tables: Sequence[Table]) -> None:
        """Make it ready to be filled: take away all that slows that down, and note what it was."""
        with self.writing() as connection:
            connection.execute(text(f"CREATE TABLE {UNFINISHED} (key TEXT PRIMARY KEY, value TEXT NOT NULL)"))
            self.note(connection, "source", source)
            taken, given_back = self.bare(connection, tables)
            for at, statement in enumerate(given_back):
                self.note(connection, f"restore {at:04}", statement)
            for statement in taken:
                connection.exec_driver_sql(statement)
            for table in reversed(tables):
                connection.execute(table.delete())
            connection.execute(text("DELETE FROM alembic_version"))

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction."""
        with self.database.engine.begin() as connection:
            yield connection

    @abstractmethod
    def bare(self, connection: Connection, tables: Sequence[Table]) -> tuple[list[str], list[str]]:
        """The statements that take indexes, keys and triggers away, and those that bring them back."""

    @abstractmethod
    def write(self, table: Table, rows: Sequence[Values], last: Last, total: int) -> None:
        """Write a batch of rows, and note how far it came."""

    def restore(self, at: str, statement: str) -> None:
        """Bring back one thing that was taken away."""
        with self.writing() as connection:
            connection.exec_driver_sql(statement)
            connection.execute(text(f"DELETE FROM {UNFINISHED} WHERE key = :key"), {"key": at})

    @abstractmethod
    def restored_together(self, statements: dict[str, str], done: Callable[[], None]) -> None:
        """Bring all of it back, side by side where that pays."""

    @abstractmethod
    def finish(self, tables: Sequence[Table], numbered: dict[str, int]) -> None:
        """Let rows be numbered on from where they were; then it is a whole ledger again."""

    def is_whole(self, connection: Connection) -> None:
        """Say that it is a whole ledger."""
        connection.execute(text(f"DROP TABLE {UNFINISHED}"))
        connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})
