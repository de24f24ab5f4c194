"""How each face carries out an operation, alone and within ``begin()`` (``operation.Runner``)."""

import asyncio
import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from daicho.core import sessions
from daicho.core.beside import AsyncBesideRunner, BesideHeldRunner, BesideRunner, Make
from daicho.core.dialect import keep_to
from daicho.core.engine import Database, RunHeld
from daicho.core.errors import DaichoError, Invalid
from daicho.core.operation import Runner
from daicho.core.writer import BatchWrite

R = TypeVar("R")


class SyncRunner:
    """``Ledger``: each operation in a transaction of its own.

    Args:
        database: where.
        tenant: whose rows alone the database itself lets it see and write; None: all.
    """

    def __init__(self, database: Database, tenant: str | None = None) -> None:
        self.database = database
        self._tenant = tenant

    def call(self, room: str, work: Callable[[Session], Any], *, writes: bool, idempotent: bool) -> Any:
        result = self.database.run(within(self._tenant, work), writes=writes, idempotent=idempotent)
        if writes:
            self.database.changes.mark(frozenset({room}))
        return result

    def append(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        if self._tenant is not None:  # a commit that others share could not be kept to its rows
            return self.call(
                room, functools.partial(alone, write=write, item=item()), writes=True, idempotent=False
            )
        self.database.ensure_ready()
        result = self.database.writer.submit(write, item())
        self.database.changes.mark(frozenset({room}))
        return result

    def enqueue(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        self.database.ensure_ready()
        return self.database.buffer.put(room, write, item(), self._tenant)

    def apart(self, work: Callable[[Database], Any]) -> Any:
        self.database.ensure_ready()
        return work(self.database)

    def beside(self, name: str, make: Make) -> Runner:
        return BesideRunner(self.database, name, make)

    def transaction(self, room: str) -> AbstractContextManager[Session]:
        return sessions.transaction(self.database, room)

    def session(self, room: str) -> AbstractContextManager[Session]:
        return sessions.session(self.database, room)

    def async_session(self, room: str) -> AbstractAsyncContextManager[AsyncSession]:
        raise Invalid(
            "async_session belongs to AsyncLedger; on Ledger use transaction()",
            "async_session は AsyncLedger のものです。Ledger では transaction() を使ってください",
        )


class AsyncRunner:
    """``AsyncLedger``: each operation in a transaction of its own. Arguments as for ``SyncRunner``."""

    def __init__(self, database: Database, tenant: str | None = None) -> None:
        self.database = database
        self._tenant = tenant

    async def call(self, room: str, work: Callable[[Session], Any], *, writes: bool, idempotent: bool) -> Any:
        kept = within(self._tenant, work)
        result = await self.database.run_async(kept, writes=writes, idempotent=idempotent)
        if writes:
            self.database.changes.mark(frozenset({room}))
        return result

    async def append(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        if self._tenant is not None:
            ready = functools.partial(alone, write=write, item=item())
            return await self.call(room, ready, writes=True, idempotent=False)
        await self.database.ensure_ready_async()
        result = await self.database.writer.submit_async(write, item())
        self.database.changes.mark(frozenset({room}))
        return result

    async def enqueue(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        await self.database.ensure_ready_async()
        return await self.database.buffer.put_async(room, write, item(), self._tenant)

    async def apart(self, work: Callable[[Database], Any]) -> Any:
        await self.database.ensure_ready_async()
        return await asyncio.to_thread(work, self.database)

    def beside(self, name: str, make: Make) -> Runner:
        return AsyncBesideRunner(self.database, name, make)

    def transaction(self, room: str) -> AbstractAsyncContextManager[AsyncSession]:
        return sessions.transaction_async(self.database, room)

    def session(self, room: str) -> AbstractContextManager[Session]:
        return sessions.session(self.database, room)

    def async_session(self, room: str) -> AbstractAsyncContextManager[AsyncSession]:
        return sessions.session_async(self.database, room)


class _Within:
    """What there is no room for within ``begin()``, whose transaction is the only one."""

    database: Database

    def beside(self, name: str, make: Make) -> Runner:
        return BesideHeldRunner(self.database)

    def apart(self, work: Callable[[Database], Any]) -> Any:
        raise Invalid(
            "this concerns the whole database: call it outside of begin()",
            "これはデータベース全体の操作です。begin() の外で呼んでください",
        )

    def session(self, room: str) -> AbstractContextManager[Session]:
        raise sessions.not_within()

    def async_session(self, room: str) -> AbstractAsyncContextManager[AsyncSession]:
        raise sessions.not_within()


class HeldRunner(_Within):
    """Within ``Ledger.begin()``: every operation in the one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self.database = database
        self.changed: set[str] = set()

    def call(self, room: str, work: Callable[[Session], Any], *, writes: bool, idempotent: bool) -> Any:
        if writes:
            self.changed.add(room)
        return work(self._session)

    def append(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        self.changed.add(room)
        return alone(self._session, write, item())

    def enqueue(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        raise _not_within()

    def transaction(self, room: str) -> AbstractContextManager[Session]:
        self.changed.add(room)
        return sessions.joined(self._session)


class AsyncHeldRunner(_Within):
    """Within ``AsyncLedger.begin()``: every operation in the one transaction."""

    def __init__(self, run: RunHeld, database: Database) -> None:
        self._run = run
        self.database = database
        self.changed: set[str] = set()

    async def call(self, room: str, work: Callable[[Session], Any], *, writes: bool, idempotent: bool) -> Any:
        if writes:
            self.changed.add(room)
        return await self._run(work)

    async def append(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        self.changed.add(room)
        ready = item()
        return await self._run(lambda session: alone(session, write, ready))

    async def enqueue(self, room: str, write: BatchWrite, item: Callable[[], Any]) -> Any:
        raise _not_within()

    def transaction(self, room: str) -> AbstractAsyncContextManager[AsyncSession]:
        self.changed.add(room)
        return sessions.joined_async(self._run)


def _not_within() -> Invalid:
    return Invalid(
        "enqueue writes later, outside of begin(): record within it instead",
        "enqueue は begin() の外で後から書き込みます。begin() の中では record を使ってください",
    )


def within(tenant: str | None, work: Callable[[Session], R]) -> Callable[[Session], R]:
    """Return the same work in a transaction that the database keeps to a tenant's rows, if one is named."""
    if tenant is None:
        return work

    def kept(session: Session) -> R:
        keep_to(session.connection(), tenant)
        return work(session)

    return kept


def alone(session: Session, write: BatchWrite, item: object) -> Any:
    """Write a batch of one and return its result, or raise its error."""
    result = write(session.connection(), [item])[0]
    if isinstance(result, DaichoError):
        raise result
    return result
