"""What this room's faces need of a ledger, so that they need not know the ledger itself."""

from collections.abc import AsyncIterator
from typing import Protocol

from daicho.calls.store import CallStore
from daicho.core.operation import Async, Sync


class CallLedger(Protocol):
    """A ledger for threads."""

    @property
    def calls(self) -> CallStore[Sync]: ...


class LiveCallLedger(Protocol):
    """A ledger for tasks, and its change feed."""

    @property
    def calls(self) -> CallStore[Async]: ...

    def changes(self) -> AsyncIterator[frozenset[str]]: ...
