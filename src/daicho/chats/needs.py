"""What this room's faces need of a ledger, so that they need not know the ledger itself."""

from collections.abc import AsyncIterator
from typing import Protocol

from daicho.chats.store import ChatStore
from daicho.core.money import Costs
from daicho.core.operation import Async, Sync


class ChatLedger(Protocol):
    """A ledger for threads."""

    @property
    def chats(self) -> ChatStore[Sync]: ...


class LiveChatLedger(Protocol):
    """A ledger for tasks, its change feed, and what conversations have cost."""

    @property
    def chats(self) -> ChatStore[Async]: ...

    @property
    def usage(self) -> Costs: ...

    def changes(self) -> AsyncIterator[frozenset[str]]: ...
