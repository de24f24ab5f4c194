"""Group commit: single appends from many callers share one commit.

Each caller waits until its own row is durable. One thread takes what has come in since its last
commit, writes it in one transaction, commits once, and answers each. The more callers wait, the
more rows a commit carries: throughput grows with load and nothing is acknowledged early.
"""

import asyncio
import copy
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from daicho.core.errors import DaichoError, Unavailable

BatchWrite = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""Writes a batch of items and returns, in their order, each one's result or DaichoError."""

GATHER_SECONDS = 0.0005
"""How long the writer waits for the callers of its last batch to come back with their next item."""


@dataclass(slots=True, eq=False)
class Append:
    """One caller's item on its way to the database."""

    write: BatchWrite
    item: Any
    answer: Future[Any] = field(default_factory=Future)


class Writer:
    """The queue and the thread behind it.

    Args:
        run: runs a function in one transaction (``Database.run_batch``).
        place: the database's name, for errors.
        queue: how many appends may wait; a further caller waits until there is room.
        batch: the most appends in one commit.
    """

    def __init__(
        self,
        run: Callable[[Callable[[Connection], list[Any]]], list[Any]],
        place: str,
        *,
        queue: int,
        batch: int,
    ) -> None:
        self._run = run
        self._place = place
        self._limit = queue
        self._batch = batch
        self._queue: deque[Append] = deque()
        self._lock = threading.Lock()
        self._has_items = threading.Condition(self._lock)
        self._has_room = threading.Condition(self._lock)
        self._closing = False
        self._wanted = 1
        self._callers = 1
        self._thread = threading.Thread(target=self._work, name="daicho-writer", daemon=True)
        self._thread.start()

    def submit(self, write: BatchWrite, item: object) -> Any:
        """Write an item with whatever else is waiting; return its result once it is durable.

        Raises the item's own error, or Unavailable when the ledger is closed.
        """
        append = Append(write, item)
        with self._lock:
            while len(self._queue) >= self._limit and not self._closing:
                self._has_room.wait()
            self._put(append)
        return append.answer.result()

    async def submit_async(self, write: BatchWrite, item: object) -> Any:
        """As ``submit``, from a task. A task that is cancelled before its turn writes nothing."""
        append = Append(write, item)
        while not self._try_put(append):
            await asyncio.to_thread(self._wait_for_room)
        return await asyncio.wrap_future(append.answer)

    def close(self) -> None:
        """Write all that is queued, answer it, and stop."""
        with self._lock:
            self._closing = True
            self._has_items.notify_all()
            self._has_room.notify_all()
        self._thread.join()

    def _try_put(self, append: Append) -> bool:
        with self._lock:
            if len(self._queue) >= self._limit and not self._closing:
                return False
            self._put(append)
            return True

    def _wait_for_room(self) -> None:
        with self._lock:
            while len(self._queue) >= self._limit and not self._closing:
                self._has_room.wait()

    def _put(self, append: Append) -> None:
        if self._closing:
            raise Unavailable(
                f"{self._place}: this ledger is closed", f"{self._place}: この台帳は閉じています"
            )
        self._queue.append(append)
        if len(self._queue) >= self._wanted:
            self._has_items.notify()

    def _work(self) -> None:
        while batch := self._take():
            self._commit([append for append in batch if append.answer.set_running_or_notify_cancel()])

    def _take(self) -> list[Append]:
        with self._lock:
            # How many callers there are: those just answered, and those that came meanwhile.
            callers = min(self._callers + len(self._queue), self._batch)
            while not self._queue and not self._closing:
                self._has_items.wait()
            if len(self._queue) < callers and not self._closing:
                self._wanted = callers
                self._has_items.wait(GATHER_SECONDS)
                self._wanted = 1
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch))]
            self._callers = len(batch)
            self._has_room.notify(len(batch))
            return batch

    def _commit(self, batch: list[Append]) -> None:
        if not batch:
            return
        try:
            results = self._run(lambda connection: write_together(connection, batch))
        except Exception as error:
            self._answer_failure(batch, error)
            return
        for append, result in zip(batch, results, strict=True):
            if isinstance(result, DaichoError):
                append.answer.set_exception(result)
            else:
                append.answer.set_result(result)

    def _answer_failure(self, batch: list[Append], error: Exception) -> None:
        """One bad row must fail its own caller alone: try each by itself, unless the database is away."""
        if len(batch) == 1 or type(error) is Unavailable:
            for append in batch:
                append.answer.set_exception(copy.copy(error))
            return
        for append in batch:
            self._commit([append])


def write_together(connection: Connection, batch: Sequence[Append]) -> list[Any]:
    """Write a mixed batch in one transaction: the items of each kind together, in their order."""
    kinds: dict[BatchWrite, list[int]] = {}
    for place, append in enumerate(batch):
        kinds.setdefault(append.write, []).append(place)
    results: list[Any] = [None] * len(batch)
    for write, places in kinds.items():
        for place, result in zip(places, write(connection, [batch[p].item for p in places]), strict=True):
            results[place] = result
    return results
