"""The adoption of an old agent's ``tasks.db``: every row of it arrives in the ledger, or is reported."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from daicho.core.dialect import BUSY_SECONDS
from daicho.core.errors import Invalid, Unavailable
from daicho.core.operation import Sync
from daicho.tasks.adoption_row import KNOWN, NEEDED, BadRow, RowReader, Stored, row_name
from daicho.tasks.schemas import Adopted
from daicho.tasks.store import TaskStore

CHUNK = 500
"""Rows that are read at once, and that one transaction carries."""
HEADER = b"SQLite format 3\0"
REVISIONS = "alembic_version"
"""The table that a database of Daicho has, and an old agent's has not."""
CANNOT_READ_ONLY = ("SQLITE_CANTOPEN", "SQLITE_READONLY")
"""What SQLite says where it may only read, but must first undo what a crash has left, or make a file."""

Cells = Mapping[str, Stored]


class OldTasks:
    """An old agent's database. It is read some rows at a time: its writer is never kept waiting.

    Args:
        path: the file.

    Attributes:
        ignored: columns that Daicho does not know.

    Raises Invalid for what is no such database; Unavailable while it is locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connect(path)
        try:
            self._names, self.ignored = self._columns()
            self._numbered = self._has_rowid()
        except sqlite3.Error as error:
            self._connection.close()
            raise translated(path, error) from None
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._connection.close()

    def __len__(self) -> int:
        return int(self._run("SELECT count(*) FROM tasks")[0][0])

    def chunks(self) -> Iterator[list[tuple[int | None, Cells]]]:
        """Give every row with its rowid (None in a table that has none), some at a time."""
        columns = ", ".join(f'"{name}"' for name in self._names)
        if not self._numbered:
            rows = self._run(f"SELECT NULL, {columns} FROM tasks")  # noqa: S608  (the names are KNOWN)
            yield [self._row(row) for row in rows]
            return
        last = -(2**63)
        statement = f"SELECT rowid, {columns} FROM tasks WHERE rowid > ? ORDER BY rowid LIMIT ?"  # noqa: S608  (as above)
        while rows := self._run(statement, last, CHUNK):
            last = rows[-1][0]
            yield [self._row(row) for row in rows]

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

    def _run(self, statement: str, *values: int) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise translated(self.path, error) from None


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


def connect(path: Path) -> sqlite3.Connection:
    """Open an SQLite file to read from; texts come as bytes, for they need not be UTF-8.

    Raises Invalid for what is no SQLite database.
    """
    _check_header(path)
    place = path.absolute().as_uri()
    failure: sqlite3.Error | None = None
    for way in ("mode=ro", "mode=rw", "mode=ro&immutable=1"):
        if "immutable" in way and path.with_name(path.name + "-wal").exists():
            break
        connection = sqlite3.connect(f"{place}?{way}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        connection.text_factory = bytes
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except sqlite3.Error as error:
            connection.close()
            failure = failure or error
            if not error.sqlite_errorname.startswith(CANNOT_READ_ONLY):
                break
        else:
            return connection
    raise translated(path, failure or sqlite3.OperationalError("unable to open database file"))


def tables(connection: sqlite3.Connection) -> set[str]:
    """The names of a database's tables, in lower case."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {bytes(name).decode(errors="replace").lower() for (name,) in found}


def translated(path: Path, error: sqlite3.Error) -> Invalid | Unavailable:
    """What an error of SQLite means to who wants a file read."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable(
            f"{path}: another program keeps it locked; run again when that has ended",
            f"{path}: 別のプログラムがロックしています。終わってからもう一度実行してください",
        )
    if name.startswith("SQLITE_NOTADB"):
        return _not_sqlite(path)
    if name.startswith("SQLITE_CORRUPT"):
        return Invalid(
            f"{path}: is damaged ({error}); recover it first: sqlite3 {path} .recover",
            f"{path}: 壊れています ({error})。先に修復してください: sqlite3 {path} .recover",
        )
    return Unavailable(f"{path}: cannot be read: {error}", f"{path}: 読めません: {error}")


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(len(HEADER))
    except FileNotFoundError:
        raise Invalid(f"{path}: no such file", f"{path}: ファイルがありません") from None
    except IsADirectoryError:
        raise Invalid(
            f"{path}: is a folder; name the file in it, such as {path / 'tasks.db'}",
            f"{path}: フォルダーです。{path / 'tasks.db'} のようにファイルを指定してください",
        ) from None
    if not header:
        raise Invalid(f"{path}: is empty", f"{path}: 空のファイルです")
    if header != HEADER:
        raise _not_sqlite(path)


def _not_sqlite(path: Path) -> Invalid:
    return Invalid(f"{path}: is not an SQLite database", f"{path}: SQLite のデータベースではありません")
