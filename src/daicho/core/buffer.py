"""The buffer behind ``enqueue``: items that need not be waited for, written together soon after.

Nothing in it counts as done: ``enqueue`` gives a ``Receipt``, which has an answer only once the item
is durable. What is still in the buffer when the process is killed is lost, and its receipts never
said otherwise. While the database is away the buffer keeps what it holds and tries again; when it is
full, ``enqueue`` waits.
"""

import asyncio
import atexit
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from itertools import groupby
from time import monotonic, sleep
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from daicho.core.dialect import keep_to
from daicho.core.errors import Unavailable
from daicho.core.measure import Measures, current
from daicho.core.writer import BatchWrite, QueueLoad

log = logging.getLogger("daicho")
R = TypeVar("R")

GIVE_UP_SECONDS = 10.0
"""How long a buffer that is being closed goes on trying while the database is away."""
PAUSE_SECONDS = (0.2, 5.0)
"""How long it pauses before it tries again, at first and at most."""


class Receipt(Generic[R]):
    """What ``enqueue`` gives: ``receipt.result()`` or ``await receipt`` waits until the item is durable.

    Any number may wait for it. One that is cancelled, or waits no longer, changes nothing for the item.
    """

    def __init__(self) -> None:
        self._future: Future[R] = Future()
        self._future.set_running_or_notify_cancel()  # from here on nothing cancels it

    @property
    def done(self) -> bool:
        """Whether there is an answer yet: the item is durable, or it could not be written."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> R:
        """Wait for the answer, at most ``timeout`` seconds, and return what was stored.

        Raises the item's own error; TimeoutError.
        """
        return self._future.result(timeout)

    def __await__(self) -> Generator[Any, None, R]:
        if not self._future.done():
            waiter = Waiter()
            self._future.add_done_callback(lambda _: waiter.wake())
            yield from waiter.future.__await__()
        return self._future.result()

    def answer(self, result: Any) -> None:
        """Give the answer, or the error that is it. The first one holds; a further one is let be."""
        with contextlib.suppress(InvalidStateError):
            if isinstance(result, BaseException):
                self._future.set_exception(result)
            else:
                self._future.set_result(result)


class Waiter:
    """A task that waits for another thread, on its own loop's ``future``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> None:
        """Let the task go on, from any thread. One that waits no longer is let be."""
        with contextlib.suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item in the buffer."""

    room: str
    write: BatchWrite
    item: object
    tenant: str | None
    receipt: Receipt[Any] = field(default_factory=Receipt)
    operation: str = field(default_factory=current.get)
    link: object = None
    since: float = field(default_factory=monotonic)


@dataclass(slots=True)
class InLine:
    """A task whose item waits for room in the buffer."""

    waiting: Waiting
    waiter: Waiter = field(default_factory=Waiter)
    taken: bool = False
    gone: bool = False


class Buffer:
    """Items on their way, and the thread that writes them.

    Args:
        run: runs a function in one transaction, and again should its commit have gone unanswered: every
            item carries an id, so writing it twice changes nothing.
        told: is told, after a commit, which rooms have changed.
        place: the database's name, for errors.
        size: how many items it holds; a further one waits until there is room.
        batch: how many are written together at most; so many are written at once.
        seconds: how long an item waits for others at most.
        measures: what counts the items and follows them; None: nobody.
    """

    def __init__(
        self,
        run: Callable[[Callable[[Connection], Sequence[Any]]], Sequence[Any]],
        told: Callable[[frozenset[str]], None],
        place: str,
        *,
        size: int,
        batch: int,
        seconds: float,
        measures: Measures | None = None,
    ) -> None:
        self._measures = measures or Measures()
        self._run, self._told, self._place = run, told, place
        self._size, self._batch, self._seconds = size, batch, seconds
        self._queue: deque[Waiting] = deque()
        self._line: deque[InLine] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._deadline = 0.0
        self._given_up: Unavailable | None = None
        self._since: float | None = None
        self._thread = threading.Thread(target=self._work, name="daicho-buffer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def load(self) -> QueueLoad:
        """How the buffer is doing."""
        since = self._since
        return QueueLoad(len(self._queue), self._size, monotonic() - since if since else 0.0)

    @property
    def waiting(self) -> int:
        """How many items are in it."""
        return len(self._queue)

    @property
    def in_line(self) -> int:
        """How many tasks wait for room in it."""
        return len(self._line)

    def put(self, room: str, write: BatchWrite, item: object, tenant: str | None) -> Receipt[Any]:
        """Add an item. Waits while the buffer is full; raises Unavailable once it is closed."""
        waiting = self._waiting(room, write, item, tenant)
        with self._changed:
            while len(self._queue) >= self._size and not self._closing.is_set():
                self._changed.wait()
            if self._closing.is_set():
                raise self._closed()
            self._add(waiting)
        return waiting.receipt

    async def put_async(self, room: str, write: BatchWrite, item: object, tenant: str | None) -> Receipt[Any]:
        """As ``put``, from a task. It waits without a thread; cancelled while it waits, it adds nothing."""
        waiting = self._waiting(room, write, item, tenant)
        with self._changed:
            if self._closing.is_set():
                raise self._closed()
            if not self._line and len(self._queue) < self._size:
                self._add(waiting)
                return waiting.receipt
            place = InLine(waiting)
            self._line.append(place)
        try:
            await place.waiter.future
        finally:
            place.gone = True
        if not place.taken:
            raise self._closed()
        return waiting.receipt

    def close(self) -> None:
        """Write all that is in it, answer every receipt, and stop. A second call does nothing.

        While the database is away it goes on for ``GIVE_UP_SECONDS`` and the one try that is under way.
        """
        with self._changed:
            if not self._closing.is_set():
                self._deadline = monotonic() + GIVE_UP_SECONDS
                self._closing.set()
                while self._line:
                    self._line.popleft().waiter.wake()
                self._changed.notify_all()
        self._thread.join()
        _answer(self._queue, self._closed())
        atexit.unregister(self.close)

    def _waiting(self, room: str, write: BatchWrite, item: object, tenant: str | None) -> Waiting:
        tracer = self._measures.tracer
        return Waiting(room, write, item, tenant, link=None if tracer is None else tracer.link())

    def _closed(self) -> Unavailable:
        return Unavailable(f"{self._place}: this ledger is closed", f"{self._place}: この台帳は閉じています")

    def _add(self, waiting: Waiting) -> None:
        self._queue.append(waiting)
        if len(self._queue) in {1, self._batch}:
            self._changed.notify_all()

    def _work(self) -> None:
        while some := self._take():
            self._since = monotonic()
            try:
                for (write, tenant), group in groupby(some, key=lambda one: (one.write, one.tenant)):
                    self._write(write, tenant, list(group))
            except BaseException as error:  # whatever it is, others rely on this thread
                log.exception("%d buffered items were not written", len(some))
                _answer(some, error)
            self._since = None

    def _take(self) -> list[Waiting]:
        """Wait until there is enough, or something has waited long enough; give it."""
        with self._changed:
            while not self._closing.is_set():
                left = self._queue[0].since + self._seconds - monotonic() if self._queue else None
                if len(self._queue) >= self._batch or (left is not None and left <= 0):
                    break
                self._changed.wait(left)
            some = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch))]
            while self._line and len(self._queue) < self._size:
                if not (place := self._line.popleft()).gone:
                    self._queue.append(place.waiting)
                    place.taken = True
                    place.waiter.wake()
            self._changed.notify_all()
            return some

    def _write(self, write: BatchWrite, tenant: str | None, some: Sequence[Waiting]) -> None:
        def work(connection: Connection) -> Sequence[Any]:
            current.set(some[0].operation)
            if tenant is not None:
                keep_to(connection, tenant)
            return write(connection, [one.item for one in some])

        pause, most = PAUSE_SECONDS
        while self._given_up is None:
            try:
                with self._measures.batch("buffer_write", [one.link for one in some]):
                    results = self._run(work)
            except Unavailable as error:
                if self._closing.is_set() and monotonic() >= self._deadline:
                    self._given_up = error
                    break
                log.warning("%d buffered items wait for the database: %s", len(some), error)
                self._pause(pause)
                pause = min(pause * 2, most)
            except Exception as error:
                if len(some) == 1:
                    _answer(some, error)
                else:  # one bad item must fail alone
                    for one in some:
                        self._write(write, tenant, [one])
                return
            else:
                self._measures.flushes.observe(len(some))
                self._tell(some)
                for one, result in zip(some, results, strict=True):
                    one.receipt.answer(result)
                return
        log.error("%d buffered items were not written: %s", len(some), self._given_up)
        _answer(some, self._given_up)

    def _tell(self, some: Iterable[Waiting]) -> None:
        try:
            self._told(frozenset(one.room for one in some))
        except Exception:  # what is durable is durable, whoever could not be told
            log.exception("a change could not be told")

    def _pause(self, seconds: float) -> None:
        """Wait before the next try: until closing begins, and then no longer than closing may take."""
        if self._closing.is_set():
            sleep(max(0.0, min(seconds, self._deadline - monotonic())))
        else:
            self._closing.wait(seconds)


def _answer(some: Iterable[Waiting], error: BaseException) -> None:
    for one in some:
        one.receipt.answer(error)
