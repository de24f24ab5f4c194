"""How busy a database is at this moment: its pools of connections, and who waits in its queues."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from sqlalchemy import PoolProxiedConnection, QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from daicho.core.measure import SECONDS, Distribution, Histogram


class _Counted(QueuePool):
    """A pool that knows who waits for one of its connections, and how long they waited."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.waiting: deque[None] = deque()  # to add and to take is one step each, whichever thread does
        self.waits = Histogram(SECONDS)
        self.limit = self.size() + int(named.get("max_overflow", 10))

    def connect(self) -> PoolProxiedConnection:
        begun = perf_counter()
        self.waiting.append(None)
        try:
            return super().connect()
        finally:
            self.waiting.pop()
            self.waits.observe(perf_counter() - begun)


class CountedPool(_Counted):
    """A pool for threads."""


class AsyncCountedPool(AsyncAdaptedQueuePool, _Counted):
    """A pool for tasks."""


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """A pool's connections.

    Attributes:
        in_use: handed out.
        idle: open, and free.
        limit: the most that can be open.
        waiting: callers that wait for one, or for one to be opened.
        waits: seconds that callers waited.
    """

    in_use: int
    idle: int
    limit: int
    waiting: int
    waits: Distribution


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a database is, as far as this process uses it.

    Attributes:
        pools: by face: ``sync``, ``async``; those that have been used.
        turn: who waits for the right to write on SQLite.
        queue: appends that wait for their commit.
        queue_limit: the most of them.
        buffer: enqueued items that are not written yet.
        buffer_limit: the most of them.
        buffer_line: tasks that wait for room in the buffer.
    """

    pools: Mapping[str, PoolLoad]
    turn: int
    queue: int
    queue_limit: int
    buffer: int
    buffer_limit: int
    buffer_line: int


def pools_of(parts: Mapping[str, Any]) -> dict[str, PoolLoad]:
    """The pools among a database's parts."""
    found = {}
    for face, name in (("sync", "engine"), ("async", "async_engine")):
        engine = parts.get(name)
        pool = engine.sync_engine.pool if isinstance(engine, AsyncEngine) else getattr(engine, "pool", None)
        if isinstance(pool, _Counted):
            found[face] = PoolLoad(
                pool.checkedout(), pool.checkedin(), pool.limit, len(pool.waiting), pool.waits.taken()
            )
    return found
