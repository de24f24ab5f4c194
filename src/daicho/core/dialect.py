"""What differs between SQLite and PostgreSQL, all of it, as a few named statements.

Engines are made in ``engines``; many rows at once stand in ``bulk``, roll-ups in ``rollups`` and ``summing``.
Everything else in Daicho is written once: a test for the dialect anywhere else is a mistake.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVarTuple
from urllib.parse import unquote, urlsplit

from sqlalchemy import (
    CTE,
    JSON,
    URL,
    ColumnElement,
    Connection,
    FromClause,
    Index,
    Select,
    column,
    func,
    literal,
    select,
    table,
    text,
    true,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.types import TypeEngine

from daicho.core.model import Base
from daicho.core.types import now, utc

BUSY_SECONDS = 10.0
"""How long a writer waits for another one on SQLite before it says Unavailable."""
MIGRATION_LOCK = 0x0DA1C40
"""The PostgreSQL advisory lock that lets one migration run at a time."""
TENANT_SETTING = "daicho.tenant_id"
"""PostgreSQL's setting that says whose rows a connection or a transaction works with."""
EVERY_TENANT = "*"
FEW = 9
"""So many rows of a ``table_of`` are spelled out: all segments that a single stretch of time may need."""

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


def file_of(url: URL) -> Path | None:
    """The file that an SQLite database is; None for one in memory, and for PostgreSQL."""
    if not is_sqlite(url) or is_memory(url):
        return None
    name = str(url.database)
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name).absolute()


def wal_size(file: Path) -> int:
    """How long SQLite's log beside a file is, in bytes."""
    try:
        return file.with_name(f"{file.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


# -- servers ------------------------------------------------------------------------------------


def takes_writes(session: Session) -> bool:
    """Whether a server takes writes at all: one that follows another takes none (a standby)."""
    if session.get_bind().dialect.name == "sqlite":
        return True
    return not session.execute(select(func.pg_is_in_recovery())).scalar_one()


def lock_for_migration(connection: Connection) -> None:
    """Wait until this transaction is the only one that migrates (SQLite's BEGIN IMMEDIATE is enough)."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})


# -- tenants ------------------------------------------------------------------------------------


def keep_to(connection: Connection, tenant: str) -> None:
    """Let the rest of a transaction see and write one tenant's rows only, whatever its statements forget.

    PostgreSQL does so by row-level security, for every role but the tables' owner and superusers
    (``daicho db grant`` makes one). SQLite has nothing of the kind: there the statements alone decide.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_KEEP_TO, {"tenant": tenant})


_KEEP_TO = text(f"SELECT set_config('{TENANT_SETTING}', :tenant, true)")


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


def reserve(session: Session, model: type[Base], highest: int) -> None:
    """Let rows of a table that are given no ``id`` get one beyond ``highest`` from now on.

    SQLite does so by itself as soon as the highest one is there.
    """
    if session.get_bind().dialect.name == "sqlite":
        return
    name = model.__tablename__
    # Nobody adds a row meanwhile: a number that was given would be given again.
    session.execute(text(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE"))
    session.execute(_COUNT_ON, {"name": name, "highest": highest})


def may_reserve(session: Session, model: type[Base], highest: int) -> bool:
    """Whether this login may do what ``reserve`` does, or needs not: the numbers are beyond already."""
    if session.get_bind().dialect.name == "sqlite":
        return True
    lacks = session.execute(_LACKS_RIGHT, {"name": model.__tablename__, "highest": highest})
    return lacks.first() is None


_OWN_SEQUENCE = (
    " FROM (SELECT pg_get_serial_sequence(:name, 'id')::regclass AS name) own"
    " WHERE coalesce(pg_sequence_last_value(own.name), 0) < :highest"
)
_COUNT_ON = text("SELECT setval(own.name, :highest)" + _OWN_SEQUENCE)
_LACKS_RIGHT = text("SELECT 1" + _OWN_SEQUENCE + " AND NOT has_sequence_privilege(own.name, 'UPDATE')")


def table_of(
    session: Session, name: str, kinds: Mapping[str, TypeEngine[Any]], rows: Sequence[Sequence[Any]]
) -> CTE:
    """Rows of values as a table in a statement that SQLAlchemy compiles once, not for each set of rows.

    Up to ``FEW`` are spelled out, so that PostgreSQL plans for these very values. More travel as JSON, in
    one parameter.

    Args:
        session: where the statement will run.
        name: what the statement calls the table.
        kinds: the names and types of its columns: whole numbers, texts and instants.
        rows: values in the order of ``kinds``; one row at least.
    """
    if len(rows) <= FEW:
        selects = []
        for row in rows:
            named = zip(kinds.items(), row, strict=True)
            selects.append(select(*[literal(value, kind).label(own) for (own, kind), value in named]))
        return union_all(*selects).cte(name)
    postgres = session.get_bind().dialect.name == "postgresql"

    def plain(value: Any) -> Any:
        if not isinstance(value, datetime):
            return value
        at = utc(value)
        return at.isoformat() if postgres else at.replace(tzinfo=None).isoformat(" ", "microseconds")

    sent = literal([dict(zip(kinds, map(plain, row), strict=True)) for row in rows], JSON())
    if postgres:
        typed = [column(own, kind) for own, kind in kinds.items()]
        made = func.json_to_recordset(sent).table_valued(*typed).render_derived(name="sent", with_types=True)
        return select(made).cte(name)
    each = func.json_each(sent).table_valued("value").c.value
    taken = [func.json_extract(each, f"$.{own}", type_=kind).label(own) for own, kind in kinds.items()]
    # Materialised, or a value would be taken out of the JSON anew wherever it is used.
    return select(*taken).cte(name).prefix_with("MATERIALIZED")


def joined_by_range(
    session: Session, ranges: FromClause, model: type[Base], condition: ColumnElement[bool]
) -> tuple[FromClause, ReadOnlyColumnCollection[str, Any]]:
    """Join each row of a few with those of a large table that ``condition`` says lie in its range.

    Returns the join, and the large table's columns in it. SQLite looks each range up in the index by
    itself; PostgreSQL, which cannot know how few they hold, is made to.
    """
    large = model.__table__
    if session.get_bind().dialect.name == "sqlite":
        return ranges.join(large, condition), large.c
    each = select(large).where(condition).offset(0).lateral("each")
    return ranges.join(each, true()), each.c


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
