"""Group commit: single appends from many callers share one commit.

Each caller waits until its own row is durable. One thread takes what has come in since its last
commit, writes it in one transaction, commits once, and answers each. The more callers wait, the
more rows a commit carries: throughput grows with load and nothing is acknowledged early.
"""

import asyncio
import contextlib
import copy
import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import Connection

from daicho.core.errors import DaichoError, Unavailable
from daicho.core.measure import Measures, current

BatchWrite = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""Writes a batch of items and returns, in their order, each one's result or DaichoError."""

GATHER, GATHER_SECONDS = 0.5, 0.01
"""How long the writer waits for the callers of its last batch to come back with their next item: as a part of
how long that batch took (the slower a commit, the more a fuller one saves), and at most."""


class QueueLoad(NamedTuple):
    """How a queue and the thread behind it are doing.

    Attributes:
        waiting: how many items wait.
        limit: how many may.
        seconds: how long what is being written has been so.
    """

    waiting: int
    limit: int
    seconds: float


class Append:
    """One caller's item on its way to the database, and the answer on its way back."""

    __slots__ = ("_answered", "_error", "_result", "item", "link", "operation", "write")

    def __init__(self, write: BatchWrite, item: object) -> None:
        self.write = write
        self.item = item
        self.operation = current.get()
        self.link: object = None
        self._result: Any = None
        self._error: Exception | None = None
        # A bare lock, held until the answer is there, wakes its one waiter at the least cost.
        self._answered = threading.Lock()
        self._answered.acquire()

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return False

    def answer(self, result: object, error: Exception | None = None) -> None:
        """Answer the caller, from the writer's thread."""
        self._result, self._error = result, error
        self._answered.release()

    def outcome(self) -> Any:
        """Wait for the answer; return the result or raise the error."""
        self._answered.acquire()
        if self._error is not None:
            raise self._error
        return self._result


class AsyncAppend(Append):
    """An append whose caller is a task."""

    __slots__ = ("future", "loop")

    def __init__(self, write: BatchWrite, item: object) -> None:
        super().__init__(write, item)
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()

    @property
    def abandoned(self) -> bool:
        return self.future.cancelled()

    def answer(self, result: object, error: Exception | None = None) -> None:
        self._result, self._error = result, error

    def deliver(self) -> None:
        """Hand the answer to the task, on its own loop."""
        if self.future.cancelled():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)


class Writer:
    """The queue and the thread behind it.

    Args:
        run: runs a function in one transaction (``Database.run_batch``).
        place: the database's name, for errors.
        queue: how many appends may wait; a further caller waits until there is room.
        batch: the most appends in one commit.
        measures: what counts the commits and follows them; None: nobody.
    """

    def __init__(
        self,
        run: Callable[[Callable[[Connection], list[Any]]], list[Any]],
        place: str,
        *,
        queue: int,
        batch: int,
        measures: Measures | None = None,
    ) -> None:
        self._measures = measures or Measures()
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
        self._since: float | None = None
        self._took = 0.0
        self._thread = threading.Thread(target=self._work, name="daicho-writer", daemon=True)
        self._thread.start()

    @property
    def load(self) -> QueueLoad:
        """How the writer is doing."""
        since = self._since
        return QueueLoad(len(self._queue), self._limit, monotonic() - since if since else 0.0)

    def submit(self, write: BatchWrite, item: object) -> Any:
        """Write an item with whatever else is waiting; return its result once it is durable.

        Raises the item's own error, or Unavailable when the ledger is closed.
        """
        append = Append(write, item)
        with self._lock:
            while len(self._queue) >= self._limit and not self._closing:
                self._has_room.wait()
            self._put(append)
        return append.outcome()

    async def submit_async(self, write: BatchWrite, item: object) -> Any:
        """As ``submit``, from a task. A task that is cancelled before its turn writes nothing."""
        append = AsyncAppend(write, item)
        while not self._try_put(append):
            await asyncio.to_thread(self._wait_for_room)
        return await append.future

    @property
    def waiting(self) -> int:
        """How many appends wait for their commit."""
        return len(self._queue)

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
        if self._measures.tracer is not None:
            append.link = self._measures.tracer.link()
        self._queue.append(append)
        if len(self._queue) >= self._wanted:
            self._has_items.notify()

    def _work(self) -> None:
        while batch := self._take():
            self._since = begun = monotonic()
            self._commit([append for append in batch if not append.abandoned])
            self._since, self._took = None, monotonic() - begun
            deliver(batch)

    def _take(self) -> list[Append]:
        with self._lock:
            # How many callers there are: those just answered, and those that came meanwhile.
            callers = min(self._callers + len(self._queue), self._batch)
            while not self._queue and not self._closing:
                self._has_items.wait()
            if len(self._queue) < callers and not self._closing:
                self._wanted = callers
                self._has_items.wait(min(GATHER * self._took, GATHER_SECONDS))
                self._wanted = 1
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch))]
            self._callers = len(batch)
            self._has_room.notify(len(batch))
            return batch

    def _commit(self, batch: list[Append]) -> None:
        if not batch:
            return
        try:
            with self._measures.batch("group_commit", [append.link for append in batch]):
                results = self._run(lambda connection: write_together(connection, batch))
        except Exception as error:
            self._answer_failure(batch, error)
            return
        self._measures.commits.observe(len(batch))
        for append, result in zip(batch, results, strict=True):
            failed = isinstance(result, DaichoError)
            append.answer(*((None, result) if failed else (result,)))

    def _answer_failure(self, batch: list[Append], error: Exception) -> None:
        """One bad row must fail its own caller alone: try each by itself, unless the database is away."""
        if len(batch) == 1 or type(error) is Unavailable:
            for append in batch:
                append.answer(None, copy.copy(error))
            return
        for append in batch:
            self._commit([append])


def deliver(batch: Sequence[Append]) -> None:
    """Hand the answers of tasks to their loops: one call into each loop, however many tasks."""
    tasks: dict[asyncio.AbstractEventLoop, list[AsyncAppend]] = {}
    for append in batch:
        if isinstance(append, AsyncAppend):
            tasks.setdefault(append.loop, []).append(append)
    for loop, appends in tasks.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and its tasks with it
            loop.call_soon_threadsafe(_deliver_all, appends)


def _deliver_all(appends: Sequence[AsyncAppend]) -> None:
    for append in appends:
        append.deliver()


def write_together(connection: Connection, batch: Sequence[Append]) -> list[Any]:
    """Write a mixed batch in one transaction: the items of each kind together, in their order."""
    kinds: dict[BatchWrite, list[int]] = {}
    for place, append in enumerate(batch):
        kinds.setdefault(append.write, []).append(place)
    results: list[Any] = [None] * len(batch)
    for write, places in kinds.items():
        current.set(batch[places[0]].operation)
        for place, result in zip(places, write(connection, [batch[p].item for p in places]), strict=True):
            results[place] = result
    return results
