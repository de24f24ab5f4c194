"""Transactions that a caller holds open itself, and the backup (seed 004, トランザクション管理)."""

import asyncio
import inspect
import os
import warnings
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, overload

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from daicho.core.backup import backup
from daicho.core.engine import Database
from daicho.core.errors import Invalid
from daicho.core.operation import Async, Mode, Store, Sync, apart
from daicho.guilds.models import MusicSession

T = TypeVar("T")


class Transactions(Store[Mode]):
    """SQLAlchemy's own sessions on the ledger's database, for the models of ``daicho.guilds.models``."""

    room = "guilds"

    @overload
    def transaction(self: "Transactions[Sync]") -> AbstractContextManager[Session]: ...
    @overload
    def transaction(self: "Transactions[Async]") -> AbstractAsyncContextManager[AsyncSession]: ...
    def transaction(self) -> Any:
        """Open a session whose work is committed at the end of the block, and rolled back on any error.

        A ``Session`` on ``Ledger``, an ``AsyncSession`` on ``AsyncLedger``. Within ``begin()`` it is a part
        of that transaction: an error undoes the block alone.

        What the block's statements raise are SQLAlchemy's errors (``IntegrityError``). Unavailable, if the
        transaction cannot begin or be committed; Conflict, if an error that the block has caught undid it.
        Seed 004, ``transaction``.
        """
        return self.runner.transaction(self.room)

    def async_session(self: "Transactions[Async]") -> AbstractAsyncContextManager[AsyncSession]:
        """Open an ``AsyncSession`` that the caller commits; what it has not committed is rolled back.

        On SQLite it waits for other writers at its first write only. One that read before that is refused
        ("database is locked") if somebody has written meanwhile: to read and then write, use
        ``transaction``. Unavailable, if it cannot begin or commit. Seed 004, ``async_session``.
        """
        return self.runner.async_session(self.room)

    @overload
    def get_session(self: "Transactions[Any]") -> AbstractContextManager[Session]: ...
    @overload
    def get_session(self: "Transactions[Sync]", guild_id: int) -> MusicSession | None: ...
    @overload
    def get_session(self: "Transactions[Async]", guild_id: int) -> Awaitable[MusicSession | None]: ...
    def get_session(self: Any, guild_id: int | None = None) -> Any:
        """Return a guild's music session: ``get_music_session``.

        Without a guild, the old way to a plain ``Session`` that the caller commits, on both faces. It warns
        DeprecationWarning: two of them are two transactions, and in a task it blocks the event loop. Use
        ``transaction``. Seed 004, ``get_session``, in both its meanings.
        """
        if guild_id is not None:
            return self.get_music_session(guild_id)
        warnings.warn(
            "get_session() without a guild is deprecated: use transaction()", DeprecationWarning, stacklevel=2
        )
        return self.runner.session(self.room)

    @overload
    def execute_in_transaction(
        self: "Transactions[Sync]", operations: Iterable[Callable[[Session], T]]
    ) -> list[T]: ...
    @overload
    def execute_in_transaction(
        self: "Transactions[Async]", operations: Iterable[Callable[[Any], Awaitable[T]]]
    ) -> Awaitable[list[T]]: ...
    @overload
    def execute_in_transaction(
        self: "Transactions[Async]", operations: Iterable[Callable[[Any], object]]
    ) -> Awaitable[list[Any]]: ...
    def execute_in_transaction(self: Any, operations: Iterable[Callable[[Any], Any]]) -> Any:
        """Call functions one after the other in one transaction, and return their results in that order.

        Args:
            operations: each takes the session. On AsyncLedger an ``async def`` is given an
                ``AsyncSession``, any other function a plain ``Session``. A function that merely returns an
                awaitable (a lambda around an ``async def``) is called a second time, with an
                ``AsyncSession``; what it wrote the first time is undone.

        All of them happen, or none; each one's error comes out as for ``transaction``. Raises Invalid for
        an async function on Ledger, for what is no function, and for one that commits, rolls back or closes
        the session that all of them share (``begin_nested`` is its own). Seed 004,
        ``execute_in_transaction``.
        """
        opened = self.transaction()
        if isinstance(opened, AbstractAsyncContextManager):
            return _all_async(opened, operations)
        return _all(opened, operations)

    @apart
    def backup_database(self, database: Database, folder: str | Path = ".") -> Path:
        """Write a copy of the whole database, as it is at one instant, while others go on writing.

        Args:
            folder: an existing folder.

        Returns the file: ``backup_kyrios_20261121_093000.db`` by the local time, an SQLite database; on
        PostgreSQL ``….dump``, for ``pg_restore``. It is complete or not there, and never takes another
        one's place. Raises Invalid for a folder that is none, and Unavailable if it cannot be written.
        Seed 004, ``backup_database``.
        """
        if not isinstance(folder, str | os.PathLike):
            raise Invalid(
                f"folder: a path is needed, not {folder!r}", f"folder: パスを指定してください: {folder!r}"
            )
        return backup(database, folder, "backup_kyrios")


