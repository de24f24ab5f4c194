"""One way to call either face, so that a store test is written once and runs on both."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from daicho import AsyncLedger, Ledger, Settings
from daicho.calls.store import CallStore
from daicho.chats.store import ChatStore
from daicho.core.operation import Sync
from daicho.guilds.store import GuildStore
from daicho.members.store import MemberStore
from daicho.tasks.store import TaskStore
from daicho.usage.store import UsageStore


class Faces:
    """A ledger whose operations return their results, whichever face carries them out."""

    calls: CallStore[Sync]
    tasks: TaskStore[Sync]
    members: MemberStore[Sync]
    usage: UsageStore[Sync]
    guilds: GuildStore[Sync]
    chats: ChatStore[Sync]

    def __init__(self, ledger: Any, finish: Callable[[Awaitable[Any]], Any]) -> None:
        self.ledger = ledger
        self._finish = finish

    def __getattr__(self, room: str) -> Any:
        return _Room(getattr(self.ledger, room), self._finish)


class _Room:
    def __init__(self, store: Any, finish: Callable[[Awaitable[Any]], Any]) -> None:
        self._store = store
        self._finish = finish

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return lambda *args, **kwargs: self._finish(method(*args, **kwargs))


@contextmanager
def both_faces(url: str, *, asynchronous: bool, settings: Settings | None = None) -> Iterator[Faces]:
    """Open a ledger on a URL; the async one lives on a loop in a thread of its own."""
    if not asynchronous:
        with Ledger(url, settings=settings) as ledger:
            yield Faces(ledger, lambda result: result)
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def finish(awaitable: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(wait(), loop).result(60)

    other = AsyncLedger(url, settings=settings)
    try:
        yield Faces(other, finish)
    finally:
        finish(other.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
