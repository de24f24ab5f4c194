"""What this room's faces need of a ledger, so that they need not know the ledger itself."""

from collections.abc import AsyncIterator
from typing import Protocol

from daicho.core.engine import Database
from daicho.core.operation import Async, Sync
from daicho.usage.store import UsageStore


class UsageLedger(Protocol):
    """A ledger for threads."""

    @property
    def usage(self) -> UsageStore[Sync]: ...

    @property
    def database(self) -> Database: ...


class LiveUsageLedger(Protocol):
    """A ledger for tasks, and its change feed."""

    @property
    def usage(self) -> UsageStore[Async]: ...

    def changes(self) -> AsyncIterator[frozenset[str]]: ...
