"""What differs between SQLite and PostgreSQL, all of it, as a few named statements.

Everything else in Daicho is written once. A test for the dialect anywhere else is a mistake.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVarTuple
from uuid import uuid4

import psycopg
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Index,
    Select,
    Table,
    Update,
    column,
    create_engine,
    event,
    func,
    select,
    table,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import await_only

from daicho.core.errors import Invalid
from daicho.core.model import Base
from daicho.core.settings import Settings
from daicho.core.types import now, utc

BUSY_SECONDS = 10.0
"""How long a writer waits for another one on SQLite before it says Unavailable."""
BULK_ROWS = 5_000
"""Rows that one round of a bulk insert carries."""
MIGRATION_LOCK = 0x0DA1C40
"""The PostgreSQL advisory lock that lets one migration run at a time."""

Ts = TypeVarTuple("Ts")
Insert = postgresql.Insert | sqlite.Insert


def is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def is_memory(url: URL) -> bool:
    """Whether the database lives in this process alone and ends with its connection."""
    return is_sqlite(url) and url.database in {None, "", ":memory:"}


def anchored(url: URL) -> URL:
    """The URL with an SQLite file's path made absolute: it stays the same file when the program moves on."""
    if not is_sqlite(url) or is_memory(url) or str(url.database).startswith("file:"):
        return url
    return url.set(database=str(Path(url.database or "").absolute()))


# -- engines ------------------------------------------------------------------------------------


def make_engine(url: URL, settings: Settings) -> Engine:
    """Create the sync engine: pool sizes from the settings, SQLite in WAL mode with its rules on."""
    if not is_sqlite(url):
        return create_engine(url, **pool_options(settings))
    options = {"echo": settings.database.echo} if is_memory(url) else pool_options(settings)
    if is_memory(url):
        # One connection, handed from one user to the next: it is the database.
        options |= {"pool_size": 1, "max_overflow": 0, "pool_timeout": BUSY_SECONDS}
    else:
        _check_folder(url, settings)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None},
        **options,
    )
    synchronous = {"full": "FULL", "normal": "NORMAL"}[settings.database.sqlite.synchronous]

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


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


def lock_for_migration(connection: Connection) -> None:
    """Wait until this transaction is the only one that migrates (SQLite's BEGIN IMMEDIATE is enough)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})


# -- statements ---------------------------------------------------------------------------------


def clock(session: Session) -> datetime:
    """The present instant by the database's own clock, which all its clients share.

    An SQLite file is written on one machine: its clock is this one's.
    """
    if session.get_bind().dialect.name == "sqlite":
        return now()
    at: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return utc(at)


def insert(session: Session, model: type[Base]) -> Insert:
    """An INSERT that knows ON CONFLICT."""
    return insert_for(session.get_bind().dialect.name, model)


def insert_for(dialect: str, model: type[Base]) -> Insert:
    """As ``insert``, by the dialect's name: for statements that are built once and kept."""
    return postgresql.insert(model) if dialect == "postgresql" else sqlite.insert(model)


def insert_numbered(
    connection: Connection, model: type[Base], rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert rows and return their new numbers, in the rows' order: rising, without another's between.

    Every row has the first row's keys. The cheapest way on each database: one statement for all of
    them on PostgreSQL, where each costs a round trip; one each by the driver's cursor on SQLite.
    """
    if connection.dialect.name == "postgresql":
        return list(connection.execute(_numbered(model), rows).scalars())
    statement, values_of = _for_driver(_plain(model), tuple(rows[0]))
    cursor = connection.connection.cursor()
    numbers = []
    for row in rows:
        cursor.execute(statement, values_of(row))
        numbers.append(cursor.lastrowid)
    cursor.close()
    return numbers


def run_many(connection: Connection, statement: Update, rows: Sequence[Mapping[str, Any]]) -> int:
    """Run a statement that is built once (a constant) for each row; return how many rows it touched."""
    if connection.dialect.name == "postgresql":
        return connection.execute(statement, rows).rowcount
    compiled, values_of = _for_driver(statement, ())
    cursor = connection.connection.cursor()
    cursor.executemany(compiled, [values_of(row) for row in rows])
    touched = cursor.rowcount
    cursor.close()
    return touched


@cache
def _numbered(model: type[Base]) -> Any:
    return postgresql.insert(model).returning(model.__mapper__.primary_key[0], sort_by_parameter_order=True)


@cache
def _plain(model: type[Base]) -> sqlite.Insert:
    return sqlite.insert(model)


@lru_cache(maxsize=64)
def _for_driver(
    statement: sqlite.Insert | Update, names: tuple[str, ...]
) -> tuple[str, Callable[[Mapping[str, Any]], list[Any]]]:
    """A statement as SQLite's driver takes it, and what makes its values of a row."""
    here = sqlite.dialect()
    compiled = statement.compile(dialect=here, column_keys=list(names) or None)
    order = compiled.positiontup or []
    converters = [(name, _converter(compiled.binds[name].type, here)) for name in order]
    return compiled.string, lambda row: [change(row[name]) for name, change in converters]


def insert_many(
    session: Session, model: type[Base], rows: Iterable[Mapping[str, Any]], *, skip_duplicates: bool = False
) -> int:
    """Insert any number of rows by the driver's fastest way: COPY, or executemany.

    Every row has the first row's keys. With ``skip_duplicates`` a row that meets a unique constraint
    is left out. Returns the number of rows inserted.
    """
    target = Base.metadata.tables[model.__tablename__]
    total = 0
    for chunk in _chunks(rows, BULK_ROWS):
        names = list(chunk[0])
        if session.get_bind().dialect.name == "postgresql":
            total += _copy_in(session, target, names, chunk, skip_duplicates)
        else:
            statement = sqlite.insert(model)
            if skip_duplicates:
                statement = statement.on_conflict_do_nothing()
            total += session.connection().execute(statement, chunk).rowcount
    return total


def _copy_in(
    session: Session, target: Table, names: list[str], rows: Sequence[Mapping[str, Any]], skip: bool
) -> int:
    connection = session.connection()
    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(name) for name in names)
    place = target.name
    if skip:
        place = f"incoming_{uuid4().hex}"
        connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE {place} ON COMMIT DROP AS "
            f"SELECT {columns} FROM {quote(target.name)} LIMIT 0"
        )
    convert = [_converter(target.c[name].type, connection.dialect) for name in names]
    values = [tuple(change(row[name]) for name, change in zip(names, convert, strict=True)) for row in rows]
    statement = f"COPY {quote(place)} ({columns}) FROM STDIN"
    driver = connection.connection.driver_connection
    if isinstance(driver, psycopg.AsyncConnection):
        await_only(_copy_async(driver, statement, values))
    elif isinstance(driver, psycopg.Connection):
        with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for value in values:
                copy.write_row(value)
    if not skip:
        return len(values)
    moved = connection.exec_driver_sql(
        f"INSERT INTO {quote(target.name)} ({columns}) SELECT {columns} FROM {place} ON CONFLICT DO NOTHING"
    ).rowcount
    connection.exec_driver_sql(f"DROP TABLE {place}")
    return moved


