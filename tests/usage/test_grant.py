"""``daicho db grant``: each role can do its work and nothing else, and rows keep to their tenant by themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from daicho import AsyncLedger, Invalid, Ledger, NotFound, Settings, Unavailable, migrations
from daicho.core.model import Base
from daicho.core.types import now
from daicho.ledger import TenantLedger, open_database
from daicho.migrations import grants
from daicho.migrations.grants import Roles
from tests.cli.terminal import daicho, one_line
from tests.faces import Faces, both_faces

PASSWORD = "for-the-tests-only"


@dataclass
class Granted:
    """A database whose roles have what they need."""

    url: str
    roles: Roles

    @property
    def app(self) -> str:
        return as_role(self.url, self.roles.app)

    @property
    def read_only(self) -> str:
        return as_role(self.url, self.roles.read_only)


def as_role(url: str, role: str) -> str:
    return make_url(url).set(username=role, password=PASSWORD).render_as_string(hide_password=False)


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def new_roles(postgres_url: str) -> Iterator[Roles]:
    """Names of roles of the test's own, which it may make."""
    mark = uuid4().hex[:8]
    roles = Roles(f"daicho_app_{mark}", f"daicho_readonly_{mark}", f"daicho_owner_{mark}")
    yield roles
    for role in (roles.app, roles.read_only, roles.owner):
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(f'REASSIGN OWNED BY "{role}" TO CURRENT_USER')
                connection.execute(f'DROP OWNED BY "{role}"')
                connection.execute(f'DROP ROLE "{role}"')


def grant(url: str, roles: Roles) -> None:
    database = open_database(url, Settings())
    grants.apply(database, roles)
    database.close()
    for role in (roles.app, roles.read_only, roles.owner):
        if role is not None:
            run(url, f"ALTER ROLE \"{role}\" PASSWORD '{PASSWORD}'")


@pytest.fixture
def granted(postgres_url: str, new_roles: Roles) -> Granted:
    """A database with an application's and a reader's role; the tables are the superuser's."""
    roles = Roles(new_roles.app, new_roles.read_only)
    grant(postgres_url, roles)
    return Granted(postgres_url, roles)


@pytest.fixture(params=["sync", "async"])
def as_app(request: pytest.FixtureRequest, granted: Granted) -> Iterator[Faces]:
    """The ledger on each face, logged in as the application."""
    with both_faces(granted.app, asynchronous=request.param == "async") as face:
        yield face


# -- the application's role --------------------------------------------------------------------------


def test_the_whole_application_works_as_its_own_role(as_app: Faces) -> None:
    usage = as_app.usage
    acme, other = usage.create_tenant("Acme"), usage.create_tenant("Other")
    user = usage.create_user(acme.id, "華扇")
    usage.set_price(model="m", input_price=1.0, output_price=2.0)
    one = usage.record(
        tenant_id=acme.id, operation="o", model="m", input_tokens=3, user_id=user.id, source="call:1"
    )
    own = Faces(as_app.ledger.for_tenant(acme.id), as_app._finish).usage
    own.record(operation="o", model="m", input_tokens=4, id=one.id)
    own.record(operation="o", model="m", input_tokens=4)
    many = [{"operation": "o", "model": "m", "input_tokens": 1, "id": str(uuid4())} for _ in range(50)]
    assert (own.record_many(many).accepted, own.record_many(many).duplicates) == (50, 50)
    assert usage.cost_of("call:1").total_input_tokens == 3
    assert not any(table.differ for table in usage.verify())
    assert not any(table.differ for table in own.verify())
    new = usage.create_key(acme.id, "read")
    usage.note_key_used(new.stored.id)
    assert usage.key_for(new.key).last_used_at is not None
    usage.revoke_key(new.stored.id)
    usage.delete_user(user.id)
    usage.delete(one.id)
    assert usage.delete_tenant(acme.id)["records"] == 51
    assert [tenant.id for tenant in usage.list_tenants()] == [other.id]
    assert not any(table.differ for table in usage.verify())
    as_app.calls.start("call-1", "client")
    as_app.calls.append_log("call-1", "user", "こんにちは", state="s")
    assert len(as_app.calls.transcript("call-1")) == 1
    as_app.members.save_or_update_human_member({"name": "華扇"})
    task = as_app.tasks.create(
        {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "1"}
    )
    as_app.tasks.delete(task.uuid)


