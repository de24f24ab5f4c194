"""``Ledger`` and ``AsyncLedger``: the one face of everything that Daicho records."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, Self, get_origin, get_type_hints

from sqlalchemy import URL
from sqlalchemy.orm import Session

from daicho import migrations
from daicho.calls.store import CallStore
from daicho.chats.store import ChatStore
from daicho.core.dialect import keep_to
from daicho.core.engine import Database
from daicho.core.errors import NotFound
from daicho.core.manners import begin_anew_to_write
from daicho.core.operation import Async, Mode, Runner, Sync
from daicho.core.runners import AsyncHeldRunner, AsyncRunner, HeldRunner, SyncRunner
from daicho.core.settings import Settings, parse_url
from daicho.core.types import uuid_text
from daicho.guilds.store import GuildStore
from daicho.members.store import MemberStore
from daicho.tasks.context import TaskContextManager
from daicho.tasks.store import TaskStore
from daicho.usage.schemas import TENANT
from daicho.usage.store import UsageStore


class Rooms(Generic[Mode]):
    """The rooms of the ledger. A new domain is a new folder and one line here."""

    calls: CallStore[Mode]
    tasks: TaskStore[Mode]
    members: MemberStore[Mode]
    usage: UsageStore[Mode]
    guilds: GuildStore[Mode]
    chats: ChatStore[Mode]

    def __init__(self, runner: Runner) -> None:
        for name, store in get_type_hints(Rooms).items():
            setattr(self, name, (get_origin(store) or store)(runner))


ROOMS: tuple[str, ...] = tuple(Rooms.__annotations__)
"""The rooms' names, in the order in which menus show them."""


class TenantRooms(Generic[Mode]):
    """What of the ledger a tenant has: its usage, as if nobody else's existed."""

    def __init__(self, runner: Runner, tenant: str) -> None:
        self.usage: UsageStore[Mode] = UsageStore(runner, tenant)


class TenantLedger(TenantRooms[Sync]):
    """One tenant's part of a ledger, for threads. It shares the ledger's database and ends with it.

    Other tenants' ids are answered like ids that nobody has. On PostgreSQL row-level security keeps
    its transactions to the tenant's rows, whatever a statement forgets (``daicho db grant``).
    """

    def __init__(self, database: Database, tenant: str) -> None:
        self._database, self._tenant = database, tenant
        super().__init__(SyncRunner(database, tenant), tenant)

    @contextmanager
    def begin(self) -> Iterator[TenantRooms[Sync]]:
        """Run several operations in one transaction: all of them happen, or none."""
        with self._database.begin() as session:
            keep_to(session.connection(), self._tenant)
            runner = HeldRunner(session, self._database)
            yield TenantRooms[Sync](runner, self._tenant)
        self._database.changes.mark(frozenset(runner.changed))


