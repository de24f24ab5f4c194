"""Sessions that a caller holds open itself: SQLAlchemy's own, plain and async, on either database.

What the caller's statements raise stays SQLAlchemy's error, inside and outside of the block; beginning and
committing raise a DaichoError.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from typing import cast

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_session
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from daicho.core.dialect import BUSY_SECONDS
from daicho.core.engine import Database, RunHeld
from daicho.core.errors import DaichoError, Invalid
from daicho.core.lent import Joined, Line, lending_engine
from daicho.core.manners import zone_instances
from daicho.core.threads import caller

# -- transactions: committed at the end --------------------------------------------------------------


@contextmanager
def transaction(database: Database, room: str) -> Iterator[Session]:
    """Hold a transaction open: committed at the end, rolled back on any error.

    Args:
        database: where.
        room: what the change feed is told after the commit.
    """
    database.ensure_ready()
    with ExitStack() as holds, database.turn.take(writes=True):
        begun = partial(_begun, database, room, holds)
        with database.repeating(begun, idempotent=False) as session:
            with _unwrapped():
                yield session
                session.flush()
            database.commit(session)


@asynccontextmanager
async def transaction_async(database: Database, room: str) -> AsyncIterator[AsyncSession]:
    """As ``transaction``, from a task; one that is cancelled rolls back."""
    await database.ensure_ready_async()
    database.turn.refuse_own_wait(writes=True)
    with ExitStack() as holds:
        begun = partial(_begun_async, database, room, holds)
        async with await database.repeating_async(begun, idempotent=False) as session:
            with _unwrapped():
                yield session
                await session.flush()
            await session.run_sync(database.commit)


def _begun(database: Database, room: str, holds: ExitStack) -> Session:
    session = database.manners.plain(database.engine, expire_on_commit=False)
    guard(session, database, room, holds, immediate=True)
    try:
        session.connection()
    except BaseException:
        session.close()
        raise
    return session


async def _begun_async(database: Database, room: str, holds: ExitStack) -> AsyncSession:
    session = database.manners.tasks(database.held_engine(immediate=True), expire_on_commit=False)
    guard(session.sync_session, database, room, holds, immediate=True)
    try:
        await session.connection()
    except BaseException:
        await session.close()
        raise
    return session


# -- sessions: the caller commits --------------------------------------------------------------------


@contextmanager
def session(database: Database, room: str) -> Iterator[Session]:
    """Open a session that the caller commits, as often as it likes; what it has not is rolled back.

    On SQLite it asks for the right to write at its first write: until then it keeps nobody waiting.
    """
    database.ensure_ready()
    with (
        ExitStack() as holds,
        database.manners.plain(database.own_engine, expire_on_commit=False) as opened,
        _unwrapped(database.translated),
    ):
        guard(opened, database, room, holds, immediate=False)
        yield opened


@asynccontextmanager
async def session_async(database: Database, room: str) -> AsyncIterator[AsyncSession]:
    """As ``session``, from a task."""
    await database.ensure_ready_async()
    with ExitStack() as holds:
        engine = database.held_engine(immediate=False)
        async with database.manners.tasks(engine, expire_on_commit=False) as opened:
            guard(opened.sync_session, database, room, holds, immediate=False)
            with _unwrapped(database.translated):
                yield opened


# -- within begin(): a part of its transaction -------------------------------------------------------


@contextmanager
def joined(held: Session) -> Iterator[Session]:
    """Open a session within a transaction that is held: an error undoes its own work alone."""
    held.flush()
    try:
        with (
            _unwrapped(),
            Session(
                held.connection(), expire_on_commit=False, join_transaction_mode="create_savepoint"
            ) as session,
        ):
            yield session
            session.commit()
    finally:
        held.expunge_all()  # it may have read what has been changed since


@asynccontextmanager
async def joined_async(run: RunHeld) -> AsyncIterator[AsyncSession]:
    """As ``joined``, from a task. Tasks that join the same transaction do so one after the other."""
    queue: _Queue = await run(_queue)
    async with queue.turn():
        await run(Session.flush)
        try:
            async with await _joining(await run(_held)) as session:
                with _unwrapped():
                    yield session
                    await session.commit()
        finally:
            await run(Session.expunge_all)


class _Queue:
    """Where tasks wait that join one transaction: their savepoints are nested, and cannot overlap."""

    def __init__(self) -> None:
        self._line = Line("begin()", BUSY_SECONDS)
        self._holder: object = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if self._holder is caller():  # a block within a block
            yield
            return
        end = await self._line.wait()
        self._holder = caller()
        try:
            yield
        finally:
            self._holder = None
            end()


def _queue(held: Session) -> _Queue:
    queue: _Queue = held.info.setdefault("joining", _Queue())
    return queue


def _held(held: Session) -> AsyncSession | sqlite3.Connection:
    """What another session can join: the async session behind a plain one, or SQLite's connection."""
    return async_session(held) or cast("sqlite3.Connection", held.connection().connection.driver_connection)