def test_watchers_are_woken_as_the_applications_role(granted: Granted) -> None:
    async def heard() -> frozenset[str]:
        async with AsyncLedger(granted.app) as watching, AsyncLedger(granted.app) as writing:
            await watching.usage.list_tenants()
            reading = asyncio.ensure_future(first_named(watching.changes()))
            while not reading.done():
                await writing.usage.create_tenant("Acme")
                await asyncio.wait({reading}, timeout=0.3)
            return reading.result()

    async def first_named(changes: AsyncIterator[frozenset[str]]) -> frozenset[str]:
        async for rooms in changes:  # whoever begins to listen is woken for all that was before
            if rooms != {"*"}:
                return rooms
        raise AssertionError("the changes came to an end")

    assert "usage" in asyncio.run(asyncio.wait_for(heard(), 20))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x int)",
        "ALTER TABLE calls ADD x int",
        "DROP TABLE leads",
        "TRUNCATE ai_usage_logs",
        "UPDATE usage_totals SET calls = 0",
        "DELETE FROM usage_details",
        "INSERT INTO usage_sources (source) VALUES ('x')",
        "UPDATE rollup_state SET raw_from = now()",
        "UPDATE alembic_version SET version_num = 'x'",
        "ALTER TABLE ai_usage_logs DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE ai_usage_logs DISABLE TRIGGER ALL",
        "DROP POLICY ai_usage_logs_of_tenant ON ai_usage_logs",
        "SET session_replication_role = replica",
        "CREATE ROLE mine",
    ],
)
def test_the_applications_role_cannot(granted: Granted, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(granted.app, statement)


def test_no_trigger_function_can_be_borrowed_to_write_sums(granted: Granted) -> None:
    functions = "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    with psycopg.connect(granted.url) as connection:
        names = [str(name) for (name,) in connection.execute(functions).fetchall()]
    assert "ai_usage_logs_sums_truncate" in names
    for name in names:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(
                granted.app,
                "CREATE TEMPORARY TABLE borrowed (LIKE ai_usage_logs)",
                f"CREATE TRIGGER t AFTER TRUNCATE ON borrowed EXECUTE FUNCTION {name}()",
            )


def test_a_temporary_table_is_not_taken_for_the_sums(granted: Granted) -> None:
    with Ledger(granted.app) as ledger:
        tenant = ledger.usage.create_tenant("Acme")

        def shadowed(session: Session) -> None:
            for table in ("usage_totals", "usage_details", "usage_sources", "rollup_state"):
                session.execute(text(f"CREATE TEMPORARY TABLE {table} (LIKE public.{table} INCLUDING ALL)"))
            session.execute(
                text(
                    "INSERT INTO ai_usage_logs (id, tenant_id, operation, model, input_tokens, output_tokens,"
                    " total_tokens) VALUES (gen_random_uuid(), :tenant, 'o', 'm', 1, 1, 2)"
                ),
                {"tenant": tenant.id},
            )

        ledger.usage.runner.call("usage", shadowed, writes=True, idempotent=False)
    with Ledger(granted.url) as ledger:
        assert dict(ledger.usage.tenant_contents(tenant.id))["records"] == 1
        assert not any(table.differ for table in ledger.usage.verify())


def test_what_only_the_owner_may_do_is_refused_in_one_line(granted: Granted) -> None:
    with Ledger(granted.app) as ledger, pytest.raises(Unavailable, match="as the tables' owner"):
        ledger.usage.prune(now().replace(hour=0, minute=0, second=0, microsecond=0))
    done = daicho("db", "downgrade", "-1", url=granted.app)
    assert done.returncode == 1
    assert "as the tables' owner" in done.stderr.splitlines()[-1]
    assert daicho("db", "current", url=granted.app).stdout == f"{migrations.HEAD} (head)\n"
    run(granted.url, f'ALTER ROLE "{granted.roles.app}" CREATEROLE')
    done = daicho("db", "grant", "--apply", "--app", f"{granted.roles.app}_2", url=granted.app)
    assert done.returncode == 1
    assert PASSWORD not in done.stderr


# -- rows keep to their tenant -----------------------------------------------------------------------


@pytest.fixture
def two(granted: Granted) -> dict[str, str]:
    """Two tenants with everything a tenant can have."""
    made = {}
    with Ledger(granted.url) as ledger:
        for name in ("a", "b"):
            tenant = ledger.usage.create_tenant(name).id
            user = ledger.usage.create_user(tenant)
            ledger.usage.create_assessment(tenant)
            ledger.usage.create_lead(tenant)
            ledger.usage.create_key(tenant, "read")
            ledger.usage.set_price(tenant_id=tenant, discount=0.5)
            ledger.usage.record(tenant_id=tenant, operation="o", model="m", user_id=user.id, source="call:1")
            made[name] = tenant
    return made


def own_tables() -> list[str]:
    """Every table whose rows are tenants' own."""
    return [name for name, table in Base.metadata.tables.items() if "tenant_id" in table.c] + ["tenants"]


def within(ledger: TenantLedger, work: Callable[[Session], Any]) -> Any:
    return ledger.usage.runner.call("usage", work, writes=True, idempotent=False)


@pytest.mark.parametrize("table", own_tables())
def test_a_statement_that_forgets_its_filter_keeps_to_the_tenant(
    granted: Granted, two: dict[str, str], table: str
) -> None:
    column = "id" if table == "tenants" else "tenant_id"
    rows = f"SELECT count(*) FROM {table} WHERE {column} = '{two['a']}'"
    writable = table not in grants.KEPT_BY_TRIGGERS
    with Ledger(granted.url) as everything, Ledger(granted.app) as ledger:

        def count() -> int:
            return int(
                everything.usage.runner.call(
                    "usage", lambda s: s.scalar(text(rows)), writes=False, idempotent=True
                )
            )

        before = count()
        assert before > 0
        own = ledger.for_tenant(two["b"])
        seen = within(own, lambda s: s.execute(text(f"SELECT {column}::text FROM {table}")).scalars().all())
        assert set(seen) == {two["b"]}
        if writable:
            touched = within(
                own, lambda s: s.execute(text(f"UPDATE {table} SET {column} = {column}")).rowcount
            )
            assert touched == len(seen)
            with pytest.raises(Unavailable, match="row-level security"):
                within(own, lambda s: s.execute(text(f"UPDATE {table} SET {column} = '{two['a']}'")))
            within(own, lambda s: s.execute(text(f"DELETE FROM {table}")))
            assert within(own, lambda s: s.scalar(text(f"SELECT count(*) FROM {table}"))) == 0
        assert count() == before


def test_a_row_of_another_tenant_cannot_be_written(granted: Granted, two: dict[str, str]) -> None:
    inserts = {
        "tenants": "(id, name) VALUES (gen_random_uuid(), 'x')",
        "users": "(id, tenant_id) VALUES (gen_random_uuid(), :a)",
        "assessments": "(id, tenant_id) VALUES (gen_random_uuid(), :a)",
        "leads": "(id, tenant_id) VALUES (gen_random_uuid(), :a)",
        "ai_usage_logs": "(id, tenant_id, operation, model, input_tokens, output_tokens, total_tokens)"
        " VALUES (gen_random_uuid(), :a, 'o', 'm', 1, 1, 2)",
        "api_keys": "(id, tenant_id, scope, hash, hint, created_at)"
        " VALUES (gen_random_uuid(), :a, 'admin', 'x', 'x', now())",
        "usage_prices": "(id, tenant_id, starts_at, created_at) VALUES (gen_random_uuid(), :a, now(), now())",
    }
    assert set(inserts) == set(own_tables()) - grants.KEPT_BY_TRIGGERS
    with Ledger(granted.app) as ledger:
        own = ledger.for_tenant(two["b"])
        for table, values in inserts.items():
            with pytest.raises(Unavailable, match="row-level security"):
                within(
                    own, lambda s, t=table, v=values: s.execute(text(f"INSERT INTO {t} {v}"), {"a": two["a"]})
                )
        everybodys = text(
            inserts["usage_prices"].replace(":a", "NULL").join(["INSERT INTO usage_prices ", ""])
        )
        with pytest.raises(Unavailable, match="row-level security"):
            within(own, lambda s: s.execute(everybodys))


def test_shared_commits_held_transactions_and_tasks_keep_to_the_tenant_too(
    granted: Granted, two: dict[str, str]
) -> None:
    whose = text("SELECT DISTINCT tenant_id::text FROM ai_usage_logs")

    def write(connection: Any, items: Any) -> list[Any]:
        return [connection.execute(whose).scalars().all() for _ in items]

    def look(session: Session) -> Any:
        return session.execute(whose).scalars().all()

    with Ledger(granted.app) as ledger:
        own = ledger.for_tenant(two["b"])
        assert own.usage.runner.append("usage", write, lambda: None) == [two["b"]]
        with own.begin() as tx:
            assert tx.usage.runner.call("usage", look, writes=True, idempotent=False) == [two["b"]]
        # The connection is everybody's again: the setting ended with its transaction.
        assert set(ledger.usage.runner.call("usage", look, writes=False, idempotent=True)) == set(
            two.values()
        )

    async def tasks() -> None:
        async with AsyncLedger(granted.app) as ledger:
            own = ledger.for_tenant(two["b"])
            runner = own.usage.runner
            assert await runner.call("usage", look, writes=False, idempotent=True) == [two["b"]]
            assert await runner.append("usage", write, lambda: None) == [two["b"]]
            async with own.begin() as tx:
                held = tx.usage.runner
                assert await held.call("usage", look, writes=True, idempotent=False) == [two["b"]]
            found = await ledger.usage.runner.call("usage", look, writes=False, idempotent=True)
            assert set(found) == set(two.values())

    asyncio.run(tasks())


def test_a_connection_that_says_nothing_sees_no_tenant(granted: Granted, two: dict[str, str]) -> None:
    with psycopg.connect(granted.app) as connection:
        for table in own_tables():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert len(two) == 2


def test_every_new_connection_says_what_it_sees(as_app: Faces, granted: Granted) -> None:
    tenant = as_app.usage.create_tenant("Acme")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
    for _ in range(3):
        with psycopg.connect(granted.url, autocommit=True) as connection:
            connection.execute(kill, [granted.roles.app])
        assert as_app.usage.get_tenant(tenant.id).name == "Acme"


# -- the other roles ---------------------------------------------------------------------------------


def test_the_reader_reads_every_tenant_and_writes_nothing(granted: Granted, two: dict[str, str]) -> None:
    with psycopg.connect(granted.read_only) as connection:
        assert connection.execute("SELECT count(*) FROM tenants").fetchone() == (2,)
        assert connection.execute("SELECT count(hint) FROM api_keys").fetchone() == (2,)
    for statement in ("SELECT hash FROM api_keys", "UPDATE users SET name = 'x'", "DELETE FROM calls"):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
            run(granted.read_only, statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(granted.read_only, "SET default_transaction_read_only = off", "DELETE FROM calls")
    with Ledger(granted.read_only) as ledger:
        assert {one.id for one in ledger.usage.list_tenants()} == set(two.values())
        with pytest.raises(Unavailable):
            ledger.usage.create_tenant("x")


def test_tables_can_be_given_to_an_owner_who_migrates(postgres_url: str, new_roles: Roles) -> None:
    with Ledger(postgres_url) as ledger:
        tenant = ledger.usage.create_tenant("Acme")
    grant(postgres_url, new_roles)
    owner, app = (as_role(postgres_url, str(role)) for role in (new_roles.owner, new_roles.app))
    with Ledger(app) as ledger:
        ledger.usage.record(tenant_id=tenant.id, operation="o", model="m")
        with pytest.raises(NotFound):
            ledger.for_tenant(str(uuid4())).usage.get_tenant(tenant.id)
    done = daicho("db", "downgrade", "20261121_07", url=owner)
    assert done.returncode == 0, done.stderr
    refused = daicho("db", "upgrade", url=app)
    assert refused.returncode == 1
    assert "as the tables' owner" in refused.stderr.splitlines()[-1]
    assert daicho("db", "upgrade", url=owner).returncode == 0
    with Ledger(app) as ledger, pytest.raises(Unavailable, match="daicho db grant"):
        ledger.usage.list_keys()
    names = ["--app", new_roles.app, "--read-only", new_roles.read_only]
    assert daicho("db", "grant", "--apply", *names, url=owner).returncode == 0
    with Ledger(app) as ledger:
        assert len(ledger.usage.list_keys()) == 0


# -- the command -------------------------------------------------------------------------------------

RIGHTS = """
SELECT r.rolname, c.relname, p, has_table_privilege(r.oid, c.oid, p)
FROM pg_class c, unnest(%s::text[]) name JOIN pg_roles r ON r.rolname = name,
    unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER,REFERENCES}'::text[]) p
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1, 2, 3
"""


def test_what_is_printed_does_what_is_applied(
    new_postgres: Callable[..., str], postgres_url: str, new_roles: Roles
) -> None:
    names = ["--app", new_roles.app, "--read-only", new_roles.read_only]
    printed = daicho("db", "grant", *names, url=postgres_url)
    assert printed.returncode == 0, printed.stderr
    assert "PASSWORD" not in printed.stdout
    run(postgres_url, printed.stdout)
    applied = new_postgres()
    for _ in range(2):
        done = daicho("db", "grant", "--apply", *names, url=applied)
        assert (done.returncode, done.stdout) == (0, "")
    rights = []
    for url in (postgres_url, applied):
        with psycopg.connect(url) as connection:
            rights.append(connection.execute(RIGHTS, [[new_roles.app, new_roles.read_only]]).fetchall())
    assert rights[0] == rights[1]
    assert {table for _, table, _, _ in rights[0]} >= set(Base.metadata.tables)
    run(applied, f'DROP OWNED BY "{new_roles.app}", "{new_roles.read_only}"')


def test_every_table_is_somebodys(granted: Granted) -> None:
    with psycopg.connect(granted.url) as connection:
        rows = connection.execute(RIGHTS, [[granted.roles.app, granted.roles.read_only]]).fetchall()
    held = {(role, table, right) for role, table, right, has in rows if has}
    app, reader = granted.roles.app, granted.roles.read_only
    for table in Base.metadata.tables:
        writes = {"INSERT", "UPDATE", "DELETE"} if table not in grants.KEPT_BY_TRIGGERS else set()
        assert {right for role, name, right in held if (role, name) == (app, table)} == {"SELECT", *writes}
        reads = set() if table in grants.HIDDEN else {"SELECT"}
        assert {right for role, name, right in held if (role, name) == (reader, table)} == reads


def test_roles_that_no_rule_would_hold_for_are_refused(postgres_url: str, new_roles: Roles) -> None:
    superuser = str(make_url(postgres_url).username)
    said = one_line(daicho("db", "grant", "--app", superuser, url=postgres_url).stderr)
    assert f"row-level security would not hold for {superuser}" in said
    said = one_line(daicho("db", "grant", "--app", "one", "--read-only", "one", url=postgres_url).stderr)
    assert "must be different roles" in said
    run(postgres_url, f'CREATE ROLE "{new_roles.app}" BYPASSRLS')
    database = open_database(postgres_url, Settings())
    with pytest.raises(Invalid, match="BYPASSRLS"):
        grants.statements(database, new_roles)
    database.close()


def test_sqlite_has_no_roles(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.usage.list_tenants()
    for options in ((), ("--apply",)):
        assert "SQLite has no roles" in one_line(daicho("db", "grant", *options, url=sqlite_url).stderr)


def test_a_database_without_tables_is_to_be_migrated_first(new_postgres: Callable[..., str]) -> None:
    said = one_line(daicho("db", "grant", url=new_postgres(migrated=False)).stderr)
    assert said == "the database has no tables yet; run: daicho db upgrade"
