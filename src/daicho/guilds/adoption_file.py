"""A bot's ``kyrios.db``, read: not a byte of it changes, and its bot is not kept waiting.

What is read is a copy, made at one moment. So tables fit together whatever the bot writes meanwhile, and
what a crash has left half done is undone in the copy.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daicho.core.cells import Cell
from daicho.core.errors import Invalid
from daicho.core.foreign import CopiedFile, tables
from daicho.guilds.adoption_tables import (
    HISTORIES,
    KINDS,
    LOGS,
    MESSAGES,
    QUEUES,
    SESSIONS,
    SETTINGS,
    STATISTICS,
    TICKETS,
    TRACKS,
    Kind,
)
from daicho.guilds.adoption_values import EXACT

LEDGERS = {"alembic_version", "call_logs"}
"""Tables that a ledger of Daicho has, and no bot's database has both of."""
READ_AT_ONCE = 1_000

Cells = dict[str, Cell]


class OldBot(CopiedFile):
    """A bot's database as it stood at one moment.

    Args:
        path: the file. It is opened to read only.

    Attributes:
        ignored: tables and columns that Daicho does not know.

    Raises Invalid for what is no such database; Unavailable while it is locked, or does not fit where
    temporary files are kept.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "kyrios.db")

    def has(self, kind: Kind, column: str | None = None) -> bool:
        """Whether there is such a table; with such a column."""
        return kind in self._names and column in {None, *self._columns[kind]}

    def name(self, kind: Kind) -> str:
        """The name that a table has there."""
        return self._names[kind][1:-1]

    def count(self, kind: Kind) -> int:
        """The number of a table's rows; 0 for one that is not there."""
        return int(self._one(f"SELECT count(*) FROM {self._names[kind]}")) if self.has(kind) else 0

    @property
    def total(self) -> int:
        """The number of all rows."""
        return sum(map(self.count, KINDS))

    def highest(self, kind: Kind) -> int:
        """The highest number that a table's rows have, 0 for none."""
        if not self.has(kind, "id"):
            return 0
        found = self._one(f'SELECT max("id") FROM {self._names[kind]} WHERE "id" BETWEEN 0 AND {EXACT - 1}')
        return int(found or 0)

    def rows(self, kind: Kind, *, last_first: bool = False) -> Iterator[Cells]:
        """Give every row of a table, with what it refers to looked up; at wish the last one first.

        Beside its columns each has ``parent``: whether the row is there that it refers to (a history: the
        statistics of its user); and a message ``first``: the first one that is the same Discord message.
        """
        if not self.has(kind):
            return
        names = [name for name in kind.columns if name in self._columns[kind]]
        order = [name for name in kind.order if name in names]
        columns = ", ".join(f'own."{name}"' for name in names)
        statement = (
            f"SELECT {columns}, {self._parent(kind)}, {self._first(kind)} FROM {self._names[kind]} own"
        )
        by = " ORDER BY " + ", ".join(f'own."{name}"' for name in order) if order else ""
        parts = [""]
        if last_first and order == ["id"]:
            last = f'(SELECT max("id") FROM {self._names[kind]})'
            parts = [f' WHERE own."id" IS {last}', f' WHERE own."id" IS NOT {last}']
        keys = [*names, "parent", "first"]
        with self._translating():
            for part in parts:
                found = self._connection.execute(statement + part + by)
                while lot := found.fetchmany(READ_AT_ONCE):
                    for row in lot:
                        yield dict(zip(keys, row, strict=True))

    def unregistered(self) -> int:
        """The number of guilds that have no settings."""
        of_guild = [kind for kind in (TICKETS, LOGS, TRACKS, QUEUES, SESSIONS) if self.has(kind)]
        guilds = " UNION ".join(f"SELECT guild_id FROM {self._names[kind]}" for kind in of_guild)
        if not guilds:
            return 0
        known = f"SELECT guild_id FROM {self._names[SETTINGS]}" if self.has(SETTINGS) else "SELECT NULL"
        return int(self._one(f"SELECT count(*) FROM ({guilds} EXCEPT {known})"))

    # -- what there is -----------------------------------------------------------------------------

    def _look(self) -> None:
        found = tables(self._connection)
        if found.keys() >= LEDGERS:
            raise Invalid(
                f"{self.path}: is a ledger of Daicho, not a bot's database",
                f"{self.path}: ボットのデータベースではなく、Daicho の台帳です",
            )
        self._names: dict[Kind, str] = {}
        self._columns: dict[Kind, set[str]] = {}
        self.ignored: list[str] = []
        for kind in KINDS:
            if name := self._chosen([found[name] for name in kind.names if name in found]):
                self._names[kind] = _quoted(name)
                self._check_columns(kind, name)
        if not self._names:
            raise Invalid(
                f"{self.path}: has none of a bot's tables (tickets, logs, guild_settings …)",
                f"{self.path}: ボットの表 (tickets、logs、guild_settings など) がありません",
            )
        used = set(self._names.values())
        self.ignored += [
            name
            for name in found.values()
            if _quoted(name) not in used and not name.lower().startswith(("sqlite_", "alembic_"))
        ]
        for kind in KINDS:  # what is looked up in them is looked up for every row
            if kind in self._names:
                self._index(kind, kind.key)
        if self.has(MESSAGES, "message_id"):
            self._index(MESSAGES, "ticket_id", "message_id")

    def _chosen(self, names: list[str]) -> str | None:
        """Of the names that a table may have, the one whose table is in use."""
        filled = [name for name in names if self._one(f"SELECT EXISTS (SELECT 1 FROM {_quoted(name)})")]
        if len(filled) > 1:
            raise Invalid(
                f"{self.path}: has rows in {filled[0]} and in {filled[1]};"
                " rename the one that does not count",
                f"{self.path}: {filled[0]} と {filled[1]} の両方に行があります。"
                "使わない方の名前を変えてください",
            )
        return next(iter(filled or names), None)

    def _check_columns(self, kind: Kind, name: str) -> None:
        columns = self._run(f"SELECT name FROM pragma_table_info('{name.replace(chr(39), chr(39) * 2)}')")
        there = [bytes(column).decode(errors="replace") for (column,) in columns]
        self._columns[kind] = {column.lower() for column in there}
        if missing := [column for column in kind.needed if column not in self._columns[kind]]:
            raise Invalid(
                f"{self.path}: its table {name} has no column {', '.join(missing)}; every row needs it",
                f"{self.path}: {name} 表に列 {', '.join(missing)} がありません。どの行にも必要です",
            )
        self.ignored += [f"{name}.{column}" for column in there if column.lower() not in kind.columns]

    # -- what rows refer to --------------------------------------------------------------------------

    def _parent(self, kind: Kind) -> str:
        parents = {**kind.parents, **({"user_id": STATISTICS} if kind is HISTORIES else {})}
        for column, parent in parents.items():
            if not self.has(kind, column) or not self.has(parent):
                return "0"
            key = parent.key if kind is HISTORIES else "id"
            return f'EXISTS (SELECT 1 FROM {self._names[parent]} p WHERE p."{key}" = own."{column}")'
        return "1"

    def _first(self, kind: Kind) -> str:
        if kind is not MESSAGES or not self.has(MESSAGES, "message_id"):
            return "NULL"
        return (
            f"CASE WHEN own.message_id <> 0 THEN (SELECT min(f.id) FROM {self._names[kind]} f"
            " WHERE f.ticket_id = own.ticket_id AND f.message_id = own.message_id) END"
        )

    def _index(self, kind: Kind, *columns: str) -> None:
        names = ", ".join(f'"{column}"' for column in columns)
        self._connection.execute(
            f"CREATE INDEX daicho_{kind.model.__tablename__}_{len(columns)} ON {self._names[kind]} ({names})"
        )

    def _one(self, statement: str) -> Any:
        return self._run(statement)[0][0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
