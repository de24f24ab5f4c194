"""How rows of many callers reach the database together, and what is sent twice is written once.

A row may carry a name that its sender gave it. Whoever sends the name again, at whatever time and from
wherever, is answered with the row that was first stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, TextClause, select, tuple_

from daicho.core.bulk import insert_numbered
from daicho.core.dialect import insert_for
from daicho.core.model import Base
from daicho.guilds.checking import Row

Stored = TypeVar("Stored", bound=Base)
Name = tuple[Any, ...]


@dataclass(frozen=True)
class Once(Generic[Stored]):
    """A table in which a row of a name is there once.

    Attributes:
        model: the table.
        within: the column within whose value a name is unique.
        name: the column of the name.
        is_named: whether a row has one, said as the unique index says it: a part of a table is looked up
            in its index only where the question is the index's own.
        made: makes an instance of a complete row as it was written.
    """

    model: type[Stored]
    within: str
    name: str
    is_named: TextClause
    made: Callable[[Row], Stored]

    def has_name(self, row: Row) -> bool:
        """Whether a row to be written has a name."""
        return bool(row[self.name])

    def name_of(self, row: Row) -> Name:
        """A row's name, with the value within which it is unique."""
        return row[self.within], row[self.name]


def insert_once(connection: Connection, table: Once[Stored], rows: Sequence[Row]) -> list[Stored]:
    """Insert rows, but for those whose name is there already; return each as stored, in their order.

    Every row has all of the table's columns but ``id``. Rows without a name get numbers that rise in
    their order within what they belong to.
    """
    # Guilds in the same order everywhere: two that write for the same new ones wait, but not in a circle.
    order = sorted(range(len(rows)), key=lambda at: rows[at][table.within])
    plain = [at for at in order if not table.has_name(rows[at])]
    found: dict[int, Stored] = {}
    if plain:
        numbers = insert_numbered(connection, table.model, [rows[at] for at in plain])
        found = {
            at: table.made({"id": number, **rows[at]}) for at, number in zip(plain, numbers, strict=True)
        }
    if len(plain) < len(rows):
        # Of several with one name the first to come is the one to write.
        named = {table.name_of(row): row for row in reversed(rows) if table.has_name(row)}
        stored = _insert_named(connection, table, named)
        found |= {at: stored[table.name_of(rows[at])] for at in order if table.has_name(rows[at])}
    return [found[at] for at in range(len(rows))]


def _insert_named(connection: Connection, table: Once[Stored], named: dict[Name, Row]) -> dict[Name, Stored]:
    statement = _insert_new(table, connection.dialect.name)
    new = connection.execute(statement, [row for _, row in sorted(named.items(), key=itemgetter(0))])
    stored: dict[Name, Stored] = {}
    for number, *name in new:
        stored[tuple(name)] = table.made({"id": number, **named[tuple(name)]})
    if there := [name for name in named if name not in stored]:
        stored |= _read(connection, table, there)
    return stored


def _read(connection: Connection, table: Once[Stored], names: Sequence[Name]) -> dict[Name, Stored]:
    stored = table.model.__table__
    within, name = stored.c[table.within], stored.c[table.name]
    found = connection.execute(select(stored).where(table.is_named, tuple_(within, name).in_(names)))
    rows = [dict(row) for row in found.mappings()]
    return {table.name_of(row): table.model.of(row) for row in rows}


@cache
def _insert_new(table: Once[Any], dialect: str) -> Any:
    key = [getattr(table.model, name) for name in ("id", table.within, table.name)]
    # Named, so that no other conflict (a number that a program chose itself) passes for a name sent twice.
    once = insert_for(dialect, table.model).on_conflict_do_nothing(
        index_elements=[table.within, table.name], index_where=table.is_named
    )
    return once.returning(*key)
