"""The least that each role of a PostgreSQL database needs: who migrates, who records, who only reads.

Row-level security does not hold for the owner of the tables. So the application is to be another role:
then a tenant's transaction sees that tenant's rows, whatever a statement forgets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from daicho.core.dialect import EVERY_TENANT, TENANT_SETTING
from daicho.core.engine import Database
from daicho.core.errors import Invalid
from daicho.core.language import say
from daicho.core.model import Base
from daicho.core.retry import translated

KEPT_BY_TRIGGERS = frozenset(
    {"usage_totals", "usage_details", "usage_sources", "rollup_state", "chat_sessions"}
)
"""Only the database itself writes these. Dropping old rows moves ``rollup_state``: that is the owner's."""
REVISION = "alembic_version"
HIDDEN = {"api_keys": "hash"}
"""What only the application needs to see."""

ROLE_LIMITS = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"

READER_SETTINGS = {TENANT_SETTING: EVERY_TENANT, "default_transaction_read_only": "on"}

Statements = list[tuple[str | None, list[str]]]
"""Statements in groups, each with a remark."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The three roles' names. ``owner``: who owns the tables now, if None."""

    app: str
    read_only: str
    owner: str | None = None


def statements(database: Database, roles: Roles) -> Statements:
    """Return the statements that give each role what it needs and no more, for the database as it is.

    They may be run again and again; do so after each ``daicho db upgrade``, which may add tables.
    Raises Invalid on SQLite, for roles that are one and the same, and for ones that no rule would hold for.
    """
    _check(database, roles)
    try:
        with database.engine.connect() as connection:
            return _Here(connection, roles).statements()
    except Exception as error:
        raise translated(error, database.place) from None


def apply(database: Database, roles: Roles) -> None:
    """Run the statements, all or none. As ``statements``; needs a login that may create roles."""
    _check(database, roles)
    try:
        with database.engine.begin() as connection:
            for _, group in _Here(connection, roles).statements():
                for statement in group:
                    connection.exec_driver_sql(statement)
    except Exception as error:
        raise translated(error, database.place) from None


def script(groups: Statements) -> str:
    """Return statements as a script for psql."""
    lines = ["BEGIN;"]
    for remark, group in groups:
        if group:
            lines += ["", *([f"-- {remark}"] if remark else []), *[f"{one};" for one in group]]
    return "\n".join([*lines, "", "COMMIT;"])


def _check(database: Database, roles: Roles) -> None:
    if database.in_threads:
        raise Invalid(
            f"{database.place}: SQLite has no roles; who may read the file may read all of it",
            f"{database.place}: SQLite にロールはありません。ファイルを読めれば、すべて読めます",
        )
    names = [name for name in (roles.owner, roles.app, roles.read_only) if name is not None]
    for name in names:
        if not 0 < len(name.encode()) < 64 or not name.isprintable():
            raise Invalid(
                f"{name!r} cannot be a role's name: 1 to 63 bytes, no control characters",
                f"{name!r} はロール名にできません (1～63 バイト、制御文字なし)",
            )
    if len(set(names)) < len(names):
        raise Invalid(
            "owner, application and read-only must be different roles",
            "所有者、アプリ、読み取り専用には別々のロールが必要です",
        )


WITH_OWNERS_RIGHTS = "p.prosecdef"
OURS = f"{WITH_OWNERS_RIGHTS} OR starts_with(p.proname, 'daicho_')"
"""Which functions of triggers the migrations have made."""


