"""What this room's faces need of a ledger, so that they need not know the ledger itself."""

from collections.abc import AsyncIterator
from typing import Protocol

from daicho.calls.store import CallStore
from daicho.core.money import Costs
from daicho.core.operation import Async, Sync


class CallLedger(Protocol):
    """A ledger for threads."""

    @property
    def calls(self) -> CallStore[Sync]: ...


class LiveCallLedger(Protocol):
    """A ledger for tasks, its change feed, and what calls have cost."""

    @property
    def calls(self) -> CallStore[Async]: ...

    @property
    def usage(self) -> Costs: ...

    def changes(self) -> AsyncIterator[frozenset[str]]: ...
