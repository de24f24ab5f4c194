"""Sessions that a caller holds open itself: SQLAlchemy's own, plain and async, on either database.

What the caller's statements raise stays SQLAlchemy's error, inside and outside of the block; what Daicho
does for the caller, beginning and committing, raises a DaichoError.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import cast

from sqlalchemy import Connection, event
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncSession, async_session
from sqlalchemy.orm import Session, SessionTransaction

from daicho.core.engine import Database, RunHeld
from daicho.core.errors import DaichoError, Invalid
from daicho.core.lent import JOINED, Joined, lending_engine

# -- transactions: committed at the end --------------------------------------------------------------


@contextmanager
def transaction(database: Database, room: str) -> Iterator[Session]:
    """Hold a transaction open: committed at the end, rolled back on any error.

    Args:
        database: where.
        room: what the change feed is told after the commit.
    """
    database.ensure_ready()
    begun = partial(_begun, database, room)
    with database.turn(writes=True), database.repeating(begun, idempotent=False) as session:
        with _unwrapped():
            yield session
            session.flush()
        database.commit(session)


@asynccontextmanager
async def transaction_async(database: Database, room: str) -> AsyncIterator[AsyncSession]:
    """As ``transaction``, from a task; one that is cancelled rolls back."""
    await database.ensure_ready_async()
    begun = partial(_begun_async, database, room)
    async with await database.repeating_async(begun, idempotent=False) as session:
        with _unwrapped():
            yield session
            await session.flush()
        await session.run_sync(database.commit)


def _begun(database: Database, room: str) -> Session:
    session = _guarded(Session(database.engine, expire_on_commit=False), database, room)
    try:
        session.connection()
    except BaseException:
        session.close()
        raise
    return session


async def _begun_async(database: Database, room: str) -> AsyncSession:
    session = AsyncSession(database.held_engine(), expire_on_commit=False)
    _guarded(session.sync_session, database, room)
    try:
        await session.connection()
    except BaseException:
        await session.close()
        raise
    return session


# -- sessions: the caller commits --------------------------------------------------------------------


@contextmanager
def session(database: Database, room: str) -> Iterator[Session]:
    """Open a session that the caller commits, as often as it likes; what it has not is rolled back."""
    database.ensure_ready()
    with (
        _guarded(Session(database.engine, expire_on_commit=False), database, room) as opened,
        _unwrapped(),
    ):
        yield opened


@asynccontextmanager
async def session_async(database: Database, room: str, *, writes: bool) -> AsyncIterator[AsyncSession]:
    """As ``session``, from a task.

    Args:
        database: where.
        room: what the change feed is told after each commit.
        writes: False for one that only reads: on SQLite it neither waits for a writer nor keeps one waiting.
    """
    await database.ensure_ready_async()
    async with AsyncSession(database.held_engine(writes=writes), expire_on_commit=False) as opened:
        if writes:
            _guarded(opened.sync_session, database, room)
        with _unwrapped():
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
    """As ``joined``, from a task."""
    await run(Session.flush)
    try:
        async with await _joining(await run(_held)) as session:
            with _unwrapped():
                yield session
                await session.commit()
    finally:
        await run(Session.expunge_all)


def _held(held: Session) -> AsyncSession | sqlite3.Connection:
    """What another session can join: the async session behind a plain one, or SQLite's connection."""
    return async_session(held) or cast("sqlite3.Connection", held.connection().connection.driver_connection)


async def _joining(held: AsyncSession | sqlite3.Connection) -> AsyncSession:
    if isinstance(held, sqlite3.Connection):
        engine = lending_engine(partial(Joined, held), f"SAVEPOINT {JOINED}")
        return AsyncSession(engine, expire_on_commit=False)
    connection = await held.connection()
    return AsyncSession(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")


# -- what they have in common ------------------------------------------------------------------------


def _guarded(session: Session, database: Database, room: str) -> Session:
    """Let a session refuse a closed ledger, and announce its commits."""

    def begun(_: Session, transaction: SessionTransaction, connection: Connection) -> None:
        if not transaction.nested:
            database.ensure_ready()
            connection.exec_driver_sql("SELECT 1")  # one that the server has dropped is found out now

    event.listen(session, "after_begin", begun)
    event.listen(session, "after_commit", lambda _: database.changes.mark(frozenset({room})))
    return session


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Let an error of our own that SQLAlchemy has wrapped, a column type's, come out as itself."""
    try:
        yield
    except StatementError as error:
        if isinstance(error.orig, DaichoError):
            raise error.orig from None
        raise


def not_within() -> Invalid:
    """The error for a session that commits by itself where the commit is ``begin()``'s."""
    return Invalid(
        "within begin() the commit is begin()'s: use transaction(), which joins it",
        "begin() の中では begin() がコミットします。それに加わる transaction() を使ってください",
    )
