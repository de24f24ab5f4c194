"""Copying a whole ledger from one database to another, of whichever kind, and proving that it is the same.

The phased migration of seed 001: fill PostgreSQL from the SQLite file, check it, switch over, and back if
need be. The source stays as it is. A copy that was interrupted goes on where it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from sqlalchemy import Table, inspect

from daicho import migrations
from daicho.core.engine import Database
from daicho.core.errors import Conflict, Invalid
from daicho.core.model import Base
from daicho.ops.copy_ends import End, Reading
from daicho.ops.copy_postgres import PostgresEnd
from daicho.ops.copy_sqlite import SqliteEnd, SqliteReading
from daicho.ops.copy_values import checksum

Advance = Callable[[str, int], None]
"""Told a step's name and how many rows (or things) more of it are done."""
OF_MIGRATIONS = frozenset({"rollup_state"})
"""Tables that have a row as soon as they are made."""
COPYING, BUILDING, CHECKING = "rows", "indexes", "checked"


@dataclass(frozen=True, slots=True)
class TableCopy:
    """What a table holds on both sides.

    Attributes:
        rows, checksum: of the source.
        other_rows, other_checksum: of the target.
    """

    table: str
    rows: int
    checksum: int
    other_rows: int
    other_checksum: int

    @property
    def same(self) -> bool:
        """Whether both hold the same rows."""
        return (self.rows, self.checksum) == (self.other_rows, self.other_checksum)


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy has done.

    Attributes:
        rows: rows that were written by this run.
        seconds: how long that took, indexes included.
    """

    rows: int
    seconds: float


def copy(source: Database, target: Database, advance: Advance = lambda *_: None) -> Copied:
    """Copy every row of a ledger into another database.

    Args:
        source: at the newest revision. What others write to it meanwhile is left behind.
        target: empty (tables are made), at the newest revision without rows, or with an unfinished copy of
            the same source, which goes on.
        advance: told of rows written and indexes built.

    Raises Outdated for a source of another revision, Conflict for a target with rows in it or with a copy of
    another source, Invalid for rows that no other database would take.
    """
    begun = monotonic()
    if source.url == target.url:
        raise Invalid(
            f"{source.place} is both source and target", f"コピー元とコピー先が同じです: {source.place}"
        )
    _check_kept(target)
    _check_there(source)
    into, tables = end_of(target), list(Base.metadata.sorted_tables)
    noted = into.noted()
    if not noted:
        _make_ready(target, tables)
        into.begin(source.place, tables)
        noted = into.noted()
    if noted["source"] != source.place:
        raise Conflict(
            f"{target.place}: holds an unfinished copy of {noted['source']}; finish that, or empty it",
            f"{target.place}: {noted['source']} のコピーが途中です。再開するか、空にしてください",
        )
    written = 0
    with end_of(source).reading() as reading:
        if isinstance(reading, SqliteReading):
            reading.check_references()
        for table in tables:
            after, total = noted.get(f"table {table.name}", (None, 0))
            advance(COPYING, total)
            for rows, last in reading.batches(table, after):
                total += len(rows)
                into.write(table, rows, last, total)
                written += len(rows)
                advance(COPYING, len(rows))
        numbered = reading.numbered()
    statements = {key: one for key, one in noted.items() if key.startswith("restore ")}
    into.restored_together(statements, lambda: advance(BUILDING, 1))
    into.finish(tables, numbered)
    return Copied(written, monotonic() - begun)


def size(source: Database) -> int:
    """Return how many rows a ledger has. Raises Outdated for another revision, Invalid for no file."""
    _check_there(source)
    with end_of(source).reading() as reading:
        return sum(reading.count(table) for table in Base.metadata.sorted_tables)


def compare(source: Database, target: Database, advance: Advance = lambda *_: None) -> list[TableCopy]:
    """Read all rows of two ledgers, each as it is at one instant, and say of each table what it holds.

    Raises Outdated if one of them is at another revision, Invalid if one is not there.
    """
    for each in (source, target):
        _check_there(each)
    with end_of(source).reading() as one, end_of(target).reading() as other:
        return [_compared(table, one, other, advance) for table in Base.metadata.sorted_tables]


def end_of(database: Database) -> End:
    """Return a database as an end of a copy."""
    return SqliteEnd(database) if database.in_threads else PostgresEnd(database)


def _check_there(database: Database) -> None:
    """Raise Invalid for an SQLite file that is not there: whoever asks for it would make an empty one."""
    _check_kept(database)
    if database.in_threads and not Path(str(database.url.database)).is_file():
        raise Invalid(f"{database.place}: there is no such file", f"{database.place}: ファイルがありません")
    database.ensure_ready()


def _check_kept(database: Database) -> None:
    if database.in_memory:
        raise Invalid(
            f"{database.place}: a database in memory ends with this command; name a file",
            f"{database.place}: メモリー上のデータベースはコピーできません。ファイルを指定してください",
        )


def _make_ready(target: Database, tables: list[Table]) -> None:
    """Make the target's tables if there are none. Raises Conflict if they have rows."""
    with target.engine.connect().execution_options(writes=False) as connection:
        empty = not inspect(connection).get_table_names()
    if empty:
        migrations.run(target, "upgrade", "head")
    target.ensure_ready()
    with end_of(target).reading() as reading:
        filled = [table.name for table in tables if table.name not in OF_MIGRATIONS and reading.count(table)]
    if filled:
        names = ", ".join(filled[:5])
        raise Conflict(
            f"{target.place}: has rows already ({names}); a copy needs a database without any",
            f"{target.place}: 既に行があります ({names})。空のデータベースを指定してください",
        )


def _compared(table: Table, one: Reading, other: Reading, advance: Advance) -> TableCopy:
    rows, mine = checksum(table, one.rows(table))
    other_rows, others = checksum(table, other.rows(table))
    advance(CHECKING, rows)
    return TableCopy(table.name, rows, mine, other_rows, others)