def _all(opened: AbstractContextManager[Session], operations: Iterable[Callable[[Any], Any]]) -> list[Any]:
    each = _iterated(operations)
    with opened as session, _Shared(session) as shared:
        results = []
        for operation in each:
            shared.next(operation)
            is_async = inspect.iscoroutinefunction(operation)
            result = None if is_async else operation(session)
            if is_async or inspect.isawaitable(result):
                _discard(result)
                raise Invalid(
                    f"{_name(operation)} is async, and Ledger cannot await it: use AsyncLedger",
                    f"{_name(operation)} は非同期関数で、Ledger では待てません。AsyncLedger を使ってください",
                )
            shared.check()
            results.append(result)
        return results


async def _all_async(
    opened: AbstractAsyncContextManager[AsyncSession], operations: Iterable[Callable[[Any], Any]]
) -> list[Any]:
    each = _iterated(operations)
    async with opened as session:
        with _Shared(session.sync_session) as shared:
            results = []
            for operation in each:
                shared.next(operation)
                results.append(await _one_async(session, operation, shared))
            return results


async def _one_async(session: AsyncSession, operation: Callable[[Any], Any], shared: "_Shared") -> object:
    if not inspect.iscoroutinefunction(operation):
        first = await session.begin_nested()
        result = await session.run_sync(operation)
        is_async = inspect.isawaitable(result)
        if is_async:
            _discard(result)
        shared.check()
        if not is_async:
            await first.commit()
            return result
        await first.rollback()
    result = await operation(session)
    shared.check()
    return result


class _Shared:
    """A session that several functions share: none of them may end what is all of theirs.

    Args:
        session: the session; it must be left to the functions alone until the block has ended.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._refusal: Invalid | None = None
        self._listening = (
            ("before_commit", self._committing),
            ("after_transaction_end", self._ended),
        )

    def __enter__(self) -> "_Shared":
        for name, listener in self._listening:
            event.listen(self._session, name, listener)
        return self

    def __exit__(self, *_: object) -> None:
        for name, listener in self._listening:
            event.remove(self._session, name, listener)

    def next(self, operation: object) -> None:
        """Take note of whose turn it is. Raises Invalid for what is no function."""
        if not callable(operation):
            raise Invalid(
                f"operations: {operation!r} is not a function of a session",
                f"operations: セッションを受け取る関数ではありません: {operation!r}",
            )
        self._name = _name(operation)

    def check(self) -> None:
        """Raise Invalid if the function tried to end the transaction, whatever it made of being refused."""
        if self._refusal is not None:
            raise self._refusal

    def _committing(self, session: Session) -> None:
        if not session.in_nested_transaction():
            raise self._refuse()

    def _ended(self, _: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            self._refuse()

    def _refuse(self) -> Invalid:
        self._refusal = Invalid(
            f"{self._name} ends the transaction that all operations share; nothing was saved. Leave out its"
            " commit(), rollback() or close(), or use session.begin_nested()",
            f"{self._name} が共有のトランザクションを終わらせようとしたため、何も保存されていません。"
            "commit()・rollback()・close() を除くか、session.begin_nested() を使ってください",
        )
        return self._refusal


def _iterated(operations: Iterable[Callable[[Any], Any]]) -> Iterable[Callable[[Any], Any]]:
    try:
        return iter(operations)
    except TypeError:
        raise Invalid(
            f"operations: a list of functions is needed, not {operations!r}",
            f"operations: 関数のリストを指定してください: {operations!r}",
        ) from None


def _discard(result: object) -> None:
    """Let go of an awaitable that nobody will await, without the warnings that nobody has."""
    if isinstance(result, asyncio.Future):
        result.cancel()
        result.add_done_callback(lambda done: done.cancelled() or done.exception())
    elif inspect.iscoroutine(result):
        result.close()


def _name(operation: Callable[[Any], Any]) -> str:
    return getattr(operation, "__name__", type(operation).__name__)
