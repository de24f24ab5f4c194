"""A database that DiagnoLeads itself has made is brought up to date in place, with all its rows."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import make_url, text

from daicho import Ledger, Outdated, migrations
from daicho.ledger import open_database
from tests.migrations.test_migrations import differences

ROWS = text("SELECT id, tenant_id, input_tokens FROM ai_usage_logs")
TENANT, USER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
DIAGNOLEADS = f"""
CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b2c3d4e5f6g7');
CREATE TABLE tenants (id UUID PRIMARY KEY, name VARCHAR(255) NOT NULL, slug VARCHAR(255) UNIQUE, plan VARCHAR(50),
    created_at TIMESTAMP DEFAULT now());
CREATE TABLE users (id UUID PRIMARY KEY, tenant_id UUID NOT NULL REFERENCES tenants(id) ON DELETE CASCADE,
    email VARCHAR(255) NOT NULL);
CREATE TABLE assessments (id UUID PRIMARY KEY, tenant_id UUID NOT NULL REFERENCES tenants(id), title TEXT);
CREATE TABLE leads (id UUID PRIMARY KEY, tenant_id UUID NOT NULL REFERENCES tenants(id), name VARCHAR(255));
CREATE TABLE ai_usage_logs (
    id UUID NOT NULL, tenant_id UUID NOT NULL, user_id UUID, operation VARCHAR(100) NOT NULL,
    model VARCHAR(100) NOT NULL, input_tokens INTEGER, output_tokens INTEGER, total_tokens INTEGER, cost_usd FLOAT,
    assessment_id UUID, lead_id UUID, duration_ms INTEGER, success VARCHAR(20), created_at TIMESTAMP,
    CONSTRAINT their_own_name PRIMARY KEY (id),
    FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE,
    FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE SET NULL,
    FOREIGN KEY (assessment_id) REFERENCES assessments(id) ON DELETE SET NULL,
    FOREIGN KEY (lead_id) REFERENCES leads(id) ON DELETE SET NULL);
CREATE INDEX idx_ai_usage_logs_tenant_id ON ai_usage_logs (tenant_id);
CREATE INDEX idx_ai_usage_logs_operation ON ai_usage_logs (operation);
CREATE INDEX idx_ai_usage_logs_created_at ON ai_usage_logs (created_at);
CREATE INDEX idx_ai_usage_logs_tenant_created ON ai_usage_logs (tenant_id, created_at);
INSERT INTO tenants (id, name, slug) VALUES ('{TENANT}', 'いろは商店', 'iroha');
INSERT INTO users VALUES ('{USER}', '{TENANT}', 'hanako@example.com');
INSERT INTO ai_usage_logs VALUES (gen_random_uuid(), '{TENANT}', '{USER}', 'generate_assessment',
    'claude-3-5-sonnet-20241022', 1000, 2000, 3000, 0.033, NULL, NULL, 1200, 'success', '2025-11-18 09:30:00');
