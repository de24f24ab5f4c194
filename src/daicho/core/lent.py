"""SQLite's connections, lent to async sessions: one database, one set of rules, whoever holds it open.

aiosqlite gives a session a thread of its own. It does not open a connection for it: it borrows one of the
sync engine's, which is set up already, and which of a database in memory is the database itself.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

import aiosqlite
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from daicho.core.engines import refuse_lost_commits
from daicho.core.errors import Unavailable
from daicho.core.retry import CommitUnanswered


class Lent:
    """An SQLite connection that closing gives back.

    Args:
        connection: the connection.
        returning: what giving it back consists of; it leaves no transaction open.
    """

    def __init__(self, connection: sqlite3.Connection, returning: ExitStack) -> None:
        self._connection = connection
        self.returning = returning
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()

    def cursor(self) -> sqlite3.Cursor:
        """Open a cursor, which giving the connection back closes."""
        cursor = self._connection.cursor()
        self._cursors.add(cursor)
        return cursor

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        """Execute a statement in a cursor of its own."""
        return self.cursor().execute(statement, *parameters)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def close(self) -> None:
        """Give it back. A second call does nothing.

        A statement that nobody has read to its end, as one whose task was cancelled, would go on reading.
        """
        for cursor in tuple(self._cursors):
            with suppress(sqlite3.Error):
                cursor.close()
        self.returning.close()


class Joined(Lent):
    """The connection of a transaction that another session holds open: ours is a savepoint within it.

    Args:
        connection: the connection.
        savepoint: its name, which no other one within that transaction has.
    """

    def __init__(self, connection: sqlite3.Connection, savepoint: str) -> None:
        super().__init__(connection, ExitStack())
        self._savepoint = savepoint
        self.returning.callback(self.rollback)

    def commit(self) -> None:
        """Make what was written part of the transaction around it."""
        self._connection.execute(f"RELEASE {self._savepoint}")

    def rollback(self) -> None:
        """Undo what was written since the savepoint, if there is one."""
        with suppress(sqlite3.OperationalError):
            self._connection.execute(f"ROLLBACK TO {self._savepoint}")
            self._connection.execute(f"RELEASE {self._savepoint}")


class Line:
    """Where a loop's tasks wait for the right to write: first come, first served, and without a thread each.

    Args:
        place: the database, as errors name it.
        seconds: how long a task waits.
    """

    def __init__(self, place: str, seconds: float) -> None:
        self._place = place
        self._seconds = seconds
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def wait(self) -> Callable[[], None]:
        """Wait for one's turn and return what ends it, from any thread. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        turn = self._turns.setdefault(loop, asyncio.Lock())
        try:
            async with asyncio.timeout(self._seconds):
                await turn.acquire()
        except TimeoutError:
            raise Unavailable(
                f"{self._place}: others have been writing for {self._seconds:.0f} seconds;"
                " keep transactions short or try again",
                f"{self._place}: 書き込みの順番が {self._seconds:.0f} 秒待っても来ませんでした。"
                "トランザクションを短くするか、後でもう一度お試しください",
            ) from None

        def end() -> None:
            with suppress(RuntimeError):  # the loop has ended, and all who waited with it
                loop.call_soon_threadsafe(turn.release)

        return end


class _Borrower:
    """Borrows a connection in aiosqlite's thread, and gives it back if by then nobody waits for it."""

    def __init__(self, lend: Callable[[], Lent], end_turn: Callable[[], None] | None) -> None:
        self._lend = lend
        self._end_turn = end_turn or (lambda: None)
        self._lock = threading.Lock()
        self._lent: Lent | None = None
        self._abandoned = False

    def borrow(self) -> sqlite3.Connection:
        try:
            lent = self._lend()
        except BaseException:
            self._end_turn()
            raise
        lent.returning.callback(self._end_turn)
        with self._lock:
            self._lent = lent
            abandoned = self._abandoned
        if abandoned:
            lent.close()
        return cast("sqlite3.Connection", lent)

    def abandon(self, *, begun: bool) -> None:
        with self._lock:
            self._abandoned = True
            lent = self._lent
        if lent is not None:
            lent.close()
        elif not begun:
            self._end_turn()


class _Threaded(aiosqlite.Connection):
    """An aiosqlite connection that a cancelled task sees closed before it is cancelled."""

    async def close(self) -> None:
        closing = asyncio.ensure_future(super().close())
        task = asyncio.current_task()
        cancelled = False
        while not closing.done():
            try:
                await asyncio.wait({closing})
            except asyncio.CancelledError:
                cancelled = True
        if cancelled and task is not None:
            task.uncancel()  # as often as it was before
            task.cancel()
        closing.result()


def lending_engine(
    lend: Callable[[], Lent], begin: str, *, line: Line | None = None, echo: bool = False
) -> AsyncEngine:
    """Create an async engine whose every transaction borrows a connection and gives it back at its end.

    Args:
        lend: borrows a connection; called in a thread of its own, where it may wait.
        begin: the statement that begins a transaction.
        line: where to wait before that; None: nowhere.
        echo: whether statements, with their parameters, go to the log.
    """

    async def connect() -> aiosqlite.Connection:
        borrower = _Borrower(lend, None if line is None else await line.wait())
        connection = _Threaded(borrower.borrow, iter_chunk_size=64)
        thread = connection._thread  # noqa: SLF001
        thread.daemon = True  # a session that nobody ever closes must not keep the program from ending
        try:
            return await connection
        except BaseException:
            borrower.abandon(begun=thread.ident is not None)
            raise

    engine = create_async_engine(
        "sqlite+aiosqlite://",
        async_creator=connect,
        poolclass=NullPool,
        pool_reset_on_return=None,  # giving it back rolls it back, without the task that may be cancelled
        echo=echo,
        hide_parameters=not echo,
    )

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    refuse_lost_commits(engine.sync_engine)
    return engine


def tell_of_ends(engine: Engine, translated: Callable[[Exception], Exception]) -> Engine:
    """Let what connecting, committing and rolling back raise come out translated; return the engine.

    Args:
        engine: one with the execution option ``own``; others on the same dialect are left as they are.
        translated: returns the error to raise.
    """
    committing: WeakSet[Connection] = WeakSet()
    event.listen(engine, "commit", committing.add)
    event.listen(engine, "rollback", committing.discard)

    @event.listens_for(engine, "handle_error", retval=True)
    def said(context: ExceptionContext) -> BaseException | None:
        whose = context.connection or context.engine
        error = context.sqlalchemy_exception
        if context.statement is not None or error is None or whose is None:
            return None
        if not whose.get_execution_options().get("own"):
            return None
        if context.is_disconnect and whose in committing:
            unanswered = CommitUnanswered()
            unanswered.__cause__ = error
            return translated(unanswered)
        return translated(error)

    return engine
