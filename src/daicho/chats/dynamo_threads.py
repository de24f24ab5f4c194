"""Requests side by side: each waits for its answer, mostly."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
WIDTH = 16


class Stopped(Exception):
    """Work was left unfinished, as nobody waits for it any more."""


class Stop:
    """Tells work that is under way that nobody waits for it any more."""

    def __init__(self) -> None:
        self._told = Event()

    def set(self) -> None:
        """Let the work end at its next step."""
        self._told.set()

    def check(self) -> None:
        """Raise Stopped if the work is to end: called before each step."""
        if self._told.is_set():
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait for some seconds. Raises Stopped as soon as the work is to end."""
        if self._told.wait(seconds):
            raise Stopped


class Threads:
    """Threads that all who use a table share. Work that they do must not itself wait for them."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WIDTH, thread_name_prefix="daicho-dynamodb")
        self._lock = Lock()
        self._stops: set[Stop] = set()
        self._closed = False

    def each(self, work: Callable[[T, Stop], R], items: Iterable[T]) -> Generator[R]:
        """Do the work on every item; give its results in the items' order.

        The first error of any, or the end of whoever reads the results, stops what is under way, and is
        raised once that has ended. Raises Stopped where the threads are closed in the midst.
        """
        stop = self._begin()
        begun: deque[Future[R]] = deque()
        errors: list[BaseException] = []

        def do(item: T) -> R:
            try:
                stop.check()
                return work(item, stop)
            except BaseException as error:
                if not isinstance(error, Stopped):
                    errors.append(error)
                stop.set()
                raise

        try:
            for item in items:
                stop.check()
                begun.append(self._pool.submit(do, item))
                if len(begun) >= WIDTH:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        except Stopped:
            if errors:
                raise errors[0] from None
            raise
        finally:
            stop.set()
            for future in begun:
                future.cancel()
            wait(begun)
            with self._lock:
                self._stops.discard(stop)

    def _begin(self) -> Stop:
        stop = Stop()
        with self._lock:
            self._stops.add(stop)
            if self._closed:
                stop.set()
        return stop

    def close(self) -> None:
        """Stop what is under way, and end the threads."""
        with self._lock:
            self._closed = True
            for stop in self._stops:
                stop.set()
        self._pool.shutdown(cancel_futures=True)
