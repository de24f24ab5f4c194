"""Whose turn it is to write on SQLite, within this process."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from daicho.core import dialect
from daicho.core.errors import Invalid, Unavailable
from daicho.core.threads import caller


class WriteTurn:
    """The line in which the writers of an SQLite database stand; on PostgreSQL there is none.

    Args:
        place: the database, as errors name it.
        in_threads: whether the database is SQLite.
        in_memory: whether it has one connection, for which readers stand in line too.
    """

    def __init__(self, place: str, *, in_threads: bool, in_memory: bool) -> None:
        self.place = place
        self.in_threads = in_threads
        self.in_memory = in_memory
        self._lock = threading.Lock()
        self._holders: list[object] = []
        self.waiting: deque[None] = deque()  # to add and to take is one step each, whichever thread does

    @contextmanager
    def holding(self, holder: object) -> Iterator[None]:
        """Remember that a caller holds open what others wait for on SQLite, to tell it if it is the next."""
        self._holders.append(holder)
        try:
            yield
        finally:
            with suppress(ValueError):  # in a forked child
                self._holders.remove(holder)

    def refuse_own_wait(self, *, writes: bool) -> None:
        """Raise Invalid for a task or thread that would wait for the end of its own session, on SQLite."""
        if self.in_threads and (writes or self.in_memory) and caller() in self._holders:
            raise Invalid(
                f"{self.place}: this would wait for a session that the same task or thread holds open:"
                " use the open session, end it first, or do all of it in begin()"
                f"{' (a database in memory has one connection)' if self.in_memory else ''}",
                f"{self.place}: 同じタスク・スレッドが開いたままのセッションの終わりを待つことになります。"
                "そのセッションを使うか、先に終えるか、全体を begin() で行ってください"
                f"{' (メモリー上のデータベースの接続は 1 本です)' if self.in_memory else ''}",
            )

    @contextmanager
    def take(self, writes: bool) -> Iterator[None]:
        """On SQLite, let this process's writers wait in line instead of polling the file's lock."""
        self.refuse_own_wait(writes=writes)
        if not (writes and self.in_threads):
            yield
            return
        self.waiting.append(None)
        try:
            is_ours = self._lock.acquire(timeout=dialect.BUSY_SECONDS)
        finally:
            self.waiting.pop()
        if not is_ours:
            raise Unavailable(
                f"{self.place}: another transaction of this process has been open for "
                f"{dialect.BUSY_SECONDS:.0f} seconds",
                f"{self.place}: このプロセスの別のトランザクションが {dialect.BUSY_SECONDS:.0f} 秒以上"
                "開いたままです",
            )
        try:
            yield
        finally:
            self._lock.release()
