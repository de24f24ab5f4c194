"""The adoption of an old agent's ``tasks.db``: every row of it arrives in the ledger, or is reported."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daicho.core.cells import Cell
from daicho.core.errors import Invalid
from daicho.core.foreign import ForeignFile, tables
from daicho.core.operation import Sync
from daicho.tasks.adoption_row import KNOWN, NEEDED, BadRow, RowReader, row_name
from daicho.tasks.schemas import Adopted
from daicho.tasks.store import TaskStore

CHUNK = 500
"""Rows that are read at once, and that one transaction carries."""
USUAL = "tasks.db"
"""The name that an old agent's database usually has."""

Cells = Mapping[str, Cell]


class OldTasks(ForeignFile):
    """An old agent's database. It is read some rows at a time: its writer is never kept waiting.

    Args:
        path: the file.

    Attributes:
        ignored: columns that Daicho does not know.

    Raises Invalid for what is no such database; Unavailable while it is locked.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, USUAL)

    def __len__(self) -> int:
        return int(self._run("SELECT count(*) FROM tasks")[0][0])

    def chunks(self) -> Iterator[list[tuple[int | None, Cells]]]:
        """Give every row with its rowid (None in a table that has none), some at a time."""
        columns = ", ".join(f'"{name}"' for name in self._names)
        if not self._numbered:
            rows = self._run(f"SELECT NULL, {columns} FROM tasks")
            yield [self._row(row) for row in rows]
            return
        last = -(2**63)
        statement = f"SELECT rowid, {columns} FROM tasks WHERE rowid > ? ORDER BY rowid LIMIT ?"
        while rows := self._run(statement, last, CHUNK):
            last = rows[-1][0]
            yield [self._row(row) for row in rows]

    def _look(self) -> None:
        self._names, self.ignored = self._columns()
        self._numbered = self._has_rowid()

    def _columns(self) -> tuple[list[str], list[str]]:
        if "tasks" not in tables(self._connection):
            raise Invalid(
                f"{self.path}: has no table tasks; is it an agent's tasks.db?",
                f"{self.path}: tasks という表がありません。エージェントの tasks.db ですか",
            )
        found = [row[1].decode() for row in self._run("PRAGMA table_info(tasks)")]
        names = [name.lower() for name in found]
        if missing := [name for name in NEEDED if name not in names]:
            raise Invalid(
                f"{self.path}: its table tasks has no column {', '.join(missing)}; every task needs it",
                f"{self.path}: tasks 表に列 {', '.join(missing)} がありません。どのタスクにも必要です",
            )
        return [name for name in KNOWN if name in names], [
            name for name in found if name.lower() not in KNOWN
        ]

    def _has_rowid(self) -> bool:
        try:
            self._connection.execute("SELECT rowid FROM tasks LIMIT 1")
        except sqlite3.OperationalError as error:
            if "no such column" in str(error):
                return False
            raise
        return True

    def _row(self, row: Sequence[Any]) -> tuple[int | None, Cells]:
        return row[0], dict(zip(self._names, row[1:], strict=True))


def adopt(
    old: OldTasks,
    reader: RowReader,
    put: Callable[[Sequence[Mapping[str, Any]]], Adopted],
    *,
    refused: Callable[[str, BadRow], None],
    advance: Callable[[int], None],
) -> Adopted:
    """Bring every task of an old database into the ledger, some at a time, each lot in one transaction.

    Args:
        reader: reads a row.
        put: ``tasks.adopt``, or what stands for it.
        refused: is told each row that cannot be read as a task, by its name, and why.
        advance: is told how many rows have been dealt with.

    A task that is there already is left as it is, so an adoption that was interrupted is finished by
    running it again.
    """
    done = Adopted()
    for chunk in old.chunks():
        rows = []
        for number, cells in chunk:
            try:
                rows.append(reader.read(cells))
            except BadRow as error:
                refused(row_name(cells, number), error)
        done += put(rows) if rows else Adopted()
        advance(len(chunk))
    return done


def would_adopt(tasks: TaskStore[Sync], rows: Sequence[Mapping[str, Any]]) -> Adopted:
    """Say what ``tasks.adopt`` would do, and do nothing."""
    there = {row["uuid"]: task for row in rows if (task := tasks.get_by_uuid(row["uuid"])) is not None}
    differing = (
        row["uuid"] for row in rows if row["uuid"] in there and there[row["uuid"]].status != row["status"]
    )
    return Adopted(len(rows) - len(there), len(there), tuple(differing))
