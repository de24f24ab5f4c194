"""One database: its engines, its transactions, its writer and its change feed.

``Database.run`` and ``Database.run_async`` are the only places where a transaction begins and ends.
"""

import asyncio
import os
import sqlite3
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from functools import partial
from time import monotonic
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool
from tenacity import AsyncRetrying, Retrying

from daicho.core import dialect, engines, retry
from daicho.core.beside import Beside, Make
from daicho.core.buffer import Buffer
from daicho.core.changes import ChangeFeed, feed_for
from daicho.core.errors import Unavailable
from daicho.core.lent import Lent, Line, lending_engine, tell_of_ends
from daicho.core.load import Load, pools_of
from daicho.core.manners import REREADS, Manners, heed_first_writes, remember
from daicho.core.measure import Measures
from daicho.core.settings import Settings
from daicho.core.threads import caller, in_thread, surely_in_thread
from daicho.core.turn import WriteTurn
from daicho.core.watch import watch
from daicho.core.writer import QueueLoad, Writer

BESIDE = 16
"""Requests that tasks have under way at once at the places beside a database."""
R = TypeVar("R")
Work = Callable[[Session], R]


class Database:
    """A database that operations run on, from threads and from tasks.

    Args:
        url: where it is, with its driver (``settings.parse_url``).
        settings: pool sizes, durability, the writer's limits.
        prepare: called once, before the first transaction: checks the schema, or raises.
    """

    def __init__(self, url: URL, settings: Settings, prepare: Callable[["Database"], None]) -> None:
        self.url = dialect.anchored(url)
        self.settings = settings
        self.place = url.render_as_string(hide_password=True).replace("+psycopg", "").replace("+pysqlite", "")
        self.in_threads = dialect.is_sqlite(url)
        self.in_memory = dialect.is_memory(url)
        self._prepare = prepare
        self.manners = Manners()
        """What whoever holds sessions expects of them; set before the first use."""
        self._closed = False
        self._start()
        _databases.add(self)

    def _start(self) -> None:
        """Set up all that a forked child must not share with its parent."""
        self._ready = False
        self._ready_lock = threading.Lock()
        self.measures = Measures(self.settings.database.slow_query_ms)
        self.turn = WriteTurn(self.place, in_threads=self.in_threads, in_memory=self.in_memory)
        self._parts_lock = threading.Lock()
        self._parts: dict[str, Any] = {}

    # -- parts, made when first used -------------------------------------------------------------

    def _part(self, name: str, make: Callable[[], R]) -> R:
        part: R | None = self._parts.get(name)
        if part is None:
            with self._parts_lock:
                part = self._parts.get(name)
                if part is None:
                    part = self._parts[name] = make()
        return part

    @property
    def engine(self) -> Engine:
        """The sync engine."""
        return self._part("engine", lambda: self._ours(engines.make_engine(self.url, self.settings)))

    @property
    def async_engine(self) -> AsyncEngine:
        """The async engine (PostgreSQL)."""
        return self._part(
            "async_engine", lambda: self._ours_async(engines.make_async_engine(self.url, self.settings))
        )

    def _ours(self, engine: Engine) -> Engine:
        """Let a new engine know what times without a zone mean, and measure what happens on it."""
        remember(engine, self.manners.naive)
        return watch(engine, self.measures)

    def _ours_async(self, engine: AsyncEngine) -> AsyncEngine:
        self._ours(engine.sync_engine)
        return engine

    def load(self) -> Load:
        """How busy it is now, as far as this process uses it."""
        limits = self.settings.database
        writer, buffer = self._parts.get("writer"), self._parts.get("buffer")
        return Load(
            pools=pools_of(dict(self._parts)),
            turn=len(self.turn.waiting),
            queue=writer.waiting if writer else 0,
            queue_limit=limits.writer.queue,
            buffer=buffer.waiting if buffer else 0,
            buffer_limit=limits.buffer.size,
            buffer_line=buffer.in_line if buffer else 0,
        )

    @property
    def writer(self) -> Writer:
        """The group-commit writer. Raises Invalid for one who holds what it would wait for."""
        self.turn.refuse_own_wait(writes=True)
        limits = self.settings.database.writer
        return self._part(
            "writer",
            lambda: Writer(
                self.run_batch,
                self.place,
                queue=limits.queue,
                batch=limits.batch,
                measures=self.measures,
            ),
        )

    @property
    def buffer(self) -> Buffer:
        """The buffer of what need not be waited for."""
        limits = self.settings.database.buffer
        return self._part(
            "buffer",
            lambda: Buffer(
                self._run_repeatable,
                lambda rooms: self.changes.mark(rooms),
                self.place,
                size=limits.size,
                batch=limits.batch,
                seconds=limits.seconds,
                measures=self.measures,
            ),
        )

    @property
    def changes(self) -> ChangeFeed:
        """The change feed."""
        return self._part("changes", lambda: feed_for(self.url))

    def beside(self, name: str, make: Make) -> Beside:
        """A place beside the database, by its name; it ends with the ledger. Raises Unavailable then."""
        if self._closed:
            raise self._is_closed()
        return self._part(f"beside {name}", lambda: make(self.settings))

    @property
    def beside_threads(self) -> Executor:
        """The threads in which tasks use places beside the database: they wait for answers, mostly."""
        return self._part("besiders", lambda: ThreadPoolExecutor(BESIDE, thread_name_prefix="daicho-beside"))

    @property
    def _readers(self) -> Executor:
        size = self.settings.database.pool.size
        return self._part("readers", lambda: ThreadPoolExecutor(size, thread_name_prefix="daicho-read"))

    @property
    def _writers(self) -> Executor:
        # SQLite has one writer at a time: more threads would only wait for each other.
        return self._part("writers", lambda: ThreadPoolExecutor(1, thread_name_prefix="daicho-write"))

    # -- how they are doing ------------------------------------------------------------------------

    def watching(self, seconds: int) -> Engine:
        """The engine of who only looks how the database is, for ``seconds`` at most: it holds up nobody."""
        return self._part("watching", lambda: engines.watching_engine(self.url, self.settings, seconds))

    def loads(self) -> dict[str, QueueLoad]:
        """How the writer and the buffer are doing, those that are in use."""
        queues = {name: self._parts.get(name) for name in ("writer", "buffer")}
        return {name: part.load for name, part in queues.items() if isinstance(part, Writer | Buffer)}

    def pools(self) -> list[QueuePool]:
        """The pools of connections that are in use: threads' and, on PostgreSQL, tasks'."""
        engines = (self._parts.get("engine"), self._parts.get("async_engine"))
        pools = (engine.pool for engine in engines if isinstance(engine, Engine | AsyncEngine))
        return [pool for pool in pools if isinstance(pool, QueuePool)]

    # -- transactions ----------------------------------------------------------------------------

    def run(self, work: Work[R], *, writes: bool = True, idempotent: bool = False) -> R:
        """Run ``work`` in one transaction of its own and return its result once that is durable.

        Errors that pass by themselves are retried where that is safe; what remains is raised as a
        DaichoError.
        """
        self.ensure_ready()
        return self.repeating(partial(self._once, work, writes), idempotent=idempotent or not writes)

    def run_batch(self, work: Callable[[Connection], R]) -> R:
        """As ``run``, for the writer: on a bare connection, without the cost of a session."""
        return self.repeating(partial(self._once_bare, work), idempotent=False)

    def _run_repeatable(self, work: Callable[[Connection], R]) -> R:
        """As ``run_batch``, for what may be written twice."""
        return self.repeating(partial(self._once_bare, work), idempotent=True)

    def repeating(self, once: Callable[[], R], *, idempotent: bool) -> R:
        """Call ``once``, again where its error passes by itself and that is safe, and return its result."""
        began = monotonic()
        try:
            return once()
        except Exception as error:
            if not retry.may_repeat(error, idempotent=idempotent) or retry.is_late(began):
                raise self.translated(error) from None
            self.measures.repeats(error)
        try:
            again = retry.policy(idempotent=idempotent, began=began, told=self.measures.repeats)
            return Retrying(**again)(once)
        except Exception as error:
            raise self.translated(error) from None

    async def run_async(self, work: Work[R], *, writes: bool = True, idempotent: bool = False) -> R:
        """As ``run``, from a task: over psycopg's async connection, or in a worker thread on SQLite."""
        if self.in_threads:
            self.turn.refuse_own_wait(writes=writes)
            call = partial(self.run, work, writes=writes, idempotent=idempotent)
            return await in_thread(self._writers if writes else self._readers, call)
        await self.ensure_ready_async()

        async def once() -> R:
            async with AsyncSession(self.async_engine, expire_on_commit=False, autoflush=False) as session:
                return await session.run_sync(_attempt, work)

        return await self.repeating_async(once, idempotent=idempotent or not writes)

    async def repeating_async(self, once: Callable[[], Awaitable[R]], *, idempotent: bool) -> R:
        """As ``repeating``, from a task."""
        try:
            again = retry.policy(idempotent=idempotent, began=monotonic(), told=self.measures.repeats)
            return await AsyncRetrying(**again)(once)
        except Exception as error:
            raise self.translated(error) from None

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """One transaction held open by the caller: committed at the end, rolled back on an error."""
        self.ensure_ready()
        try:
            with self._session(writes=True) as session, self.turn.holding(caller()):
                yield session
                _commit(session)
        except Exception as error:
            raise self.translated(error) from None

    @asynccontextmanager
    async def begin_async(self) -> AsyncIterator["RunHeld"]:
        """As ``begin``, from a task."""
        if self.in_threads:
            self.turn.refuse_own_wait(writes=True)
            # A thread of its own: a shared one could be waiting for this very transaction to end.
            with ThreadPoolExecutor(1, thread_name_prefix="daicho-transaction") as thread:
                held = self.begin()
                entering = asyncio.ensure_future(in_thread(thread, held.__enter__))
                try:
                    session = await asyncio.shield(entering)
                except asyncio.CancelledError as error:
                    # The thread enters all the same: what it has entered must be left again.
                    await asyncio.wait({entering})
                    if entering.exception() is None:
                        await surely_in_thread(thread, partial(held.__exit__, type(error), error, None))
                    raise
                try:
                    with self.turn.holding(caller()):
                        yield lambda work: in_thread(thread, partial(work, session))
                except BaseException as error:
                    await surely_in_thread(thread, partial(held.__exit__, type(error), error, None))
                    raise
                await surely_in_thread(thread, partial(held.__exit__, None, None, None))
            return
        await self.ensure_ready_async()
        try:
            async with AsyncSession(self.async_engine, expire_on_commit=False, autoflush=False) as held_open:
                yield held_open.run_sync
                await held_open.run_sync(_commit)
        except Exception as error:
            raise self.translated(error) from None

    # -- for sessions that a caller holds (``core.sessions``) --------------------------------------

    def held_engine(self, *, immediate: bool) -> AsyncEngine:
        """The engine of async sessions: on SQLite it lends them the sync engine's own connections.

        Args:
            immediate: on SQLite, whether a transaction asks at its begin for the right to write. One that
                does not asks at its first write, and its begin and commit raise DaichoErrors by themselves.
        """
        if not self.in_threads:
            engine = self.async_engine
            return engine if immediate else self._part("own_async_engine", partial(self._own_async, engine))
        lend = partial(self.lend, writes=immediate)
        line = Line(self.place, self.settings.database.pool.timeout) if immediate or self.in_memory else None

        def make(begin: str) -> AsyncEngine:
            return self._ours_async(lending_engine(lend, begin, line=line, echo=self.settings.database.echo))

        if immediate:
            return self._part("held_engine", lambda: make("BEGIN IMMEDIATE"))
        return self._part("own_async_engine", lambda: self._own_async(make("BEGIN")))

    @property
    def own_engine(self) -> Engine:
        """As ``held_engine`` for plain sessions, without ``immediate``."""
        engine = self.engine
        return self._part("own_engine", lambda: self._own(engine.execution_options(writes=False, own=True)))

    def _own_async(self, engine: AsyncEngine) -> AsyncEngine:
        own = engine.execution_options(own=True)
        self._own(own.sync_engine)
        return own

    def _own(self, engine: Engine) -> Engine:
        """Make an engine with execution options of its own one for sessions that their caller commits."""
        tell_of_ends(engine, self.translated)
        if not self.in_memory:  # whose one connection is taken by now
            event.listen(engine, "engine_connect", lambda _: self.ensure_ready())
        if self.manners.rereads and self.in_threads:
            engine.update_execution_options(**{REREADS: True})
            heed_first_writes(engine)
        return engine

    def lend(self, *, writes: bool) -> Lent:
        """Take a turn and an SQLite connection, which whoever borrows it closes to give both back."""
        self.ensure_ready()
        with ExitStack() as stack:
            stack.enter_context(self.turn.take(writes))
            borrowed = stack.enter_context(closing(self.engine.raw_connection()))
            return Lent(cast("sqlite3.Connection", borrowed.driver_connection), stack.pop_all())

    def commit(self, session: Session) -> None:
        """Commit what a caller has held open. Raises the DaichoError that says what happened if it cannot."""
        try:
            _commit(session)
        except Exception as error:
            raise self.translated(error) from None

    def _once(self, work: Work[R], writes: bool) -> R:
        with self._session(writes) as session:
            return _attempt(session, work)

    def _once_bare(self, work: Callable[[Connection], R]) -> R:
        with self.turn.take(writes=True), self.engine.connect() as connection:
            connection.execution_options(small=True)
            connection.begin()  # now: statements that go to the driver directly would not begin one
            result = work(connection)
            _commit(connection)
            return result

    @contextmanager
    def _session(self, writes: bool) -> Iterator[Session]:
        with self.turn.take(writes), Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            session.connection(execution_options={"writes": writes})
            yield session

    def translated(self, error: Exception) -> Exception:
        """Return the DaichoError that says what happened; an error that is not a database's, as it is."""
        if self.in_memory and isinstance(error, PoolTimeoutError):
            return Unavailable(
                f"{self.place}: a database in memory has one connection, and others have used it for"
                f" {dialect.BUSY_SECONDS:.0f} seconds; keep sessions short or try again",
                f"{self.place}: メモリー上のデータベースの接続は 1 本で、{dialect.BUSY_SECONDS:.0f} 秒以上"
                "使用中です。セッションを短くするか、後でもう一度お試しください",
            )
        return retry.translated(error, self.place)

    # -- readiness and the end ---------------------------------------------------------------------

    def ensure_ready(self) -> None:
        """Check, once, that the schema is the one that this code knows."""
        if self._closed:
            raise self._is_closed()
        if self._ready:
            return
        with self._ready_lock:
            if not self._ready:
                self.repeating(partial(self._prepare, self), idempotent=True)
                self._ready = True

    def _is_closed(self) -> Unavailable:
        return Unavailable(f"{self.place}: this ledger is closed", f"{self.place}: この台帳は閉じています")

    async def ensure_ready_async(self) -> None:
        if self._closed or not self._ready:
            await asyncio.to_thread(self.ensure_ready)

    def close(self) -> None:
        """Write what is queued, then let every connection and thread go. A second call does nothing."""
        parts = self._take_parts()
        if isinstance(pool := parts.get("async_engine"), AsyncEngine):
            # Their loop may be gone: leave the sockets to the garbage collector.
            pool.sync_engine.dispose(close=False)

    async def close_async(self) -> None:
        """As ``close``, from a task."""
        parts = await asyncio.to_thread(self._take_parts)
        if isinstance(pool := parts.get("async_engine"), AsyncEngine):
            await pool.dispose()

    def _take_parts(self) -> dict[str, object]:
        self._closed = True
        parts = self._parts
        for part in (parts.get("buffer"), parts.get("writer")):
            if isinstance(part, Buffer | Writer):
                part.close()
        for part in list(parts.values()):
            if isinstance(part, Beside):
                part.close()  # before its threads are waited for: what nobody waits for any more ends soon
        for name in ("readers", "writers", "besiders"):
            if isinstance(threads := parts.get(name), Executor):
                threads.shutdown(wait=True)
        if isinstance(changes := parts.get("changes"), ChangeFeed):
            changes.close()
        for name in ("engine", "watching"):
            if isinstance(engine := parts.get(name), Engine):
                engine.dispose()
        return parts

    def after_fork(self) -> None:
        """In a forked child: forget the parent's sockets, threads and locks, without closing them."""
        for name in ("engine", "watching"):
            if isinstance(engine := self._parts.get(name), Engine):
                engine.dispose(close=False)
        self._start()


RunHeld = Callable[[Callable[[Session], Any]], Coroutine[Any, Any, Any]]
"""Runs a function on the session of a transaction that is held open."""


def _attempt(session: Session, work: Work[R]) -> R:
    result = work(session)
    _commit(session)
    return result


def _commit(transaction: Session | Connection) -> None:
    try:
        transaction.commit()
    except DBAPIError as error:
        ended = getattr(error.orig, "sqlstate", None) in retry.TIMED_OUT
        if error.connection_invalidated and not ended:
            raise retry.CommitUnanswered from error
        raise


_databases: "weakref.WeakSet[Database]" = weakref.WeakSet()


def _reset_in_child() -> None:
    for database in list(_databases):
        database.after_fork()


os.register_at_fork(after_in_child=_reset_in_child)
