"""Seed 003, the migration guide: its commands and its SQL as printed, on PostgreSQL."""

import os
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import make_url

from daicho import Ledger, migrations
from tests.postgres import programs
from tests.processes import python

ROOT = Path(__file__).parents[2]

UPGRADE = """
from alembic.config import Config
from alembic import command

alembic_cfg = Config("alembic.ini")
command.upgrade(alembic_cfg, "head")
"""
CURRENT = UPGRADE.replace('command.upgrade(alembic_cfg, "head")', "command.current(alembic_cfg)")
DOWNGRADE = UPGRADE.replace('upgrade(alembic_cfg, "head")', 'downgrade(alembic_cfg, "a1b2c3d4e5f6")')
HISTORY = (
    "from alembic.config import Config; from alembic import command; command.history(Config('alembic.ini'))"
)
MISSING = "from alembic.config import Config; from alembic import command; command.upgrade(Config('alembic.ini'), 'head')"
INSERT = """
-- サンプルデータを挿入
INSERT INTO ai_usage_logs (
    id, tenant_id, operation, model,
    input_tokens, output_tokens, total_tokens, success
) VALUES (
    gen_random_uuid(),
    (SELECT id FROM tenants LIMIT 1),
    'generate_assessment',
    'claude-3-5-sonnet-20241022',
    1000, 2000, 3000, 'success'
);
"""
MONTHLY = """
-- テナント別の今月のトークン使用量を確認
SELECT
    tenant_id,
    COUNT(*) as api_calls,
    SUM(input_tokens) as total_input_tokens,
    SUM(output_tokens) as total_output_tokens,
    SUM(total_tokens) as total_tokens,
    SUM(cost_usd) as total_cost_usd
FROM ai_usage_logs
WHERE created_at >= date_trunc('month', CURRENT_DATE)
GROUP BY tenant_id
ORDER BY total_cost_usd DESC;
"""


class Guide:
    """A reader of the guide, at the root of the repository, with a database of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "DAICHO_LANG": "en"}

    def run(self, *command: str, text: str = "") -> str:
        done = subprocess.run(
            command, input=text, cwd=ROOT, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, *arguments: str, text: str = "") -> str:
        done = python(*arguments, given=text.encode(), folder=ROOT, environment=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def alembic(self, *arguments: str) -> str:
        return self.python("-m", "alembic", *arguments)

    def psql(self, statements: str) -> str:
        address = make_url(self.url).render_as_string(hide_password=False)
        return self.run(str(programs() / "psql"), "-X", "-v", "ON_ERROR_STOP=1", address, text=statements)


@pytest.fixture
def guide(new_postgres: object) -> Guide:
    return Guide(new_postgres(migrated=False))  # type: ignore[operator]


def test_the_guide_works_from_top_to_bottom(guide: Guide) -> None:
    guide.python("-", text=CURRENT)
    guide.python("-", text=UPGRADE)
    assert migrations.HEAD in guide.psql("SELECT * FROM alembic_version;")
    guide.alembic("upgrade", "head")

    assert "ai_usage_logs" in guide.psql("-- テーブルが作成されたか確認\n\\dt ai_usage_logs")
    indexes = guide.psql("-- インデックスが作成されたか確認\n\\di idx_ai_usage_logs*")
    for name in ("tenant_id", "operation", "created_at", "tenant_created"):
        assert f"idx_ai_usage_logs_{name}" in indexes
    described = guide.psql("-- テーブル構造を確認\n\\d ai_usage_logs")
    for column, kind in {
        "id": "uuid",
        "tenant_id": "uuid",
        "user_id": "uuid",
        "operation": "character varying(100)",
        "model": "character varying(100)",
        "input_tokens": "integer",
        "output_tokens": "integer",
        "total_tokens": "integer",
        "cost_usd": "double precision",
        "assessment_id": "uuid",
        "lead_id": "uuid",
        "duration_ms": "integer",
        "success": "character varying(20)",
        "created_at": "timestamp with time zone",
    }.items():
        assert [column, kind] == [part.strip() for part in _line(described, column)[:2]]
    assert "FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE SET NULL" in described

    guide.psql("INSERT INTO tenants (name) VALUES ('Acme');")
    assert "INSERT 0 1" in guide.psql(INSERT)
    assert "generate_assessment" in guide.psql("-- データを確認\nSELECT * FROM ai_usage_logs;")
    monthly = guide.psql(MONTHLY)
    assert [part.strip() for part in monthly.splitlines()[2].split("|")][1:] == [
        "1",
        "1000",
        "2000",
        "3000",
        "",
    ]
    with Ledger(guide.url) as ledger:  # what psql wrote is in the sums
        assert [one.differ for one in ledger.usage.verify()] == [0, 0, 0]
        assert ledger.usage.verify()[0].buckets == 4  # an hour, a day, a month, a month in Tokyo
    assert "DELETE 1" in guide.psql(
        "-- 削除\nDELETE FROM ai_usage_logs WHERE operation = 'generate_assessment';"
    )

    guide.python("-", text=DOWNGRADE)
    assert "Did not find any" in guide.run(
        "sh", "-c", f"'{programs() / 'psql'}' -X '{guide.url}' -c '\\dt ai_usage_logs' 2>&1"
    )
    guide.alembic("upgrade", "head")
    guide.alembic("downgrade", "a1b2c3d4e5f6")
    assert "a1b2c3d4e5f6" in guide.alembic("current")
    assert "a1b2c3d4e5f6 -> b2c3d4e5f6g7" in guide.python("-c", HISTORY)
    guide.python("-c", MISSING)
    assert "Acme" in guide.psql("SELECT name FROM tenants;")


def test_the_dump_of_the_guide_can_be_loaded_again(guide: Guide, new_postgres: object) -> None:
    guide.python("-", text=UPGRADE)
    guide.psql("INSERT INTO tenants (name) VALUES ('Acme');" + INSERT)
    dump = guide.run(str(programs() / "pg_dump"), guide.url)
    other = Guide(new_postgres(migrated=False))  # type: ignore[operator]
    other.psql(dump)
    other.psql(INSERT)
    with Ledger(other.url) as ledger:
        assert ledger.usage.report(**_ever()).total.api_calls == 2
        assert [one.differ for one in ledger.usage.verify()] == [0, 0, 0]


def test_the_version_set_by_hand_is_one_that_upgrades(guide: Guide) -> None:
    guide.alembic("upgrade", "b2c3d4e5f6g7")
    guide.psql("UPDATE alembic_version SET version_num = 'b2c3d4e5f6g7';")
    guide.psql("INSERT INTO tenants (name) VALUES ('Acme');" + INSERT)
    guide.alembic("downgrade", "-1")
    assert "a1b2c3d4e5f6" in guide.psql("SELECT * FROM alembic_version;")
    guide.alembic("upgrade", "head")
    with Ledger(guide.url) as ledger:
        assert ledger.usage.report(**_ever()).total.api_calls == 0


def _line(described: str, column: str) -> list[str]:
    return next(line.split("|") for line in described.splitlines() if line.split("|")[0].strip() == column)


def _ever() -> dict[str, object]:
    from datetime import UTC, datetime

    return {"since": datetime(2020, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}
