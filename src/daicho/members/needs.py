"""What this room's faces need of a ledger, so that they need not know the ledger itself."""

from collections.abc import AsyncIterator
from typing import Protocol

from daicho.core.engine import Database
from daicho.core.money import Costs
from daicho.core.operation import Async, Sync
from daicho.members.store import MemberStore


class MemberLedger(Protocol):
    """A ledger for threads."""

    @property
    def members(self) -> MemberStore[Sync]: ...

    @property
    def database(self) -> Database: ...


class LiveMemberLedger(Protocol):
    """A ledger for tasks, its change feed, and what members have cost."""

    @property
    def members(self) -> MemberStore[Async]: ...

    @property
    def usage(self) -> Costs: ...

    @property
    def database(self) -> Database: ...

    def changes(self) -> AsyncIterator[frozenset[str]]: ...
