"""The change feed: wakes whoever watches when any process has written.

SQLite: ``PRAGMA data_version`` on a connection held for it, every 200 ms. PostgreSQL: LISTEN, with
NOTIFY sent by a thread of its own at most four times a second, never inside a writer's transaction
(a NOTIFY there makes commits wait for each other). A wake-up says which rooms may have changed; it
carries no rows, so a lost or doubled one costs a look and nothing else.
"""

import asyncio
import logging
import sqlite3
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import ClassVar

import psycopg
from sqlalchemy import URL

from daicho.core.answering import KEEPALIVES, Answered
from daicho.core.dialect import is_memory, is_sqlite

log = logging.getLogger("daicho")

CHANNEL = "daicho_changes"
POLL_SECONDS = 0.2
NOTIFY_SECONDS = 0.25
AGAIN_SECONDS = 1.0
"""How long what could not be announced waits."""
QUIET_SECONDS = 15.0
"""After so long without an announcement a listener asks whether the server is still there."""
ANY: frozenset[str] = frozenset({"*"})
"""Something changed, and the database does not say where."""


def concerns(room: str, changed: frozenset[str]) -> bool:
    """Whether a wake-up may concern a room."""
    return room in changed or "*" in changed


async def until_changed(changes: AsyncIterator[frozenset[str]], room: str, seconds: float) -> None:
    """Wait until a room may have changed, but no longer than some seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for rooms in changes:
                if concerns(room, rooms):
                    return


class Watcher(AsyncIterator[frozenset[str]]):
    """One consumer of the feed, living on one event loop.

    It hears of everything from the moment it is made; it is forgotten when it is dropped.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._rooms: set[str] = set()
        self.ended = False

    def wake(self, rooms: frozenset[str]) -> None:
        """Tell it, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._add, rooms)
        except RuntimeError:  # its loop has ended
            self.ended = True

    def end(self) -> None:
        self.ended = True
        self.wake(frozenset())

    def _add(self, rooms: frozenset[str]) -> None:
        self._rooms |= rooms
        self._event.set()

    async def __anext__(self) -> frozenset[str]:
        if not self.ended:
            await self._event.wait()
        if self.ended:
            raise StopAsyncIteration
        self._event.clear()
        rooms, self._rooms = frozenset(self._rooms), set()
        return rooms


class ChangeFeed(ABC):
    """Spreads wake-ups to watchers; one listening thread serves all of a ledger's."""

    name: ClassVar[str]

    def __init__(self, url: URL) -> None:
        self.url = url
        self._watchers: weakref.WeakSet[Watcher] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener: threading.Thread | None = None

    def mark(self, rooms: frozenset[str]) -> None:
        """Say, after a commit, that these rooms have changed."""
        self.wake(rooms)

    def wake(self, rooms: frozenset[str]) -> None:
        """Wake every watcher in this process."""
        if self._watchers:
            with self._lock:
                watchers = list(self._watchers)
            for watcher in watchers:
                watcher.wake(rooms)

    def watch(self) -> AsyncIterator[frozenset[str]]:
        """Return an iterator over the rooms that may have changed, from now on, commit by commit.

        Call it on the event loop that will read it.
        """
        watcher = Watcher()
        with self._lock:
            if self._stopping.is_set():
                watcher.end()
            self._watchers.add(watcher)
            if self._listener is None:
                self._listener = threading.Thread(target=self._run, name="daicho-changes", daemon=True)
                self._listener.start()
        return watcher

    def close(self) -> None:
        """End every watch and the thread."""
        self._stopping.set()
        with self._lock:
            watchers, listener = list(self._watchers), self._listener
        for watcher in watchers:
            watcher.end()
        if listener is not None:
            listener.join(timeout=2)

    def _run(self) -> None:
        wait = POLL_SECONDS
        while not self._stopping.is_set():
            try:
                self._listen()
                wait = POLL_SECONDS
            except (psycopg.Error, sqlite3.Error, OSError) as error:
                log.warning("the change feed lost its connection, trying again in %.1f s: %s", wait, error)
                self._stopping.wait(wait)
                wait = min(wait * 2, 10.0)
                self.wake(ANY)

    @abstractmethod
    def _listen(self) -> None:
        """Wake watchers until told to stop; return or raise when the connection is gone."""


class MemoryFeed(ChangeFeed):
    """A database in this process alone: its own marks are all the changes there are."""

    def _listen(self) -> None:
        self._stopping.wait()


class SqliteFeed(ChangeFeed):
    """Watches the file's version, which every commit by anyone moves."""

    def _listen(self) -> None:
        connection = sqlite3.connect(self.url.database or "", timeout=POLL_SECONDS, isolation_level=None)
        try:
            seen = self._version(connection)
            self.wake(ANY)  # what was written before that
            while not self._stopping.wait(POLL_SECONDS):
                version = self._version(connection)
                if version != seen:
                    seen = version
                    self.wake(ANY)
        finally:
            connection.close()

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        return version


class PostgresFeed(ChangeFeed):
    """LISTENs where someone watches and NOTIFYs where someone writes."""

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self._pending: set[str] = set()
        self._has_pending = threading.Event()
        self._notifier: threading.Thread | None = None

    def mark(self, rooms: frozenset[str]) -> None:
        with self._lock:
            self._pending |= rooms
            if self._notifier is None and not self._stopping.is_set():
                self._notifier = threading.Thread(target=self._notify, name="daicho-notify", daemon=True)
                self._notifier.start()
        self._has_pending.set()
        self.wake(rooms)

    def close(self) -> None:
        super().close()
        self._has_pending.set()
        if self._notifier is not None:
            self._notifier.join(timeout=5)

    def _connect(self) -> Answered:
        url = self.url.set(drivername="postgresql")
        own = {name: str(value) for name, value in {**KEEPALIVES, "connect_timeout": 5}.items()}
        conninfo = url.update_query_dict({**own, **url.query})
        return Answered.connect(conninfo.render_as_string(hide_password=False), autocommit=True)

    def _listen(self) -> None:
        with self._connect() as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self.wake(ANY)  # what was announced before, while nobody listened
            heard = monotonic()
            while not self._stopping.is_set():
                for notify in connection.notifies(timeout=0.5):
                    heard = monotonic()
                    self.wake(frozenset(notify.payload.split()))
                if monotonic() - heard > QUIET_SECONDS:
                    connection.execute("SELECT 1")  # a server that is gone would be listened to for ever
                    heard = monotonic()

    def _notify(self) -> None:
        connection: Answered | None = None
        while self._pending or not self._stopping.is_set():
            self._has_pending.wait()
            self._has_pending.clear()
            with self._lock:
                rooms, self._pending = self._pending, set()
            if not rooms:
                continue
            try:
                connection = connection or self._connect()
                connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, " ".join(sorted(rooms))))
            except psycopg.Error as error:
                log.info("a change could not be announced yet: %s", error)
                connection = None
                if not self._stopping.is_set():
                    with self._lock:
                        self._pending |= rooms
                    self._has_pending.set()
            self._stopping.wait(NOTIFY_SECONDS if connection else AGAIN_SECONDS)
        if connection is not None:
            connection.close()


def feed_for(url: URL) -> ChangeFeed:
    """Return the feed that fits a database."""
    if is_memory(url):
        return MemoryFeed(url)
    return SqliteFeed(url) if is_sqlite(url) else PostgresFeed(url)
