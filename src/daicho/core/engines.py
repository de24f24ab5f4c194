"""How engines are made: what a connection to SQLite or to PostgreSQL is set to before anybody uses it."""

import math
from pathlib import Path
from typing import Any, TypeVar, cast

from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from daicho.core import dialect
from daicho.core.answering import KEEPALIVES, Answered, AsyncAnswered
from daicho.core.errors import Conflict, Invalid
from daicho.core.load import AsyncCountedPool, CountedPool
from daicho.core.settings import Settings
from daicho.core.tls import warn_of_open_way

LOG_BYTES = 32 * 1024 * 1024
"""What SQLite's log keeps of a size that it had to grow to."""

READ_ONLY = "25006"
"""PostgreSQL's word for a write on a standby."""

C = TypeVar("C", bound=type[Any])


def make_engine(url: URL, settings: Settings) -> Engine:
    """Create the sync engine: pool sizes from the settings, SQLite in WAL mode with its rules on."""
    if not dialect.is_sqlite(url):
        warn_of_open_way(url)
        connect = answered(Answered, settings)
        engine = create_engine(
            url, poolclass=CountedPool, connect_args=connect_options(url, settings), **pool_options(settings)
        )
        event.listen(engine, "do_connect", lambda _, record, args, given: connect.connect(*args, **given))
        _see_every_tenant(engine)
        _leave_read_only_servers(engine)
        refuse_lost_commits(engine)
        return engine
    options = {"echo": settings.database.echo} if dialect.is_memory(url) else pool_options(settings)
    if dialect.is_memory(url):
        # One connection, handed from one user to the next: it is the database.
        options |= {"pool_size": 1, "max_overflow": 0, "pool_timeout": dialect.BUSY_SECONDS}
    else:
        _check_folder(url, settings)
    engine = create_engine(
        url,
        poolclass=CountedPool,
        connect_args={"timeout": dialect.BUSY_SECONDS, "check_same_thread": False, "isolation_level": None},
        **options,
    )
    synchronous = {"full": "FULL", "normal": "NORMAL"}[settings.database.sqlite.synchronous]

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA foreign_keys = ON")
        # 16 MB of log before it is moved into the file: pages that change often are moved once.
        cursor.execute("PRAGMA wal_autocheckpoint = 4000")
        # A reader that takes long lets the log grow: it gives the space back once it may begin anew.
        cursor.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        cursor = connection.connection.cursor()
        # What SQLite keeps to undo a statement, and to sort by, goes to a file beyond 64 kB: a small
        # transaction need not, and a large one must not fill the memory.
        place = "MEMORY" if options.get("small") else "DEFAULT"
        if connection.info.get("temp_store", "DEFAULT") != place:
            cursor.execute(f"PRAGMA temp_store = {place}")
            connection.info["temp_store"] = place
        cursor.execute("BEGIN IMMEDIATE" if options.get("writes", True) else "BEGIN")
        cursor.close()

    refuse_lost_commits(engine)
    return engine


def make_async_engine(url: URL, settings: Settings) -> AsyncEngine:
    """Create the async engine (PostgreSQL), with the same pool."""
    warn_of_open_way(url)
    options = connect_options(url, settings) | {"async_creator_fn": answered(AsyncAnswered, settings).connect}
    engine = create_async_engine(
        url, poolclass=AsyncCountedPool, connect_args=options, **pool_options(settings)
    )
    _see_every_tenant(engine.sync_engine)
    _leave_read_only_servers(engine.sync_engine)
    refuse_lost_commits(engine.sync_engine)
    return engine


def connect_options(url: URL, settings: Settings) -> dict[str, Any]:
    """How to connect to PostgreSQL and how to notice that it is gone; what the URL says itself, holds."""
    options = KEEPALIVES | {"connect_timeout": math.ceil(settings.database.pool.connect_timeout)}
    return {name: value for name, value in options.items() if name not in url.query}


def answered(kind: C, settings: Settings) -> C:
    """The kind of connection that waits for a sign of life as long as the settings say."""
    return cast("C", type(kind.__name__, (kind,), {"seconds": settings.database.pool.silence}))


def _leave_read_only_servers(engine: Engine) -> None:
    """Let go of every connection once a server takes no writes: after a failover the primary is elsewhere."""

    @event.listens_for(engine, "handle_error")
    def leave(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True


def watching_engine(url: URL, settings: Settings, seconds: int) -> Engine:
    """Create an engine that only looks: one connection, apart from those of who works.

    It makes no file, changes nothing of one, and is patient for ``seconds`` at most.
    """
    if (file := dialect.file_of(url)) is not None:
        readable = url.set(database=file.as_uri(), query={"mode": "ro", "uri": "true"})
        return create_engine(readable, poolclass=NullPool, connect_args={"timeout": seconds})
    patience = {} if "connect_timeout" in url.query else {"connect_timeout": seconds}
    engine = create_engine(url, **pool_options(settings) | ONE, connect_args=patience)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{seconds}s'")

    return engine


ONE = {"pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}


def refuse_lost_commits(engine: Engine) -> None:
    """Raise Conflict at the commit of a transaction that an error has undone, though somebody caught it.

    PostgreSQL answers such a COMMIT with a rollback and no error; SQLite has ended the transaction by itself.
    """

    @event.listens_for(engine, "commit")
    def is_whole(connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if connection.dialect.name == "postgresql":
            lost = driver.info.transaction_status == TransactionStatus.INERROR
        else:
            lost = not driver.in_transaction
        if lost:
            connection.connection.rollback()  # SQLAlchemy takes it for committed, and would not
            raise Conflict(
                "an error earlier in this transaction undid all of it; nothing was saved."
                " Put what may fail into session.begin_nested()",
                "このトランザクションは途中のエラーですべて取り消され、何も保存されていません。"
                "失敗しうる操作は session.begin_nested() の中で行ってください",
            )


def _see_every_tenant(engine: Engine) -> None:
    """Say on every new connection that it works for all tenants: one that says nothing sees none."""

    @event.listens_for(engine, "connect")
    def unscoped(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"SET {dialect.TENANT_SETTING} = '{dialect.EVERY_TENANT}'")
        cursor.close()
        connection.commit()


def pool_options(settings: Settings) -> dict[str, Any]:
    """The pool's size and patience, for the sync and the async engine alike."""
    pool = settings.database.pool
    return {
        "pool_size": pool.size,
        "max_overflow": pool.max_overflow,
        "pool_timeout": pool.timeout,
        "pool_recycle": pool.recycle,
        "echo": settings.database.echo,
        "hide_parameters": not settings.database.echo,
    }


def _check_folder(url: URL, settings: Settings) -> None:
    folder = Path(url.database or "").absolute().parent
    if folder == settings.context_storage.base_dir.absolute():
        folder.mkdir(parents=True, exist_ok=True)  # the settings' own place: tasks would make it too
    if not folder.is_dir():
        raise Invalid(
            f"{url.database}: the folder {folder} does not exist; create it or change DATABASE_URL",
            f"{url.database}: フォルダー {folder} がありません。作成するか DATABASE_URL を変えてください",
        )