INSERT INTO ai_usage_logs VALUES (gen_random_uuid(), '{TENANT}', NULL, 'analyze_lead_insights',
    'claude-3-5-sonnet-20241022', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""


@pytest.fixture
def former(new_postgres: Callable[..., str]) -> str:
    url = new_postgres(migrated=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(DIAGNOLEADS)
    return url


def upgrade(url: str) -> None:
    database = open_database(url)
    migrations.run(database, "upgrade", "head")
    database.close()


def test_rows_stay_and_are_in_the_sums(former: str) -> None:
    with Ledger(former) as ledger, pytest.raises(Outdated, match="run: daicho db upgrade"):
        ledger.usage.list()
    upgrade(former)
    with Ledger(former) as ledger:
        new, old = ledger.usage.list()
        assert (old.user_id, old.cost_usd, old.created_at) == (
            USER,
            0.033,
            datetime(2025, 11, 18, 9, 30, tzinfo=UTC),
        )
        assert (new.operation, new.total_tokens, new.success) == ("analyze_lead_insights", 0, "success")
        assert [one.differ for one in ledger.usage.verify()] == [0, 0, 0]
        assert ledger.usage.get_tenant(TENANT).name == "いろは商店"
        assert ledger.usage.record(tenant_id=TENANT, operation="o", model="m", user_id=USER).user_id == USER
        assert len(ledger.calls.list()) == 0  # the other rooms are there too
        assert len(ledger.members.list_humans()) == 0


def test_afterwards_it_has_the_shape_of_a_new_one(former: str) -> None:
    upgrade(former)
    theirs = {"slug", "plan", "email", "title"}
    left = [one for one in differences(former) if not (one[0] == "remove_column" and one[3].name in theirs)]
    kinds = {str(one[0]) if not isinstance(one, list) else str(one[0][0]) for one in left}
    # Their own references, indexes and NOT NULL stay as they are; nothing of ours is missing.
    assert not kinds & {"add_table", "add_column", "remove_table", "remove_column"}, left


def test_it_goes_down_to_where_it_was(former: str) -> None:
    upgrade(former)
    database = open_database(former)
    migrations.run(database, "downgrade", "b2c3d4e5f6g7")
    with psycopg.connect(former) as connection:
        assert connection.execute("SELECT count(*), sum(total_tokens) FROM ai_usage_logs").fetchone() == (
            2,
            3000,
        )
        assert connection.execute("SELECT slug FROM tenants").fetchone() == ("iroha",)
    migrations.run(database, "upgrade", "head")
    database.close()
    with Ledger(former) as ledger:
        assert [one.differ for one in ledger.usage.verify()] == [0, 0, 0]


def test_one_that_has_tenants_but_no_usage_yet_is_upgraded_too(new_postgres: Callable[..., str]) -> None:
    url = new_postgres(migrated=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(DIAGNOLEADS)
        connection.execute(
            "DROP TABLE ai_usage_logs; UPDATE alembic_version SET version_num = 'a1b2c3d4e5f6'"
        )
    upgrade(url)
    with Ledger(url) as ledger:
        assert ledger.usage.record(tenant_id=TENANT, operation="o", model="m").total_tokens == 0


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        pytest.param("UPDATE ai_usage_logs SET cost_usd = 'NaN'", "cost_usd = NaN", id="nan"),
        pytest.param("UPDATE ai_usage_logs SET cost_usd = 5e9", r"cannot be kept \(2\): id", id="huge"),
        pytest.param("UPDATE ai_usage_logs SET created_at = 'infinity'", "created_at = infinity", id="never"),
        pytest.param("UPDATE ai_usage_logs SET created_at = '1969-12-31'", "1969-12-31", id="early"),
        pytest.param("CREATE VIEW v AS SELECT date(created_at) FROM ai_usage_logs", "view v", id="view"),
        pytest.param("CREATE TABLE notes (log UUID REFERENCES ai_usage_logs)", "notes", id="referenced"),
        pytest.param("ALTER TABLE ai_usage_logs ADD provider TEXT", "named provider", id="own-column"),
        pytest.param("CREATE TABLE api_keys (id INT)", "table api_keys already", id="own-keys"),
        pytest.param("CREATE TABLE usage_totals (id INT)", "table usage_totals already", id="own-sums"),
        pytest.param(
            "CREATE TABLE call_logs (id INT)", "call_logs, but not calls, member_files", id="own-calls"
        ),
    ],
)
def test_what_cannot_be_taken_over_is_named_and_nothing_changes(former: str, sql: str, message: str) -> None:
    with psycopg.connect(former, autocommit=True) as connection:
        connection.execute(sql)
    with pytest.raises(Outdated, match=message):
        upgrade(former)
    with psycopg.connect(former) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("b2c3d4e5f6g7",)
        assert connection.execute("SELECT to_regclass('calls')").fetchone() == (None,)


def test_columns_that_daicho_does_not_fill_may_be_null(former: str) -> None:
    with psycopg.connect(former, autocommit=True) as connection:
        connection.execute("ALTER TABLE ai_usage_logs ADD request_id TEXT NOT NULL DEFAULT 'r'")
        connection.execute("ALTER TABLE ai_usage_logs ALTER request_id DROP DEFAULT")
        connection.execute("UPDATE ai_usage_logs SET cost_usd = 0, duration_ms = 0")
        for name in ("cost_usd", "duration_ms"):
            connection.execute(f"ALTER TABLE ai_usage_logs ALTER {name} SET NOT NULL")
    upgrade(former)
    with Ledger(former) as ledger:
        assert ledger.usage.record(tenant_id=TENANT, operation="o", model="unknown").cost_usd is None


# -- SQLite ------------------------------------------------------------------------------------------

HEX = TENANT.replace("-", "")
LOG = "33333333333343338333333333333333"
FORMER_SQLITE = f"""
CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b2c3d4e5f6g7');
CREATE TABLE tenants (id CHAR(32) PRIMARY KEY, name VARCHAR(255) NOT NULL, slug TEXT, created_at DATETIME);
CREATE TABLE users (id CHAR(32) PRIMARY KEY,
    tenant_id CHAR(32) NOT NULL REFERENCES tenants(id) ON DELETE CASCADE, email TEXT);
CREATE TABLE assessments (id CHAR(32) PRIMARY KEY, tenant_id CHAR(32));
CREATE TABLE leads (id CHAR(32) PRIMARY KEY, tenant_id CHAR(32));
CREATE TABLE invoices (number INTEGER PRIMARY KEY, tenant CHAR(32) REFERENCES tenants(id));
CREATE TABLE ai_usage_logs (id CHAR(32) PRIMARY KEY,
    tenant_id CHAR(32) NOT NULL REFERENCES tenants(id) ON DELETE CASCADE,
    user_id CHAR(32) REFERENCES users(id) ON DELETE SET NULL, operation VARCHAR(100) NOT NULL,
    model VARCHAR(100) NOT NULL, input_tokens INTEGER, output_tokens INTEGER, total_tokens INTEGER,
    cost_usd FLOAT, assessment_id CHAR(32), lead_id CHAR(32), duration_ms INTEGER, success VARCHAR(20),
    created_at DATETIME, request_id TEXT);
CREATE INDEX theirs ON ai_usage_logs (request_id);
INSERT INTO tenants VALUES ('{HEX}', 'いろは商店', 'iroha', '2025-01-01');
INSERT INTO users VALUES ('{USER.replace("-", "").upper()}', '{HEX}', 'hanako@example.com');
INSERT INTO invoices VALUES (1, '{HEX}');
INSERT INTO ai_usage_logs VALUES ('{LOG}', '{HEX}', '{USER.replace("-", "").upper()}', 'o', 'm', NULL, 2, 3, 0.1,
    NULL, NULL, 5, NULL, '2025-11-18 09:30:00', 'REQ-1');
"""


@pytest.fixture
def former_sqlite(unmade_url: str) -> str:
    with closing(sqlite3.connect(str(make_url(unmade_url).database))) as connection:
        connection.executescript(FORMER_SQLITE)
    return unmade_url


def shell(url: str, *statements: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(str(make_url(url).database), isolation_level=None)) as connection:
        return [row for one in statements for row in connection.execute(one).fetchall()]


@pytest.mark.parametrize(
    ("at", "meant"),
    [
        ("2025-11-18 09:30:00", datetime(2025, 11, 18, 9, 30, tzinfo=UTC)),
        ("2025-11-18T09:30:00.123Z", datetime(2025, 11, 18, 9, 30, 0, 123_000, tzinfo=UTC)),
        ("2025-11-18 09:30:00+09:00", datetime(2025, 11, 18, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_file_is_taken_over_with_all_that_it_has(former_sqlite: str, at: str, meant: datetime) -> None:
    shell(former_sqlite, f"UPDATE ai_usage_logs SET created_at = '{at}'")
    upgrade(former_sqlite)
    with Ledger(former_sqlite) as ledger:
        (log,) = ledger.for_tenant(TENANT).usage.list()
        assert (log.created_at, log.input_tokens, log.success) == (meant, 0, "success")
        assert (log.id.replace("-", ""), log.user_id, log.provider) == (LOG, USER, None)
        assert ledger.usage.get_tenant(TENANT).name == "いろは商店"
        assert [one.differ for one in ledger.usage.verify()] == [0, 0, 0]
        ledger.usage.record(tenant_id=TENANT, operation="o", model="m", user_id=USER)
    assert shell(former_sqlite, "SELECT request_id FROM ai_usage_logs ORDER BY created_at") == [
        ("REQ-1",),
        (None,),
    ]
    assert shell(former_sqlite, "SELECT tenant FROM invoices") == [(TENANT,)]
    assert shell(former_sqlite, "SELECT count(*) FROM sqlite_master WHERE name = 'theirs'") == [(1,)]
    database = open_database(former_sqlite)
    migrations.run(database, "downgrade", "b2c3d4e5f6g7")
    migrations.run(database, "upgrade", "head")
    database.close()
    assert shell(former_sqlite, "SELECT max(request_id), count(*) FROM ai_usage_logs") == [("REQ-1", 2)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE ai_usage_logs SET created_at = 'yesterday'", f"id {LOG}: created_at = yesterday"),
        ("UPDATE ai_usage_logs SET created_at = '1969-01-01 00:00:00'", f"id {LOG}: created_at = 1969"),
        ("UPDATE ai_usage_logs SET cost_usd = 'abc'", "cost_usd = abc"),
        ("UPDATE ai_usage_logs SET cost_usd = 9e999", "cost_usd = Inf"),
        ("UPDATE ai_usage_logs SET id = 'one'", "id one"),
        ("CREATE TABLE notes (log TEXT REFERENCES ai_usage_logs)", "notes references it"),
        ("INSERT INTO users VALUES ('44444444444444448444444444444444', 'gone', NULL)", "gone"),
    ],
)
def test_a_file_with_what_cannot_be_taken_over_stays_as_it_is(
    former_sqlite: str, sql: str, message: str
) -> None:
    shell(former_sqlite, sql)
    with pytest.raises(Outdated, match=message):
        upgrade(former_sqlite)
    assert shell(former_sqlite, "SELECT * FROM alembic_version") == [("b2c3d4e5f6g7",)]
    assert shell(former_sqlite, "SELECT id FROM tenants") == [(HEX,)]


# -- down --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["b2c3d4e5f6g7", "a1b2c3d4e5f6"])
def test_two_tenants_rows_of_one_id_go_down_under_two(
    url: str, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    shared = str(UUID(int=5))
    with Ledger(url) as ledger:
        tenants = sorted(ledger.usage.create_tenant(name).id for name in "ab")
        for n, tenant in enumerate(reversed(tenants)):
            at = datetime(2026, 1, 1 + n, tzinfo=UTC)
            ledger.usage.record(
                tenant_id=tenant, operation="o", model="m", id=shared, input_tokens=7, created_at=at
            )
    database = open_database(url)
    migrations.run(database, "downgrade", "b2c3d4e5f6g7")
    with database.engine.connect() as connection:
        found = {str(row.tenant_id): (str(row.id), row.input_tokens) for row in connection.execute(ROWS)}
    assert found[tenants[1]] == (shared, 7)  # the earlier one keeps it
    assert found[tenants[0]][0] != shared
    assert found[tenants[0]][1] == 7
    assert f"got a new one: {shared}" in caplog.text
    if revision != "b2c3d4e5f6g7":
        migrations.run(database, "downgrade", revision)
    migrations.run(database, "upgrade", "head")
    database.close()