_numbers = count(1)


async def _joining(held: AsyncSession | sqlite3.Connection) -> AsyncSession:
    if isinstance(held, sqlite3.Connection):
        name = f"daicho_joined_{next(_numbers)}"
        engine = lending_engine(partial(Joined, held, name), f"SAVEPOINT {name}")
        return AsyncSession(engine, expire_on_commit=False)
    connection = await held.connection()
    return AsyncSession(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")


# -- what they have in common ------------------------------------------------------------------------


def guard(session: Session, database: Database, room: str, holds: ExitStack, *, immediate: bool) -> None:
    """Let a session refuse a closed ledger, announce its commits, and be known while others wait for it."""

    def begun(_: Session, transaction: SessionTransaction, connection: Connection) -> None:
        if transaction.nested:
            return
        database.ensure_ready()
        try:
            connection.exec_driver_sql("SELECT 1")  # one that the server has dropped is found out now
        except DBAPIError as error:
            if immediate:  # it is begun again
                raise
            raise database.translated(error) from None

    event.listen(session, "after_begin", begun)
    if (naive := database.manners.naive) is not None:
        event.listen(session, "before_flush", lambda *_: zone_instances(session, naive))
    event.listen(session, "after_commit", lambda _: database.changes.mark(frozenset({room})))
    if database.in_threads:
        holds.callback(_Hold(session, database, immediate=immediate).end)


class _Hold:
    """What a session on SQLite keeps others from, known to the database as long as it does.

    Args:
        session: the session.
        database: where.
        immediate: whether it has the right to write from its begin, or only from its first write.
    """

    def __init__(self, session: Session, database: Database, *, immediate: bool) -> None:
        self._database = database
        self._immediate = immediate or database.in_memory  # whose one connection others wait for
        self._noted: ExitStack | None = None
        event.listen(session, "before_flush", lambda *_: self._about_to(writes=True))
        event.listen(session, "do_orm_execute", self._executing)
        event.listen(session, "after_begin", self._begun)
        event.listen(session, "after_transaction_end", self._ended)

    def _executing(self, state: ORMExecuteState) -> None:
        self._about_to(writes=state.is_insert or state.is_update or state.is_delete)

    def _about_to(self, *, writes: bool) -> None:
        if self._noted is None and (writes or self._immediate):
            self._database.turn.refuse_own_wait(writes=True)
            self._note()

    def _begun(self, *_: object) -> None:
        if self._noted is None and self._immediate:
            self._note()

    def _note(self) -> None:
        self._noted = ExitStack()
        self._noted.enter_context(self._database.turn.holding(caller()))

    def _ended(self, _: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            self.end()

    def end(self) -> None:
        """The session keeps nobody waiting any more."""
        if self._noted is not None:
            self._noted.close()
            self._noted = None


@contextmanager
def _unwrapped(translated: Callable[[Exception], Exception] | None = None) -> Iterator[None]:
    """Let an error of our own that SQLAlchemy has wrapped, a column type's, come out as itself.

    Args:
        translated: what an error of the pool is told by, for a session that begins within the block.
    """
    try:
        yield
    except StatementError as error:
        if isinstance(error.orig, DaichoError):
            raise error.orig from None
        raise
    except PoolTimeoutError as error:
        if translated is None:
            raise
        raise translated(error) from None


def not_within() -> Invalid:
    """The error for a session that commits by itself where the commit is ``begin()``'s."""
    return Invalid(
        "within begin() the commit is begin()'s: use transaction(), which joins it",
        "begin() の中では begin() がコミットします。それに加わる transaction() を使ってください",
    )
