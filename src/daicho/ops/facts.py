"""What the database itself says when it is asked: its size, its tables', how many use it, how they get along.

It is asked seldom and never waited for long: whoever wants to know while it does not answer is told so.
"""

import asyncio
import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from sqlalchemy.orm import Session

from daicho.core.engine import Database
from daicho.core.errors import DaichoError
from daicho.core.model import Base

log = logging.getLogger("daicho")

PATIENCE_SECONDS = 2.0
"""How long whoever asks is kept waiting."""
KEPT_SECONDS = 5.0
"""How long an answer holds."""
SIZES_SECONDS = 60.0
"""How long the tables' sizes hold at least."""
SIZES_SHARE = 50
"""They hold so many times as long as it took to find them out: at most 2 % of the time goes into that."""


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its indexes.

    Attributes:
        size: in bytes.
        rows: as many as the database supposes; None: it does not know.
    """

    size: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database says.

    Attributes:
        up: whether it answered.
        size: of the database in bytes; None: unknown.
        gauges: what else there is to say of this kind of database at the moment, by name.
        counters: what of it only ever rises.
        tables: Daicho's tables, by name; empty while their sizes are not known.
    """

    up: bool = False
    size: int | None = None
    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, TableSize] = field(default_factory=dict)


class Source(ABC):
    """How one kind of database is asked."""

    @abstractmethod
    def look(self, session: Session) -> Facts:
        """Return what is quickly found out, without the tables."""

    @abstractmethod
    def tables(self, session: Session) -> dict[str, TableSize]:
        """Return the sizes of Daicho's tables; nothing where that would take too long."""


class FactKeeper:
    """Asks the database, at most every few seconds whoever asks, and remembers its answer.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._source = source_for(database)
        self._latest, self._asked_at = Facts(), float("-inf")
        self._sizes: dict[str, TableSize] = {}
        self._sizes_until = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def look(self) -> Facts:
        """Return what the database says, at most some seconds old; ``up`` is False if it does not answer.

        What it said before is still told while it is away.
        """
        if monotonic() - self._asked_at < KEPT_SECONDS:
            return self._latest
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        done, _ = await asyncio.wait({self._asking}, timeout=PATIENCE_SECONDS)
        return self._latest if done else replace(self._latest, up=False)

    async def _ask(self) -> None:
        try:
            seen = await self._database.run_async(self._source.look, writes=False)
        except DaichoError as error:
            log.warning("the database was asked for its metrics: %s", error)
            self._keep(replace(self._latest, up=False))
            return
        self._keep(replace(seen, tables=self._sizes))
        if monotonic() >= self._sizes_until:
            await self._measure_tables()
            self._keep(replace(seen, tables=self._sizes))

    async def _measure_tables(self) -> None:
        begun = monotonic()
        try:
            self._sizes = await self._database.run_async(self._source.tables, writes=False)
        except DaichoError as error:  # one that migrates may have locked them
            log.info("the tables' sizes are not known now: %s", error)
        took = monotonic() - begun
        self._sizes_until = monotonic() + max(SIZES_SECONDS, SIZES_SHARE * took)

    def _keep(self, facts: Facts) -> None:
        self._latest, self._asked_at = facts, monotonic()


def source_for(database: Database) -> Source:
    """Return what knows how to ask a database of this kind."""
    from daicho.ops.facts_postgres import PostgresSource
    from daicho.ops.facts_sqlite import SqliteSource

    return SqliteSource(database) if database.in_threads else PostgresSource()


def known_tables() -> list[str]:
    """The names of Daicho's own tables: others' in the same database are none of its business."""
    return sorted(Base.metadata.tables)


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system, in bytes."""

    total: int
    free: int


def disks(database: Database) -> dict[str, Disk]:
    """The file systems on this machine that Daicho writes to: ``database`` (SQLite's file), ``contexts``."""
    places = {"contexts": database.settings.context_storage.base_dir.absolute()}
    if database.in_threads and not database.in_memory:
        places["database"] = Path(database.url.database or "").absolute()
    found = {}
    for name, place in places.items():
        there = next((folder for folder in (place, *place.parents) if folder.is_dir()), None)
        if there is not None:
            usage = shutil.disk_usage(there)
            found[name] = Disk(usage.total, usage.free)
    return found
