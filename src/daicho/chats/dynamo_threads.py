"""Requests side by side: each waits for its answer, mostly."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
WIDTH = 16


class Threads:
    """Threads that all who use a table share. Work that they do must not itself wait for them."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(WIDTH, thread_name_prefix="daicho-dynamodb")

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
        """Do the work on every item; give its results in the items' order.

        An error is raised once all that is under way has ended; what has not begun then is left.
        """
        begun: deque[Future[R]] = deque()
        try:
            for item in items:
                begun.append(self._pool.submit(work, item))
                if len(begun) >= WIDTH:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
            wait(begun)

    def close(self) -> None:
        """End the threads, once they have done what they have begun."""
        self._pool.shutdown(cancel_futures=True)