class AsyncTenantLedger(TenantRooms[Async]):
    """One tenant's part of a ledger, for tasks. As ``TenantLedger``."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database, self._tenant = database, tenant
        super().__init__(AsyncRunner(database, tenant), tenant)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[TenantRooms[Async]]:
        """Run several operations in one transaction: all of them happen, or none."""
        async with self._database.begin_async() as run:
            await run(lambda session: keep_to(session.connection(), self._tenant))
            runner = AsyncHeldRunner(run, self._database)
            yield TenantRooms[Async](runner, self._tenant)
        self._database.changes.mark(frozenset(runner.changed))


def _tenant(tenant_id: str) -> str:
    tenant = uuid_text(tenant_id)
    if tenant is None:
        raise NotFound(TENANT, tenant_id)
    return tenant


def open_database(url: str | URL | None = None, settings: Settings | None = None) -> Database:
    """Return the database that a URL or the settings name, without touching it yet.

    Raises Invalid for a URL or a setting that cannot be.
    """
    settings = settings or Settings()
    place = parse_url(str(url) if isinstance(url, str) else url.render_as_string(False)) if url else None
    return Database(place or settings.database_url(), settings, migrations.prepare)


class Ledger(Rooms[Sync]):
    """The ledger for threads: every operation returns its result.

    Args:
        url: ``sqlite:///daicho.db``, ``sqlite://`` (memory), ``postgresql://user@host/name``; the
            settings' database, if None.
        settings: the settings; read from environment, ``.env`` and ``config.yaml``, if None.

    Use it from any number of threads. A new or empty SQLite file is set up at first use.

    >>> with Ledger("sqlite://") as ledger:
    ...     call = ledger.calls.start("call-123", "client-001")
    ...     line = ledger.calls.append_log("call-123", "user", "こんにちは", state="greeting")
    ...     [log.text for log in ledger.calls.transcript("call-123")]
    ['こんにちは']
    """

    def __init__(self, url: str | URL | None = None, *, settings: Settings | None = None) -> None:
        self.database = open_database(url, settings)
        super().__init__(SyncRunner(self.database))

    @contextmanager
    def begin(self) -> Iterator[Rooms[Sync]]:
        """Run several operations in one transaction: all of them happen, or none.

        >>> with Ledger("sqlite://") as ledger, ledger.begin() as tx:
        ...     call = tx.calls.start("call-1", "client-001")
        ...     call = tx.calls.complete("call-1")
        """
        with self.database.begin() as session:
            runner = HeldRunner(session, self.database)
            yield Rooms[Sync](runner)
        self.database.changes.mark(frozenset(runner.changed))

    def over(self, session: Session) -> Rooms[Sync]:
        """Return the rooms in a session of the caller's, who commits it.

        Args:
            session: SQLAlchemy's, on a database with this ledger's schema.
        """
        return Rooms[Sync](HeldRunner(session, self.database))

    @contextmanager
    def within(self, session: Session) -> Iterator[Rooms[Sync]]:
        """As ``over``; the block's end commits the session with all it has begun, an error rolls it back."""
        runner = HeldRunner(session, self.database)
        try:
            begin_anew_to_write(session.connection())
            yield Rooms[Sync](runner)
            session.commit()
        except BaseException:
            session.rollback()
            raise
        self.database.changes.mark(frozenset(runner.changed))

    def for_tenant(self, tenant_id: str) -> TenantLedger:
        """Return the part of this ledger that is one tenant's. Raises NotFound for what is no tenant's id.

        >>> with Ledger("sqlite://") as ledger:
        ...     tenant = ledger.usage.create_tenant("Acme")
        ...     acme = ledger.for_tenant(tenant.id)
        ...     len(acme.usage.list_users())
        0
        """
        return TenantLedger(self.database, _tenant(tenant_id))

    def close(self) -> None:
        """Write what is queued and let every connection go. A second call does nothing."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncLedger(Rooms[Async]):
    """The ledger for tasks: every operation is awaited. Arguments as for ``Ledger``."""

    def __init__(self, url: str | URL | None = None, *, settings: Settings | None = None) -> None:
        self.database = open_database(url, settings)
        super().__init__(AsyncRunner(self.database))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Rooms[Async]]:
        """Run several operations in one transaction: all of them happen, or none."""
        async with self.database.begin_async() as run:
            runner = AsyncHeldRunner(run, self.database)
            yield Rooms[Async](runner)
        self.database.changes.mark(frozenset(runner.changed))

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Yield the names of rooms that may have changed, each time any process has written.

        ``*`` among them means any room. Look at the rows themselves for what has changed.
        """
        return self.database.changes.watch()

    def for_tenant(self, tenant_id: str) -> AsyncTenantLedger:
        """Return the part of this ledger that is one tenant's. As for ``Ledger``."""
        return AsyncTenantLedger(self.database, _tenant(tenant_id))

    async def close(self) -> None:
        """Write what is queued and let every connection go. A second call does nothing."""
        await self.database.close_async()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


TaskContextManager.open_ledger = staticmethod(lambda settings: Ledger(settings=settings))