class _Here:
    """A database as it is now."""

    def __init__(self, connection: Connection, roles: Roles) -> None:
        self._connection = connection
        self._quote = connection.dialect.identifier_preparer.quote_identifier
        self._schema, self._owner = self._place()
        self._roles = roles
        self._tables = self._present()
        self._check_limits()

    def statements(self) -> Statements:
        owner = self._roles.owner or self._owner
        app, reader, schema = (
            self._quote(name) for name in (self._roles.app, self._roles.read_only, self._schema)
        )
        database = self._quote(str(self._connection.exec_driver_sql("SELECT current_database()").scalar()))
        written = [name for name in self._tables if name not in KEPT_BY_TRIGGERS | {REVISION}]
        read = [name for name in self._tables if name not in written]
        functions = self._functions()
        return [
            (
                say(
                    "The roles. Nobody can log in without a password: set them with \\password in psql.",
                    "ロール。パスワードがないとログインできません。psql の \\password で設定してください。",
                ),
                self._missing(owner, self._roles.app, self._roles.read_only),
            ),
            (
                say(
                    f"{owner} migrates: what is there is its own.", f"{owner}: マイグレーションを行う所有者。"
                ),
                self._owning(owner, database, schema) if owner != self._owner else [],
            ),
            (
                say("Nobody else changes the schema.", "所有者以外はスキーマを変更できません。"),
                [
                    f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {app}, {reader}",
                    # Who may attach a trigger's function to a table of its own could write sums by it.
                    *[
                        f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC, {app}, {reader}"
                        for function in functions
                    ],
                    # And nobody's temporary table is to be taken for one of ours by what runs as the owner.
                    *[
                        f"ALTER FUNCTION {function} SET search_path = {schema}, pg_temp"
                        for function in functions
                    ],
                    f"REVOKE ALL ON {self._listed(self._tables)} FROM {app}, {reader}",
                ],
            ),
            (
                say(
                    f"{self._roles.app} records and reports; sums are kept by triggers and not its to write."
                    " Dropping old rows (daicho usage prune) is the owner's.",
                    f"{self._roles.app}: 記録と集計。合計はトリガーが管理し、直接は書けません。"
                    "古い行の削除 (daicho usage prune) は所有者が行います。",
                ),
                [
                    f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {app}",
                    f"GRANT USAGE ON SCHEMA {schema} TO {app}",
                    f"GRANT SELECT, INSERT, UPDATE, DELETE ON {self._listed(written)} TO {app}",
                    f"GRANT SELECT ON {self._listed(read)} TO {app}",
                    *[f"GRANT USAGE ON SEQUENCE {sequence} TO {app}" for sequence in self._sequences()],
                ],
            ),
            (
                say(
                    f"{self._roles.read_only} reads all tenants, but no key's hash.",
                    f"{self._roles.read_only}: 全テナントの読み取り専用 (キーのハッシュを除く)。",
                ),
                [
                    f"GRANT CONNECT ON DATABASE {database} TO {reader}",
                    f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
                    f"GRANT SELECT ON {self._listed([name for name in self._tables if name not in HIDDEN])}"
                    f" TO {reader}",
                    *[
                        f"GRANT SELECT ({', '.join(self._columns(name, but=hidden))})"
                        f" ON {self._listed([name])} TO {reader}"
                        for name, hidden in HIDDEN.items()
                        if name in self._tables
                    ],
                    # Only what is not so yet: the owner, who may not change roles, runs this again.
                    *[
                        f"ALTER ROLE {reader} IN DATABASE {database} SET {setting} = '{value}'"
                        for setting, value in READER_SETTINGS.items()
                        if f"{setting}={value}" not in self._settings(self._roles.read_only)
                    ],
                ],
            ),
        ]

    # -- what is there -----------------------------------------------------------------------------

    def _place(self) -> tuple[str, str]:
        """The schema that holds the tables, and who owns them."""
        found = self._connection.execute(
            text(
                "SELECT n.nspname, pg_get_userbyid(c.relowner) FROM pg_class c"
                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE c.oid = to_regclass(:name)"
            ),
            {"name": REVISION},
        ).first()
        if found is None:
            raise Invalid(
                "the database has no tables yet; run: daicho db upgrade",
                "データベースにまだ表がありません。次を実行してください: daicho db upgrade",
            )
        return found[0], found[1]

    def _present(self) -> list[str]:
        known = {REVISION, *Base.metadata.tables}
        there = self._connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = :schema ORDER BY 1"),
            {"schema": self._schema},
        )
        return [name for name in there.scalars() if name in known]

    def _settings(self, role: str) -> Sequence[str]:
        """What a role's connections to this database begin with, as ``name=value``."""
        return (
            self._connection.execute(
                text(
                    "SELECT unnest(s.setconfig) FROM pg_db_role_setting s"
                    " JOIN pg_roles r ON r.oid = s.setrole JOIN pg_database d ON d.oid = s.setdatabase"
                    " WHERE r.rolname = :role AND d.datname = current_database()"
                ),
                {"role": role},
            )
            .scalars()
            .all()
        )

    def _sequences(self) -> list[str]:
        return self._of_tables(
            "SELECT CAST(CAST(s.oid AS regclass) AS text) FROM pg_class s JOIN pg_depend d ON d.objid = s.oid"
            " WHERE s.relkind = 'S' AND d.deptype = 'a' AND d.refobjid"
        )

    def _functions(self, which: str = WITH_OWNERS_RIGHTS) -> list[str]:
        """The functions of the tables' triggers for which a condition holds."""
        return self._of_tables(
            "SELECT DISTINCT CAST(CAST(p.oid AS regprocedure) AS text)"
            " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            f" WHERE ({which}) AND NOT t.tgisinternal AND t.tgrelid"
        )

    def _of_tables(self, query: str) -> list[str]:
        mine = "CAST(CAST(:tables AS text[]) AS regclass[])"
        names = [self._listed([name]) for name in self._tables]
        return sorted(self._connection.execute(text(f"{query} = ANY ({mine})"), {"tables": names}).scalars())

    def _columns(self, table: str, *, but: str) -> Sequence[str]:
        return [
            self._quote(name)
            for name in self._connection.execute(
                text(
                    "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:name)"
                    " AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
                ),
                {"name": self._listed([table])},
            ).scalars()
            if name != but
        ]

    # -- parts of the statements -------------------------------------------------------------------

    def _listed(self, tables: Sequence[str]) -> str:
        return ", ".join(f"{self._quote(self._schema)}.{self._quote(name)}" for name in tables)

    def _missing(self, *roles: str) -> list[str]:
        there = set(self._connection.exec_driver_sql("SELECT rolname FROM pg_roles").scalars())
        return [f"CREATE ROLE {self._quote(role)} {ROLE_LIMITS}" for role in roles if role not in there]

    def _owning(self, owner: str, database: str, schema: str) -> list[str]:
        role = self._quote(owner)
        return [
            f"GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database} TO {role}",
            f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}",
            *[f"ALTER TABLE {self._listed([name])} OWNER TO {role}" for name in self._tables],
            *[f"ALTER FUNCTION {function} OWNER TO {role}" for function in self._functions(OURS)],
        ]

    def _check_limits(self) -> None:
        """Row-level security is nothing to superusers, to who may bypass it, and to the owner's members."""
        free = self._connection.execute(
            text(
                "SELECT a.rolname FROM pg_roles a LEFT JOIN pg_roles o ON o.rolname = :owner"
                " WHERE a.rolname = :app AND"
                " (a.rolsuper OR a.rolbypassrls OR a.oid = o.oid OR pg_has_role(a.oid, o.oid, 'MEMBER'))"
            ),
            {"app": self._roles.app, "owner": self._roles.owner or self._owner},
        ).scalar()
        if free is not None:
            raise Invalid(
                f"row-level security would not hold for {free}: it is the owner, a member of its role,"
                " a superuser, or has BYPASSRLS; name another with --app",
                f"{free} には行レベルセキュリティが効きません (所有者かそのメンバー、スーパーユーザー、または"
                " BYPASSRLS)。--app で別のロールを指定してください",
            )
