"""The bot's ``DatabaseManager`` (seed 004, データベースマネージャー)."""

import logging
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from daicho import AsyncLedger
from daicho.core.backup import whole_file
from daicho.core.manners import Manners, Naive
from daicho.core.operation import Async
from daicho.guilds.store import GuildStore


def _session_classes() -> tuple[type[Session], type[AsyncSession]]:
    """SQLModel's, whose sessions have ``exec`` besides, where the bot has SQLModel."""
    try:
        from sqlmodel import Session as WithExec
        from sqlmodel.ext.asyncio.session import AsyncSession as AsyncWithExec
    except ImportError:
        return Session, AsyncSession

    class Plain(WithExec):
        execute = Session.execute  # SQLModel's own warns of being used

    class Tasks(AsyncWithExec):
        sync_session_class = Plain
        execute = AsyncSession.execute

    return Plain, Tasks


class DatabaseManager(GuildStore[Async]):
    """Every operation of the design, awaited.

    Args:
        database_path: an SQLite file, ``:memory:``, or a database's URL; the settings' database, if None.

    Times without a zone mean the machine's local time, as ``datetime.now()``; what is read is aware UTC.
    """

    naive = Naive.LOCAL

    def __init__(self, database_path: str | Path | None = None) -> None:
        self.ledger = AsyncLedger(_url(database_path))
        plain, tasks = _session_classes()
        self.ledger.database.manners = Manners(Naive.LOCAL, rereads=True, plain=plain, tasks=tasks)
        self.logger = logging.getLogger("database")
        super().__init__(self.ledger.guilds.runner)

    async def initialize(self) -> None:
        """Set a new SQLite file up. Raises Outdated, with the command that helps, for an older database."""
        await self.ledger.database.ensure_ready_async()

    async def close(self) -> None:
        """Let every connection go."""
        await self.ledger.close()

    @property
    def database_path(self) -> Path:
        """The SQLite file, with all that was committed in it: it may be copied as it stands.

        Raises Invalid where the database is no file. ``backup_database`` needs no file, and no quiet moment.
        """
        return whole_file(self.ledger.database)


def _url(place: str | Path | None) -> str | URL | None:
    if place is None or "://" in str(place):
        return None if place is None else str(place)
    return URL.create("sqlite", database=None if str(place) == ":memory:" else str(place))
