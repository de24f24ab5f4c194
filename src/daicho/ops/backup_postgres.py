"""Backups of a PostgreSQL database: ``pg_dump`` of a snapshot, and what that snapshot held."""

from collections.abc import Callable
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import URL, text

from daicho.core.backup import MEANINGS, ONLY_SOME, client, find_client, run_client
from daicho.core.dialect import is_sqlite
from daicho.core.errors import Invalid, Unavailable
from daicho.core.retry import translated
from daicho.core.settings import parse_url
from daicho.ops.backup_kinds import CHECKING, RESTORING, WRITING, Content, Kind, Restored
from daicho.ops.backup_manifest import Held, Manifest, check_held
from daicho.ops.backup_server import Server

LOOK_SECONDS = 0.2
BITS = 64
TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (
        SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e'
    )
ORDER BY n.nspname = 'public' DESC, 1, 2
"""
# Summed up in the server, whatever the rows' order. SHA-256 is the same on every server and version.
HELD = """
SELECT count(*), coalesce(sum(
    ('x' || substr(encode(sha256(convert_to("daicho row"::text, 'UTF8')), 'hex'), 1, 15))::bit(60)::bigint
), 0) FROM {} AS "daicho row"
"""
ALIKE = (
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL intervalstyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL lock_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL row_security = off",  # an error, rather than some tenants' rows
)
"""What makes a row's text the same everywhere, and lets a long look come to its end."""
UNRESTRICTED = ("--no-owner", "--no-privileges")


class PostgresDatabase(Kind):
    """A PostgreSQL database."""

    name = "postgresql"

    @property
    def target_folder(self) -> Path | None:
        return None

    # -- a backup --------------------------------------------------------------------------------------

    def check_source(self, scratch: str | None) -> None:
        find_client("pg_dump")
        if scratch is not None:
            find_client("pg_restore")
            with self._scratch_server(scratch or None) as server:
                server.check_may_create()

    def write(self, file: Path) -> Content:
        try:
            with self.database.engine.connect() as plain:
                connection = plain.execution_options(isolation_level="REPEATABLE READ")
                connection.execute(text("SET TRANSACTION READ ONLY"))
                driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
                snapshot, made = connection.execute(text("SELECT pg_export_snapshot(), now()")).one()
                options = ("--format=custom", f"--snapshot={snapshot}", f"--file={file}")
                with (
                    client("pg_dump", self.database.url, self.database.place, *options) as process,
                    self.steps(WRITING, None, True) as advance,
                ):
                    tables = held_by(driver)
                    revision = revision_of(driver)
                    done = 0
                    while True:
                        try:
                            process.wait(LOOK_SECONDS)
                            break
                        except TimeoutExpired:
                            size = file.stat().st_size if file.exists() else 0
                            advance(size - done)
                            done = size
                version = driver.info.parameter_status("server_version")
        except Exception as error:
            raise _translated(error, self.database.place) from None
        return Content(f"PostgreSQL {version}", made, revision, tables)

    def verify(self, manifest: Manifest, file: Path, work: Path, scratch: str | None) -> None:
        with self._scratch_server(scratch) as server, server.scratch() as url:
            with self.steps(RESTORING, None, False):
                run_client(
                    "pg_restore", url, server.place_of(url), "--exit-on-error", *UNRESTRICTED, str(file)
                )
            with self.steps(CHECKING, manifest.rows, False) as advance:
                check_held(manifest, looked_at(url, server.place_of(url), advance), manifest.file)

    def _scratch_server(self, scratch: str | None) -> Server:
        url = parse_url(scratch) if scratch else self.database.url
        if is_sqlite(url):
            raise Invalid(
                "--scratch (backup.scratch): name a PostgreSQL server, postgresql://user@host/postgres",
                "--scratch (backup.scratch): postgresql://user@host/postgres のように PostgreSQL サーバーを"
                "指定してください",
            )
        return Server(url)

    # -- a restore -------------------------------------------------------------------------------------

    def restore(self, manifest: Manifest | None, file: Path, *, force: bool) -> Restored:
        from daicho.ops.restore_postgres import restore

        return restore(self, manifest, file, force=force)


def held_by(
    connection: "psycopg.Connection[Any]", advance: Callable[[int], None] = lambda _: None
) -> list[Held]:
    """Return what each table of a database holds, in the transaction that is open."""
    for statement in ALIKE:
        connection.execute(statement)
    found = []
    for schema, table in connection.execute(TABLES).fetchall():
        query = sql.SQL(HELD).format(sql.Identifier(schema, table))
        rows, total = connection.execute(query).fetchone() or (0, 0)
        name = table if schema == "public" else f"{schema}.{table}"
        found.append(Held(table=name, rows=rows, checksum=f"{int(total) % 2**BITS:016x}"))
        advance(rows)
    return found


def looked_at(url: URL, place: str, advance: Callable[[int], None] = lambda _: None) -> list[Held]:
    """Return what each table of a database holds."""
    try:
        with psycopg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False)
        ) as connection:
            return held_by(connection, advance)
    except psycopg.Error as error:
        raise _translated(error, place) from None


def _translated(error: Exception, place: str) -> Exception:
    if ONLY_SOME in str(error):
        meaning = MEANINGS[ONLY_SOME]
        return Unavailable(f"{place}: {meaning.en}", f"{place}: {meaning.ja}")
    return translated(error, place)


def revision_of(connection: "psycopg.Connection[Any]") -> str | None:
    """The revision of a database's schema."""
    (there,) = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone() or (False,)
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone() if there else None
    return str(found[0]) if found else None
