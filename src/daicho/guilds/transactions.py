"""Transactions that a caller holds open itself, and the backup (seed 004, トランザクション管理)."""

import inspect
import warnings
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, overload

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

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

    def async_session(
        self: "Transactions[Async]", *, writes: bool = True
    ) -> AbstractAsyncContextManager[AsyncSession]:
        """Open an ``AsyncSession`` that the caller commits; what it has not committed is rolled back.

        Args:
            writes: False for one that only reads: on SQLite it neither waits for a writer nor keeps one
                waiting.

        Seed 004, ``async_session``.
        """
        return self.runner.async_session(self.room, writes=writes)

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
        an async function on Ledger. Seed 004, ``execute_in_transaction``.
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
        return backup(database, folder, "backup_kyrios")


def _all(opened: AbstractContextManager[Session], operations: Iterable[Callable[[Any], Any]]) -> list[Any]:
    with opened as session:
        results = []
        for operation in operations:
            is_async = inspect.iscoroutinefunction(operation)
            result = None if is_async else operation(session)
            if is_async or inspect.isawaitable(result):
                _discard(result)
                raise Invalid(
                    f"{_name(operation)} is async, and Ledger cannot await it: use AsyncLedger",
                    f"{_name(operation)} は非同期関数で、Ledger では待てません。AsyncLedger を使ってください",
                )
            results.append(result)
        return results


async def _all_async(
    opened: AbstractAsyncContextManager[AsyncSession], operations: Iterable[Callable[[Any], Any]]
) -> list[Any]:
    async with opened as session:
        results = []
        for operation in operations:
            if inspect.iscoroutinefunction(operation):
                results.append(await operation(session))
                continue
            first = await session.begin_nested()
            result = await session.run_sync(operation)
            if not inspect.isawaitable(result):
                await first.commit()
                results.append(result)
                continue
            _discard(result)
            await first.rollback()
            results.append(await operation(session))
        return results


def _discard(result: object) -> None:
    """Let go of an awaitable that nobody will await, without the warning that nobody has."""
    for way_out in ("close", "cancel"):
        if inspect.isawaitable(result) and hasattr(result, way_out):
            getattr(result, way_out)()
            return


def _name(operation: Callable[[Any], Any]) -> str:
    return getattr(operation, "__name__", type(operation).__name__)
