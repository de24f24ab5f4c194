"""Many rows of a summed table at once, its roll-ups compared with its rows, and made anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from math import inf
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from daicho.core.rollups import PRUNED, STATE, Rollup, Summed, spelled

FEW = 32
"""Rows that SQLite's triggers sum as quickly as a set of them is summed."""


@contextmanager
def adding(connection: Connection, of: Summed, rows: float = inf) -> Iterator[None]:
    """Insert rows within a savepoint: on SQLite they are summed at the end, as a set.

    Rows that were there before are summed by the triggers meanwhile. What adds rows within it leaves the
    summing to this one. A few rows the triggers sum there, without a savepoint: a statement that fails
    undoes itself.

    Args:
        connection: where.
        of: what table they are rows of.
        rows: how many at most, if that is known.
    """
    if connection.dialect.name == "postgresql":
        with connection.begin_nested():
            yield
        return
    if rows <= FEW:
        yield
        return
    with _savepoint(connection) as cursor:
        here = f"SELECT in_bulk, (SELECT coalesce(max(rowid), 0) + 1 FROM {of.table}) FROM {STATE}"
        outer, first = cursor.execute(here).fetchone()
        if outer:
            yield
            return
        cursor.execute(f"UPDATE {STATE} SET in_bulk = ?", (first,))
        yield
        for statement in _added(connection.dialect.name, of, f"(SELECT * FROM {of.table} WHERE rowid >= ?)"):
            cursor.execute(statement, (first,))
        cursor.execute(f"UPDATE {STATE} SET in_bulk = 0")


@contextmanager
def changing(connection: Connection, of: Summed, chosen: str) -> Iterator[None]:
    """Update within what a condition chooses, before and after: on SQLite it is summed anew, as a set."""
    if connection.dialect.name == "postgresql":
        yield
        return
    statements = spelled(connection.dialect.name, of)
    with _savepoint(connection) as cursor:
        (outer,) = cursor.execute(f"SELECT in_bulk FROM {STATE}").fetchone()
        # What an outer one adds is not in the sums yet: it comes into them once, as it is at the end.
        mine = f"({chosen}) AND rowid < {outer}" if outer else chosen
        rows = f"(SELECT * FROM {of.table} WHERE {mine})"
        for rollup in of.rollups:
            for statement in statements.subtract(rollup, rows):
                cursor.execute(statement)
        cursor.execute(f"UPDATE {STATE} SET in_bulk = 1")
        yield
        for rollup in of.rollups:
            cursor.execute(statements.add(rollup, rows))
        cursor.execute(f"UPDATE {STATE} SET in_bulk = ?", (outer,))


@lru_cache(maxsize=8)
def _added(dialect: str, of: Summed, rows: str) -> list[str]:
    """The statements that add rows to every roll-up. The same text again and again is parsed once."""
    statements = spelled(dialect, of)
    return [statements.add(rollup, rows) for rollup in of.rollups]


@contextmanager
def _savepoint(connection: Connection) -> Iterator[Any]:
    """A savepoint on SQLite. Of what fails within it nothing stays.

    Gives the driver's own cursor: small batches come often, and it costs a quarter.
    """
    cursor = connection.connection.cursor()
    driver: Any = connection.connection.driver_connection
    cursor.execute("SAVEPOINT sums")
    try:
        yield cursor
        cursor.execute("RELEASE sums")
    except BaseException:
        if driver.in_transaction:  # SQLite undoes all of it by itself where a disk is full
            cursor.execute("ROLLBACK TO sums")
            cursor.execute("RELEASE sums")
        raise
    finally:
        cursor.close()


def compared(connection: Connection, of: Summed, tenant: str | None) -> Iterator[tuple[str, int, int]]:
    """Compare the roll-ups with the rows: yield each one's table, how many buckets it has, how many differ.

    Each is compared in one statement, so it holds while others write. What sums rows that are kept no
    more is compared with the sums of the finest grain. ``tenant`` is a UUID: only what is this tenant's.
    """
    statements = spelled(connection.dialect.name, of)

    def count(query: str) -> int:
        return int(connection.exec_driver_sql(query).scalar_one())

    for rollup, rows, whole, dropped in _comparable(connection, of, tenant):
        differ = count(statements.differences(rollup, rows, whole))
        if dropped:
            differ += count(statements.unlike_finest(rollup, dropped))
        yield rollup.table, count(f"SELECT count(*) FROM {rollup.table} WHERE {whole}"), differ


def rebuild(connection: Connection, of: Summed) -> None:
    """Sum the rows anew, for what was written past the triggers.

    Sums of rows that are kept no more stay; those of a coarser grain are made anew of the finest.
    """
    statements = spelled(connection.dialect.name, of)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {of.table} IN SHARE ROW EXCLUSIVE MODE")
    for rollup, rows, whole, dropped in _comparable(connection, of, None):
        mending = statements.anew(rollup, rows, whole)
        if dropped:
            mending += statements.of_finest(rollup, dropped)
        for statement in mending:
            connection.exec_driver_sql(statement)


def rename(connection: Connection, of: Summed, table: str, key: str, old: str, new: str) -> None:
    """Add a roll-up's sums of one value of a key column to those of another, and take them away there.

    For sums of rows that are kept no more: rows that are there take their sums along by themselves.
    """
    rollup = next(one for one in of.rollups if one.table == table)
    others = ", ".join([*[name for name in rollup.key if name != key], *of.sums])
    merged = spelled(connection.dialect.name, of).upsert(rollup)
    connection.execute(
        text(
            f"INSERT INTO {table} ({key}, {others})"
            f" SELECT :new, {others} FROM {table} AS former WHERE {key} = :old {merged}"
        ),
        {"old": old, "new": new},
    )
    connection.execute(text(f"DELETE FROM {table} WHERE {key} = :old"), {"old": old})


def _comparable(
    connection: Connection, of: Summed, tenant: str | None
) -> Iterator[tuple[Rollup, str, str, str | None]]:
    """Of each roll-up, the rows and the condition of the buckets that rows and sums must agree on.

    And the condition of those that hold rows that are kept no more, if there are any and their sums have
    several grains.
    """
    whose = f" AND tenant_id = '{UUID(tenant)}'" if tenant else ""
    kept = f"(SELECT raw_from FROM {STATE})"
    rows = f"(SELECT * FROM {of.table} WHERE {of.instant} >= {kept}{whose})"
    pruned = connection.exec_driver_sql(f"SELECT count(*) FROM {STATE} WHERE {PRUNED}").scalar_one() > 0
    for rollup in of.rollups:
        if rollup.grains:
            dropped = f"bucket < {kept}{whose}" if pruned and rollup.grains[1:] else None
            yield rollup, rows, f"bucket >= {kept}{whose}", dropped
        elif not pruned:
            yield rollup, rows, f"true{whose}", None
