"""A PostgreSQL server, as one who makes and drops databases sees it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self
from zlib import crc32

import psycopg
from psycopg import sql
from sqlalchemy import URL

from daicho.core.backup import CONNECT_SECONDS
from daicho.core.errors import Unavailable
from daicho.core.retry import translated

LOCK = 0x0DA1C41
"""Of the advisory locks by which a process holds the databases that it makes for a while."""
NAME_MAX = 63
"""The longest name of a database, in bytes."""
MARK = 6
"""Bytes that tell databases of the same use apart."""
BESIDE = ("postgres", "template1")
"""Databases from which another one can be renamed: nobody may be in that."""
LISTS = {"search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"}
"""Settings whose values are lists of names already, and no texts."""
IN_USE = """
SELECT
    string_agg(DISTINCT usename || coalesce(' (' || nullif(application_name, '') || ')', ''), ', '), count(*)
FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
RIGHTS = """
SELECT coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'), privilege_type, is_grantable
FROM pg_database, aclexplode(datacl) WHERE datname = %s
"""
SETTINGS = """
SELECT nullif(setrole, 0)::regrole::text, unnest(setconfig) FROM pg_db_role_setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)
"""


class Server:
    """A server, with a connection that is open within a ``with`` block.

    Args:
        url: of a database on it, as who and by which way it is reached.
        beside: connect to another database than the one that ``url`` names.

    Raises Unavailable where it cannot be reached.
    """

    def __init__(self, url: URL, *, beside: bool = False) -> None:
        self._url = url
        self._names: tuple[str | None, ...] = BESIDE if beside else (url.database,)

    def __enter__(self) -> Self:
        self._connection = self._connect()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._connection.close()

    def place_of(self, url: URL) -> str:
        """A database of the server, for people."""
        return url.render_as_string(hide_password=True).replace("+psycopg", "")

    @property
    def place(self) -> str:
        """The database that ``url`` names, for people."""
        return self.place_of(self._url)

    @property
    def user(self) -> str:
        """The login."""
        return self._connection.info.user

    def url_of(self, name: str) -> URL:
        """The URL of another database."""
        return self._url.set(database=name)

    # -- what is there -----------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether there is a database of a name."""
        return bool(self.ask("SELECT 1 FROM pg_database WHERE datname = %s", name))

    def may_create(self) -> bool:
        """Whether the login may create databases."""
        return bool(
            self.ask("SELECT 1 FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreatedb)")
        )

    def owns(self, name: str) -> bool:
        """Whether the login may rename a database that is there."""
        owned = "SELECT 1 FROM pg_database WHERE datname = %s AND pg_has_role(current_user, datdba, 'USAGE')"
        return bool(self.ask(owned, name))

    def check_may_create(self) -> None:
        """Raise Unavailable if the login may not make a scratch database."""
        if not self.may_create():
            raise Unavailable(
                f"{self.place}: the login {self.user} may not create the scratch database in which the"
                " backup is"
                f" verified; let a superuser run ALTER ROLE {self.user} CREATEDB, name another server by"
                " --scratch"
                " URL, or leave it unverified by --no-verify",
                f"{self.place}: {self.user} には検証用データベースを作る権限がありません。スーパーユーザーで"
                f" ALTER ROLE {self.user} CREATEDB を実行するか、--scratch URL で別のサーバーを指定するか、"
                "--no-verify で検証を省いてください",
            )

    def users(self, name: str) -> str:
        """Who is in a database; empty if nobody."""
        who, count = self.ask(IN_USE, name)[0]
        return str(who or f"{count} sessions") if count else ""

    # -- databases for a while -----------------------------------------------------------------------------

    @contextmanager
    def scratch(self) -> Iterator[URL]:
        """Give the URL of a new, empty database that is dropped in the end, however that comes."""
        prefix = f"daicho_scratch_{crc32(str(self._connection.info.dbname).encode()):08x}_"
        with self.for_a_while(prefix) as name:
            self.run(
                "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'", name
            )
            yield self.url_of(name)

    @contextmanager
    def for_a_while(self, prefix: str) -> Iterator[str]:
        """Give the name of a database to be made, which is dropped in the end if it still has that name.

        Those of processes that were killed are dropped too: a process holds its own by an advisory lock.
        """
        length = len(prefix) + 2 * MARK
        there = "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND length(datname) = %s"
        for (left,) in self.ask(there, prefix, length):
            if self._hold(left):
                self._drop(left)
        name = prefix + secrets.token_hex(MARK)
        self._hold(name)
        try:
            yield name
        finally:
            self._drop(name)

    def create_like(self, name: str, like: str) -> None:
        """Make an empty database whose texts are sorted as in another one."""
        found: dict[str, Any]
        ((found, encoding),) = self.ask(
            "SELECT to_jsonb(d), pg_encoding_to_char(encoding) FROM pg_database d WHERE datname = %s", like
        )
        options = [
            ("ENCODING", encoding),
            ("LC_COLLATE", found["datcollate"]),
            ("LC_CTYPE", found["datctype"]),
        ]
        locale = found.get("datlocale") or found.get("daticulocale")
        if locale:
            provider = {"i": ("icu", "ICU_LOCALE"), "b": ("builtin", "BUILTIN_LOCALE")}[
                found["datlocprovider"]
            ]
            options += [("LOCALE_PROVIDER", provider[0]), (provider[1], locale)]
        given = sql.SQL(" ").join(
            sql.SQL("{} {}").format(sql.SQL(key), sql.Literal(value)) for key, value in options
        )
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 {}").format(sql.Identifier(name), given))

    def carry_over(self, old: str, new: str) -> list[str]:
        """Give a new database the rights, settings and owner of another; return what could not be given."""
        into = sql.Identifier(new)
        statements = []
        rights = self.ask(RIGHTS, old)
        if rights:
            statements.append(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(into))
        for grantee, right, may_grant in rights:
            statement = f"GRANT {right} ON DATABASE {{}} TO {grantee}" + (
                " WITH GRANT OPTION" if may_grant else ""
            )
            statements.append(sql.SQL(statement).format(into))
        for role, setting in self.ask(SETTINGS, old):
            key, _, value = setting.partition("=")
            whose = f"ALTER ROLE {role} IN DATABASE {{}}" if role else "ALTER DATABASE {}"
            given = sql.SQL(value) if key in LISTS else sql.Literal(value)
            statements.append(
                sql.SQL(whose + " SET {} = {}").format(into, sql.Identifier(*key.split(".")), given)
            )
        ((owner,),) = self.ask("SELECT datdba::regrole::text FROM pg_database WHERE datname = %s", old)
        statements.append(sql.SQL(f"ALTER DATABASE {{}} OWNER TO {owner}").format(into))
        refused = []
        for one in statements:
            try:
                self._connection.execute(one)
            except psycopg.Error as error:
                refused.append(f"{one.as_string(self._connection)} ({str(error).splitlines()[0]})")
        return refused

    # -- statements ------------------------------------------------------------------------------------------

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a query and return its rows. Raises DaichoErrors."""
        try:
            return self._connection.execute(query.encode(), values).fetchall()
        except psycopg.Error as error:
            raise translated(error, self.place) from None

    def run(self, statement: str, *names: str) -> None:
        """Run a statement with names in it. Raises DaichoErrors."""
        self._execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    @property
    def connection(self) -> "psycopg.Connection[Any]":
        """The open connection; each statement is a transaction of its own."""
        return self._connection

    def _execute(self, statement: sql.Composed) -> None:
        try:
            self._connection.execute(statement)
        except psycopg.Error as error:
            raise translated(error, self.place) from None

    def _hold(self, name: str) -> bool:
        number = crc32(name.encode()) - 2**31
        return bool(self.ask("SELECT pg_try_advisory_lock(%s, %s)", LOCK, number)[0][0])

    def _drop(self, name: str) -> None:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        try:
            self._connection.execute(statement)
        except psycopg.Error:
            with (
                suppress(psycopg.Error, Unavailable),
                self._connect() as another,
            ):  # cut off by what came before
                another.execute(statement)

    def _connect(self) -> "psycopg.Connection[Any]":
        failure: psycopg.Error | None = None
        for name in self._names:
            url = self._url.set(database=name, drivername="postgresql")
            try:
                return psycopg.connect(
                    url.render_as_string(hide_password=False),
                    autocommit=True,
                    connect_timeout=CONNECT_SECONDS,
                )
            except psycopg.Error as error:
                failure = failure or error
        raise translated(failure or psycopg.OperationalError("no database"), self.place) from None
