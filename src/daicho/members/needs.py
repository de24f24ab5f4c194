"""What this room's faces need of a ledger, so that they need not know the ledger itself."""

from collections.abc import AsyncIterator
from typing import Protocol

from daicho.core.engine import Database
from daicho.core.operation import Async, Sync
from daicho.members.store import MemberStore


class MemberLedger(Protocol):
    """A ledger for threads."""

    @property
    def members(self) -> MemberStore[Sync]: ...

    @property
    def database(self) -> Database: ...


class LiveMemberLedger(Protocol):
    """A ledger for tasks, and its change feed."""

    @property
    def members(self) -> MemberStore[Async]: ...

    @property
    def database(self) -> Database: ...

    def changes(self) -> AsyncIterator[frozenset[str]]: ...
