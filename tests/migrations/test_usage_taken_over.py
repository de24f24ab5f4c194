"""A database that DiagnoLeads itself has made is brought up to date in place, with all its rows."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest

from daicho import Ledger, Outdated, migrations
from daicho.ledger import open_database
from tests.migrations.test_migrations import differences

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
