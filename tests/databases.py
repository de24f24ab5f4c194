"""Databases for tests, at the newest revision or empty: copies of one that was migrated once.

A copy on PostgreSQL takes longer than most tests do. So a database that a test leaves with the schema it came
with is emptied and lent again; one whose schema, roles or settings were touched is dropped.
"""

import shutil
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from daicho import Ledger, Settings, migrations
from daicho.ledger import open_database

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""For a test of what is the same on each database, and takes long."""
LOANS = 50
"""How often a database is lent: rows that were deleted take room until it is dropped."""

OF_TABLES = (
    "attrdef",
    "attribute",
    "class",
    "constraint",
    "index",
    "inherits",
    "policy",
    "rewrite",
    "trigger",
)
OTHERS = (
    "default_acl",
    "event_trigger",
    "extension",
    "namespace",
    "proc",
    "sequence",
    "statistic_ext",
    "type",
)
# A row's xmin is the transaction that wrote it: whatever is made or altered has a newer one.
NEWEST = "(SELECT (count(*), max(xmin::text::bigint))::text FROM pg_{})"
SCHEMA = f"""
SELECT {", ".join(map(NEWEST.format, (*OF_TABLES, *OTHERS)))},
    (SELECT count(*) FROM pg_depend), (SELECT count(*) FROM pg_largeobject_metadata),
    (SELECT datacl::text FROM pg_database WHERE datname = current_database()),
    (SELECT count(*) FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
        WHERE datname = current_database())
"""
LEAVE = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class PostgresDatabases:
    """Databases on a server: new ones, and ones to be lent and given back."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._made: dict[str, int] = {}
        self._free: list[str] = []
        self._template = self._create("template0")
        database = open_database(self._url(self._template), Settings())
        migrations.run(database, "upgrade", "head")
        database.close()
        with psycopg.connect(self._url(self._template)) as connection:
            self._empty = _emptying(connection)
        self._schema: tuple[object, ...] | None = None

    def new(self, *, migrated: bool = True) -> str:
        """Make a database that nobody else gets: migrated, or empty."""
        return self._url(self._create(self._template if migrated else "template0"))

    def borrow(self) -> str:
        """Return a database at the newest revision without any rows."""
        return self._url(self._free.pop()) if self._free else self.new()

    def give_back(self, url: str) -> None:
        """End who still is in a database, and empty it for the next; drop it if it cannot be the same."""
        name = str(make_url(url).database)
        self._made[name] += 1
        if self._made[name] < LOANS and self._emptied(name):
            self._free.append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        """Drop every database that was made."""
        for name in reversed(list(self._made)):
            self._drop(name)

    def _emptied(self, name: str) -> bool:
        if self._schema is None:
            untouched = self._create(self._template)
            self._schema = self._schema_of(untouched)
            self._free.append(untouched)
        try:
            with psycopg.connect(self._url(name), autocommit=True) as connection:
                connection.execute(LEAVE)
                if connection.execute(SCHEMA).fetchone() != self._schema:
                    return False
                connection.execute(self._empty)
        except psycopg.Error:
            return False
        return True

    def _schema_of(self, name: str) -> tuple[object, ...] | None:
        with psycopg.connect(self._url(name)) as connection:
            return connection.execute(SCHEMA).fetchone()

    def _create(self, template: str) -> str:
        name = f"daicho_test_{uuid4().hex[:12]}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        self._made[name] = 0
        return name

    def _drop(self, name: str) -> None:
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        del self._made[name]

    def _url(self, name: str) -> str:
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement)


def _emptying(connection: psycopg.Connection) -> str:
    """The statements that give every table the rows that it now has, and every sequence its start."""
    statements = ["SET session_replication_role = replica"]  # neither triggers nor references
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    for (table,) in tables:
        statements.append(f'DELETE FROM "{table}"')
        (rows,) = connection.execute(f'SELECT json_agg(t)::text FROM "{table}" t').fetchone() or (None,)
        if rows:
            statements.append(
                f'INSERT INTO "{table}" SELECT * FROM json_populate_recordset(NULL::"{table}", '
                f"{sql.Literal(rows).as_string(connection)})"
            )
    numbers = connection.execute(
        "SELECT sequencename, start_value FROM pg_sequences WHERE schemaname = 'public'"
    )
    statements += [f"SELECT setval('\"{name}\"', {start}, false)" for name, start in numbers]
    return ";".join(statements)


class SqliteDatabases:
    """Copies of one SQLite file at the newest revision."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        with Ledger(f"sqlite:///{self._template}") as ledger:
            ledger.calls.list()
        assert not self._template.with_name("template.db-wal").exists()

    def new(self, path: Path) -> str:
        """Put a migrated database at a path; return its URL."""
        shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"
