"""Watches an engine: how long its statements take, how many rows its transactions write, what it refuses."""

import re
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from daicho.core.measure import Labels, Measures, current
from daicho.core.model import Base
from daicho.core.reasons import reason

KEY = "daicho_under_way"
CHANGE = re.compile(r"\b(INSERT)(?:\s+OR\s+\w+)?\s+INTO\s+\"?(\w+)|\b(UPDATE|DELETE)\s+(?:FROM\s+)?\"?(\w+)")
"""The first change in a statement: its kind and its table."""


class UnderWay:
    """What a connection's transaction has done so far: it counts once that is committed."""

    __slots__ = ("_before", "_last", "begun", "rows")

    def __init__(self) -> None:
        self.begun = 0.0
        self.rows: Counter[Labels] = Counter()
        self._before: list[Counter[Labels]] = []
        self._last: tuple[Labels, Any] | None = None

    def changed(self, change: Labels, cursor: Any) -> None:
        """Count what a statement has written. With RETURNING SQLite knows only once all of that is read."""
        self.settle()
        self._last = change, cursor
        if cursor.rowcount > 0:
            self.settle()

    def settle(self) -> None:
        """Count the rows of the last statement."""
        if self._last is not None:
            (change, cursor), self._last = self._last, None
            with suppress(Exception):  # a driver may not want to tell of a cursor that is closed
                if (rows := cursor.rowcount) > 0:
                    self.rows[change] += rows

    def save(self) -> None:
        """A savepoint: what comes now may be undone by itself."""
        self.settle()
        self._before.append(self.rows)
        self.rows = Counter()

    def release(self, *, undone: bool) -> None:
        """The end of the last savepoint."""
        self.settle()
        if self._before:
            within, self.rows = self.rows, self._before.pop()
            if not undone:
                self.rows.update(within)

    def end(self) -> Counter[Labels]:
        """The end of the transaction: return what it has written, and begin anew."""
        self.settle()
        self.rows, written = Counter(), self.rows
        for before in self._before:
            written.update(before)
        self._before.clear()
        return written


def under_way(connection: Connection) -> UnderWay:
    """What the transaction of a connection has done so far."""
    known: UnderWay | None = connection.info.get(KEY)
    if known is None:
        known = connection.info[KEY] = UnderWay()
    return known


def wrote(connection: Connection, table: str, change: str, rows: int) -> None:
    """Count rows that were written by the driver's own cursor, past the engine."""
    if rows > 0:
        under_way(connection).rows[table, change] += rows


def watch(engine: Engine, measures: Measures) -> Engine:
    """Measure all that happens on an engine from now on; return it."""

    @event.listens_for(engine, "before_cursor_execute")
    def begins(connection: Connection, *_: object) -> None:
        under_way(connection).begun = perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def ends(connection: Connection, cursor: Any, statement: str, *_: object) -> None:
        doing = under_way(connection)
        seconds = perf_counter() - doing.begun
        if seconds >= measures.slow.seconds:
            measures.slow.take(seconds, current.get(), statement)
        if (change := change_of(statement)) is not None:
            doing.changed(change, cursor)

    @event.listens_for(engine, "handle_error")
    def fails(context: ExceptionContext) -> None:
        measures.errors.add(reason(context.sqlalchemy_exception or context.original_exception))
        connection = context.connection
        if context.statement is not None and connection is not None and is_there(connection):
            seconds = perf_counter() - under_way(connection).begun
            if seconds >= measures.slow.seconds:
                measures.slow.take(seconds, current.get(), context.statement, failed=True)

    @event.listens_for(engine, "commit")
    def committed(connection: Connection) -> None:
        if written := under_way(connection).end():
            measures.rows.add_all(written)

    @event.listens_for(engine, "rollback")
    def undone(connection: Connection) -> None:
        if is_there(connection):
            under_way(connection).end()

    @event.listens_for(engine, "rollback_savepoint")
    def undone_in_part(connection: Connection, *_: object) -> None:
        if is_there(connection):
            under_way(connection).release(undone=True)

    event.listen(engine, "savepoint", lambda connection, _: under_way(connection).save())
    event.listen(
        engine, "release_savepoint", lambda connection, *_: under_way(connection).release(undone=False)
    )
    return engine


def is_there(connection: Connection) -> bool:
    """Whether a connection still has one of the driver's: one that was cut off must not be asked anything."""
    return not (connection.closed or connection.invalidated)


@lru_cache(maxsize=1024)
def change_of(statement: str) -> Labels | None:
    """The table of Daicho's that a statement writes to, and how; None if it does not."""
    found = None if statement.startswith("SELECT") else CHANGE.search(statement)
    if found is None:
        return None
    kind, table = (found[1], found[2]) if found[1] else (found[3], found[4])
    return (table, kind.lower()) if table in Base.metadata.tables else None
