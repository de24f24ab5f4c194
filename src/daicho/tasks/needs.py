"""What this room's faces need of a ledger, so that they need not know the ledger itself."""

from collections.abc import AsyncIterator
from typing import Protocol

from daicho.core.engine import Database
from daicho.core.money import Costs
from daicho.core.operation import Async, Sync
from daicho.tasks.store import TaskStore


class TaskLedger(Protocol):
    """A ledger for threads. Its database's settings say where the files are."""

    @property
    def tasks(self) -> TaskStore[Sync]: ...

    @property
    def database(self) -> Database: ...


class OwnTaskLedger(TaskLedger, Protocol):
    """A ledger that one has opened oneself, and closes."""

    def close(self) -> None: ...


class LiveTaskLedger(Protocol):
    """A ledger for tasks (of asyncio), its change feed, and what tasks have cost."""

    @property
    def tasks(self) -> TaskStore[Async]: ...

    @property
    def usage(self) -> Costs: ...

    @property
    def database(self) -> Database: ...

    def changes(self) -> AsyncIterator[frozenset[str]]: ...
