"""What this room's faces need of a ledger, so that they need not know the ledger itself."""

from collections.abc import AsyncIterator
from typing import Protocol

from daicho.core.engine import Database
from daicho.core.money import Costs
from daicho.core.operation import Async, Sync
from daicho.guilds.store import GuildStore


class GuildLedger(Protocol):
    """A ledger for threads."""

    @property
    def guilds(self) -> GuildStore[Sync]: ...

    @property
    def database(self) -> Database: ...


class LiveGuildLedger(Protocol):
    """A ledger for tasks, its change feed, and what tickets have cost."""

    @property
    def guilds(self) -> GuildStore[Async]: ...

    @property
    def usage(self) -> Costs: ...

    @property
    def database(self) -> Database: ...

    def changes(self) -> AsyncIterator[frozenset[str]]: ...