def _converter(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any]:
    """What a column's type does to a value on its way to the driver."""
    return kind.dialect_impl(dialect).bind_processor(dialect) or (lambda value: value)


async def _copy_async(
    driver: psycopg.AsyncConnection[Any], statement: str, values: list[tuple[Any, ...]]
) -> None:
    async with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for value in values:
            await copy.write_row(value)


def _chunks(rows: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    source = iter(rows)
    while chunk := list(islice(source, size)):
        yield chunk


# -- substring search ---------------------------------------------------------------------------


def trigram_index(name: str, of: InstrumentedAttribute[str]) -> Index:
    """The PostgreSQL half of an indexed substring search; SQLite's is the table of ``search_ddl``."""
    index = Index(name, of, postgresql_using="gin", postgresql_ops={of.key: "gin_trgm_ops"})
    index.ddl_if(dialect="postgresql")
    return index


def matching(
    session: Session, statement: Select[*Ts], of: InstrumentedAttribute[str], wanted: str
) -> tuple[Select[*Ts], ColumnElement[int]]:
    """Narrow a statement to the rows whose text contains ``wanted``, letter case aside, by the index.

    Returns the statement and the column to order by, newest first: the row's own number.
    ``wanted`` is at least three characters long.
    """
    own_key: ColumnElement[int] = of.class_.id
    if session.get_bind().dialect.name == "postgresql":
        return statement.where(containing(of, wanted)), own_key
    name = search_table(of.class_.__tablename__)
    index = table(name, column("rowid"), column(name))
    quoted = '"' + wanted.replace('"', '""') + '"'
    statement = statement.join(index, index.c.rowid == own_key).where(index.c[name].op("MATCH")(quoted))
    return statement, index.c.rowid


def containing(of: InstrumentedAttribute[str], wanted: str) -> ColumnElement[bool]:
    """Whether the text contains ``wanted``, letter case aside, by looking at the row."""
    return of.icontains(wanted, autoescape=True)


def search_table(name: str) -> str:
    """The name of a table's full-text index on SQLite."""
    return f"{name}_search"


def search_ddl(name: str, of: str) -> list[str]:
    """The statements that give an SQLite table a trigram index, kept by trigger, with its rows in it."""
    index = search_table(name)
    add = f"INSERT INTO {index} (rowid, {of}) VALUES (new.id, new.{of})"
    drop = f"INSERT INTO {index} ({index}, rowid, {of}) VALUES ('delete', old.id, old.{of})"
    return [
        f"CREATE VIRTUAL TABLE {index} USING fts5"
        f"({of}, content='{name}', content_rowid='id', tokenize='trigram')",
        f"CREATE TRIGGER {index}_insert AFTER INSERT ON {name} BEGIN {add}; END",
        f"CREATE TRIGGER {index}_delete AFTER DELETE ON {name} BEGIN {drop}; END",
        f"CREATE TRIGGER {index}_update AFTER UPDATE OF id, {of} ON {name} BEGIN {drop}; {add}; END",
        f"INSERT INTO {index} ({index}) VALUES ('rebuild')",
    ]


def only_comparable(connection: Connection) -> Callable[..., bool]:
    """Alembic's ``include_object``: what autogenerate should compare on this database.

    On SQLite neither the tables behind its full-text indexes, which no model describes, nor the
    models' indexes of a PostgreSQL kind.
    """
    if connection.dialect.name != "sqlite":
        return lambda *_: True
    parts = ("", "_data", "_idx", "_content", "_docsize", "_config")

    def comparable(thing: Any, name: str | None, kind: str, *_: object) -> bool:
        if kind == "table":
            return not any(
                name == search_table(known) + part for known in Base.metadata.tables for part in parts
            )
        return not (kind == "index" and thing.dialect_options["postgresql"]["using"])

    return comparable
