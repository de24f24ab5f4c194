"""Usage: providers, caches, sources; and the sums that the database keeps by itself

A database that DiagnoLeads itself has made, which knows the two revisions before this one and none of
the others, is brought up to date here.

Revision ID: 20261121_07
Revises: b2c3d4e5f6g7
Create Date: 2026-11-21 18:05:00.000000

"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.script import ScriptDirectory

from daicho import migrations
from daicho.core.rollups import spelled
from daicho.core.types import Instant, UuidText
from daicho.usage.models import NOBODY, USAGE

revision: str = "20261121_07"
down_revision: str | None = "b2c3d4e5f6g7"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KEPT = {"input_tokens": "0", "output_tokens": "0", "total_tokens": "0", "success": "'success'"}
"""What stands for NULL in columns that the former system may have left open."""
LOGS = (
    "id, tenant_id, user_id, operation, model, input_tokens, output_tokens, total_tokens, cost_usd,"
    " assessment_id, lead_id, duration_ms, success, created_at"
)
ADDED = ("provider", "cache_read_tokens", "cache_write_tokens", "source", "priced_by")
TOTALS, DETAILS, SOURCES = USAGE.rollups
FIRST = "0001-01-01 00:00:00.000000"


def upgrade() -> None:
    _catch_up()
    if op.get_context().dialect.name == "sqlite":
        _rebuild(primary_key="id, tenant_id", added=True)
    else:
        _alter()
    has_source = sa.text("source IS NOT NULL")
    op.create_index(
        "ix_ai_usage_logs_source",
        "ai_usage_logs",
        ["source"],
        sqlite_where=has_source,
        postgresql_where=has_source,
    )
    _create_sums()
    run = op.get_bind().exec_driver_sql
    if op.get_context().dialect.name == "postgresql":
        # What the functions below are created with: nobody's temporary table stands in for one of ours.
        schema = run("SELECT quote_ident(current_schema())").scalar()
        run(f"SET LOCAL search_path = {schema}, pg_temp")
    statements = spelled(op.get_context().dialect.name, USAGE)
    for rollup in USAGE.rollups:
        run(statements.add(rollup, "ai_usage_logs"))
    for statement in statements.create():
        run(statement)
    for statement in _departures(statements.combined(DETAILS, "excluded", "+")):
        run(statement)


def downgrade() -> None:
    run = op.get_bind().exec_driver_sql
    for statement in spelled(op.get_context().dialect.name, USAGE).drop():
        run(statement)
    if op.get_context().dialect.name == "sqlite":
        run("DROP TRIGGER tenants_sums_leave")
        run("DROP TRIGGER users_sums_leave")
    else:
        run("DROP FUNCTION tenants_sums_leave() CASCADE")
        run("DROP FUNCTION users_sums_leave() CASCADE")
    for rollup in reversed(USAGE.rollups):
        op.drop_table(rollup.table)
    op.drop_table("rollup_state")
    op.drop_index("ix_ai_usage_logs_source", "ai_usage_logs")
    if op.get_context().dialect.name == "sqlite":
        _rebuild(primary_key="id", added=False)
        return
    op.drop_constraint(op.f("ck_ai_usage_logs_cost_usd"), "ai_usage_logs", type_="check")
    for name in reversed(ADDED):
        op.drop_column("ai_usage_logs", name)
    op.drop_constraint("pk_ai_usage_logs", "ai_usage_logs", type_="primary")
    op.create_primary_key("pk_ai_usage_logs", "ai_usage_logs", ["id"])


# -- a database of DiagnoLeads' own ------------------------------------------------------------------


def _catch_up() -> None:
    """Run the revisions that a database of the former system has never seen."""
    tables = sa.inspect(op.get_bind()).get_table_names()
    if "calls" not in tables:
        for module in _earlier():
            module.upgrade()
    for table in ("tenants", "users", "assessments", "leads"):
        there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
        if "name" not in there:
            op.add_column(table, sa.Column("name", sa.String(255)))
        if "created_at" not in there:
            op.add_column(table, sa.Column("created_at", Instant))


def _earlier() -> list[Any]:
    """The revisions before those of usage, oldest first."""
    found = list(ScriptDirectory(str(migrations.FOLDER)).walk_revisions("base", "20261121_06"))
    return [one.module for one in reversed(found)]


def _alter() -> None:
    """PostgreSQL: in place, whatever the former system had named its key."""
    inspector = sa.inspect(op.get_bind())
    for column in inspector.get_columns("ai_usage_logs"):
        name = column["name"]
        if name == "created_at":
            if not getattr(column["type"], "timezone", False):
                op.execute(
                    "ALTER TABLE ai_usage_logs ALTER created_at TYPE timestamptz"
                    " USING created_at AT TIME ZONE 'UTC'"
                )
            if column["nullable"]:
                op.execute("UPDATE ai_usage_logs SET created_at = now() WHERE created_at IS NULL")
                op.alter_column("ai_usage_logs", "created_at", nullable=False)
            op.execute("ALTER TABLE ai_usage_logs ALTER created_at SET DEFAULT now()")
        elif name in KEPT and column["nullable"]:
            op.execute(f"UPDATE ai_usage_logs SET {name} = {KEPT[name]} WHERE {name} IS NULL")
            op.alter_column("ai_usage_logs", name, nullable=False)
    op.execute("ALTER TABLE ai_usage_logs ALTER success SET DEFAULT 'success'")
    key = inspector.get_pk_constraint("ai_usage_logs")["name"]
    op.drop_constraint(str(key), "ai_usage_logs", type_="primary")
    op.create_primary_key("pk_ai_usage_logs", "ai_usage_logs", ["id", "tenant_id"])
    op.add_column("ai_usage_logs", sa.Column("provider", sa.String(50)))
    op.add_column("ai_usage_logs", sa.Column("cache_read_tokens", sa.Integer))
    op.add_column("ai_usage_logs", sa.Column("cache_write_tokens", sa.Integer))
    op.add_column("ai_usage_logs", sa.Column("source", sa.String(255)))
    op.add_column("ai_usage_logs", sa.Column("priced_by", sa.String(100)))
    op.create_check_constraint("cost_usd", "ai_usage_logs", "abs(cost_usd) < 1000000000")


def _rebuild(*, primary_key: str, added: bool) -> None:
    """SQLite: make the table anew."""
    inspector = sa.inspect(op.get_bind())
    for index in inspector.get_indexes("ai_usage_logs"):
        op.drop_index(str(index["name"]), "ai_usage_logs")
    op.execute("ALTER TABLE ai_usage_logs RENAME TO ai_usage_logs_former")
    # Roll-ups compare instants as text: every one has the same form.
    form = ", CONSTRAINT ck_ai_usage_logs_created_at CHECK (length(created_at) = 26)"
    limit = ", CONSTRAINT ck_ai_usage_logs_cost_usd CHECK (abs(cost_usd) < 1000000000)"
    op.get_bind().exec_driver_sql(
        "CREATE TABLE ai_usage_logs (id VARCHAR(36) NOT NULL, tenant_id VARCHAR(36) NOT NULL,"
        " user_id VARCHAR(36), operation VARCHAR(100) NOT NULL, model VARCHAR(100) NOT NULL,"
        " input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, total_tokens INTEGER NOT NULL,"
        " cost_usd FLOAT, assessment_id VARCHAR(36), lead_id VARCHAR(36), duration_ms INTEGER,"
        " success VARCHAR(20) DEFAULT 'success' NOT NULL,"
        " created_at DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')) NOT NULL,"
        + (
            " provider VARCHAR(50), cache_read_tokens INTEGER, cache_write_tokens INTEGER,"
            " source VARCHAR(255), priced_by VARCHAR(100),"
            if added
            else ""
        )
        + f" CONSTRAINT pk_ai_usage_logs PRIMARY KEY ({primary_key}),"
        " CONSTRAINT fk_ai_usage_logs_tenant_id_tenants"
        " FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,"
        " CONSTRAINT fk_ai_usage_logs_user_id_users"
        " FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,"
        " CONSTRAINT fk_ai_usage_logs_assessment_id_assessments"
        " FOREIGN KEY (assessment_id) REFERENCES assessments (id) ON DELETE SET NULL,"
        " CONSTRAINT fk_ai_usage_logs_lead_id_leads"
        f" FOREIGN KEY (lead_id) REFERENCES leads (id) ON DELETE SET NULL{form + limit if added else ''})"
    )
    instant = "substr(replace(created_at, 'T', ' ') || '.000000', 1, 26)"
    values = LOGS.replace("created_at", instant) if added else LOGS
    op.get_bind().exec_driver_sql(
        f"INSERT INTO ai_usage_logs ({LOGS}) SELECT {values} FROM ai_usage_logs_former"
    )
    op.execute("DROP TABLE ai_usage_logs_former")
    for name, columns in {
        "idx_ai_usage_logs_tenant_id": ["tenant_id"],
        "idx_ai_usage_logs_operation": ["operation"],
        "idx_ai_usage_logs_created_at": ["created_at"],
        "idx_ai_usage_logs_tenant_created": ["tenant_id", "created_at"],
    }.items():
        op.create_index(name, "ai_usage_logs", columns)


# -- sums --------------------------------------------------------------------------------------------


def _create_sums() -> None:
    state = op.create_table(
        "rollup_state",
        sa.Column("id", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("raw_from", Instant, nullable=False),
        sa.Column("in_bulk", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rollup_state"),
    )
    moment = "0001-01-01 00:00:00+00" if op.get_context().dialect.name == "postgresql" else FIRST
    op.get_bind().exec_driver_sql(f"INSERT INTO {state.name} VALUES (1, '{moment}', 0)")
    kinds: dict[str, Any] = {
        "grain": sa.String(7),
        "bucket": Instant(),
        "tenant_id": UuidText(),
        "user_id": UuidText(),
        "model": sa.String(100),
        "operation": sa.String(100),
        "source_kind": sa.String(255),
        "source": sa.String(255),
    }
    for rollup in USAGE.rollups:
        op.create_table(
            rollup.table,
            *[sa.Column(name, kinds[name], nullable=False) for name in rollup.key],
            *[sa.Column(name, sa.BigInteger, nullable=False) for name in USAGE.sums],
            sa.PrimaryKeyConstraint(*rollup.key, name=f"pk_{rollup.table}"),
            sqlite_with_rowid=False,
        )


def _departures(combined: str) -> list[str]:
    """What becomes of sums when their tenant or user goes, of rows too that are kept no more."""
    tenant = " ".join(f"DELETE FROM {one.table} WHERE tenant_id = old.id;" for one in USAGE.rollups)
    names = ", ".join([*DETAILS.key, *USAGE.sums])
    nobody = names.replace("user_id", f"'{NOBODY}'")
    user = (
        f"INSERT INTO usage_details ({names}) SELECT {nobody} FROM usage_details AS former"
        f" WHERE former.user_id = old.id ON CONFLICT ({', '.join(DETAILS.key)}) DO UPDATE SET {combined};"
        " DELETE FROM usage_details WHERE user_id = old.id;"
    )
    statements = []
    for table, body in (("tenants", tenant), ("users", user)):
        name = f"{table}_sums_leave"
        if op.get_context().dialect.name == "sqlite":
            statements.append(f"CREATE TRIGGER {name} AFTER DELETE ON {table} BEGIN {body} END")
        else:
            statements += [
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
                f" SET search_path FROM CURRENT AS $$ BEGIN {body} RETURN NULL; END $$",
                # Deferred: PostgreSQL runs the triggers of what a reference changes after this one's.
                f"CREATE CONSTRAINT TRIGGER {name} AFTER DELETE ON {table} DEFERRABLE INITIALLY DEFERRED"
                f" FOR EACH ROW EXECUTE FUNCTION {name}()",
            ]
    return statements
