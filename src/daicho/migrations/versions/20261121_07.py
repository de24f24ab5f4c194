"""Usage: providers, caches, sources; and the sums that the database keeps by itself

A database that DiagnoLeads itself has made, which knows the two revisions before this one and none of
the others, is brought up to date here.

Revision ID: 20261121_07
Revises: b2c3d4e5f6g7
Create Date: 2026-11-21 18:05:00.000000

"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic import op
from alembic.script import ScriptDirectory

from daicho import migrations
from daicho.core.errors import Outdated
from daicho.core.rollups import STATE, spelled
from daicho.core.types import Instant, UuidText, uuid_text
from daicho.migrations import taking_over
from daicho.migrations.former_values import instant
from daicho.usage.models import NOBODY
from daicho.usage.models import USAGE as TODAY

log = logging.getLogger("daicho")

revision: str = "20261121_07"
down_revision: str | None = "b2c3d4e5f6g7"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

KEPT = {"input_tokens": "0", "output_tokens": "0", "total_tokens": "0", "success": "'success'"}
"""What stands for NULL in columns that the former system may have left open."""
OPTIONAL = ("user_id", "cost_usd", "assessment_id", "lead_id", "duration_ms")
NEEDED = ("id", "tenant_id", "operation", "model", *KEPT, "created_at")
ADDED = ("provider", "cache_read_tokens", "cache_write_tokens", "source", "priced_by")
TOTALS, DETAILS, SOURCES = TODAY.rollups
USAGE = replace(TODAY, rollups=(replace(TOTALS, grains=("month", "day", "hour")), DETAILS, SOURCES))
"""The sums as they were then: of months by UTC alone."""
FIRST = "0001-01-01 00:00:00.000000"
IDS = {
    "tenants": ("id",),
    "users": ("id", "tenant_id"),
    "assessments": ("id", "tenant_id"),
    "leads": ("id", "tenant_id"),
    "ai_usage_logs": ("id", "tenant_id", "user_id", "assessment_id", "lead_id"),
}
"""The columns that hold UUIDs."""
EARLIER = {"calls", "call_logs", "member_files"}
"""Tables that Daicho alone makes, before these of usage."""
INDEXES = {
    "idx_ai_usage_logs_tenant_id": ["tenant_id"],
    "idx_ai_usage_logs_operation": ["operation"],
    "idx_ai_usage_logs_created_at": ["created_at"],
    "idx_ai_usage_logs_tenant_created": ["tenant_id", "created_at"],
}
COST = "ck_ai_usage_logs_cost_usd"
FORM, YEARS = "ck_ai_usage_logs_created_at", "ck_ai_usage_logs_created_at_1972_to_9998"
IN_YEARS = "created_at >= '1972-01-01 00:00:00{zone}' AND created_at < '9999-01-01 00:00:00{zone}'"
"""What every time zone's periods can be worked out for."""
DIGIT = "[0-9]"
CANONICAL = "-".join([DIGIT * 4, DIGIT * 2, DIGIT * 2]) + f" {':'.join([DIGIT * 2] * 3)}.{DIGIT * 6}"
CHECKS = (
    f", CONSTRAINT {COST} CHECK (typeof(cost_usd) <> 'text' AND abs(cost_usd) < 1000000000)"
    # Sums compare instants as text: every one has the same form, and names a day that there is.
    f", CONSTRAINT {FORM} CHECK (created_at GLOB '{CANONICAL}'"
    " AND date(substr(created_at, 1, 10), '+0 days') IS substr(created_at, 1, 10)"
    " AND substr(created_at, 12, 2) < '24' AND substr(created_at, 15, 2) < '60'"
    " AND substr(created_at, 18, 2) < '60')"
    f", CONSTRAINT {YEARS} CHECK ({IN_YEARS.format(zone='')})"
)


def upgrade() -> None:
    _catch_up()
    _check()
    if op.get_context().dialect.name == "sqlite":
        taking_over.spell_ids(IDS)
        _rebuild(primary_key="id, tenant_id", added=True)
        for table in IDS:
            taking_over.check_references(table)
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
    _one_row_an_id()
    if op.get_context().dialect.name == "sqlite":
        for name in ADDED:
            run(f"ALTER TABLE ai_usage_logs DROP COLUMN {name}")
        _rebuild(primary_key="id", added=False)
        return
    op.drop_constraint(op.f(YEARS), "ai_usage_logs", type_="check")
    op.drop_constraint(op.f(COST), "ai_usage_logs", type_="check")
    for name in reversed(ADDED):
        op.drop_column("ai_usage_logs", name)
    op.drop_constraint("pk_ai_usage_logs", "ai_usage_logs", type_="primary")
    op.create_primary_key("pk_ai_usage_logs", "ai_usage_logs", ["id"])


def _one_row_an_id() -> None:
    """Give rows another id whose id another tenant has too: below, the id alone is the key."""
    run = op.get_bind().execute
    numbered = (
        "SELECT id, tenant_id, row_number() OVER (PARTITION BY id ORDER BY created_at, tenant_id) AS place"
        " FROM ai_usage_logs"
    )
    found = run(sa.text(f"SELECT id, tenant_id FROM ({numbered}) AS numbered WHERE place > 1")).fetchall()
    if found:
        run(
            sa.text("UPDATE ai_usage_logs SET id = :new WHERE id = :id AND tenant_id = :tenant"),
            [{"new": str(uuid4()), "id": row.id, "tenant": row.tenant_id} for row in found],
        )
        log.warning(
            "%s rows of ai_usage_logs have the id of another tenant's row and got a new one: %s",
            f"{len(found):,}",
            taking_over.first_few([str(row.id) for row in found]),
        )


# -- a database of DiagnoLeads' own ------------------------------------------------------------------


def _catch_up() -> None:
    """Run the revisions that a database of the former system has never seen."""
    taking_over.check_free([STATE, *[rollup.table for rollup in USAGE.rollups]])
    there = EARLIER & set(sa.inspect(op.get_bind()).get_table_names())
    if not there:
        for module in _earlier():
            module.upgrade()
    elif there != EARLIER:
        shown, missing = ", ".join(sorted(there)), ", ".join(sorted(EARLIER - there))
        raise Outdated(
            f"there are tables {shown}, but not {missing}: they are not Daicho's; rename them, "
            "then run again: daicho db upgrade",
            f"表 {shown} がありますが {missing} がなく、Daicho の表ではありません。名前を変えてから、"
            "もう一度実行してください: daicho db upgrade",
        )
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


def _check() -> None:
    """Raise Outdated for what cannot be taken over."""
    former = taking_over.columns_of("ai_usage_logs")
    columns: list[sa.Column[Any]] = [sa.Column(name) for name in (*NEEDED, *OPTIONAL)]
    taking_over.check_columns("ai_usage_logs", former, columns, later=ADDED)
    taking_over.check_key("ai_usage_logs", "id")
    taking_over.check_not_referenced("ai_usage_logs")
    wrong = {"operation": "operation IS NULL", "model": "model IS NULL"}
    if op.get_context().dialect.name == "sqlite":
        taking_over.teach({"instant": instant, "uuid_text": uuid_text})
        wrong["cost_usd"] = "cost_usd IS NOT NULL AND (typeof(cost_usd) = 'text' OR abs(cost_usd) >= 1e9)"
        read = "coalesce(instant(created_at), '')"
    else:
        for table, names in IDS.items():
            taking_over.check_types(table, names, sa.UUID)
        taking_over.check_types("ai_usage_logs", ["created_at"], sa.DateTime)
        wrong["cost_usd"] = "NOT abs(cost_usd) < 1e9"  # NaN is more than any number
        read = "created_at"
    wrong["created_at"] = f"created_at IS NOT NULL AND NOT ({IN_YEARS.replace('created_at', read)})"
    wrong["created_at"] = wrong["created_at"].format(zone="")
    taking_over.check_values("ai_usage_logs", wrong)


def _alter() -> None:
    """PostgreSQL: in place, whatever the former system had named its key."""
    former = taking_over.columns_of("ai_usage_logs")
    taking_over.give_zone("ai_usage_logs", ["created_at"], former)
    for name, value in (KEPT | {"created_at": "now()"}).items():
        op.execute(f"UPDATE ai_usage_logs SET {name} = {value} WHERE {name} IS NULL")
    columns: list[sa.Column[Any]] = [sa.Column(name, nullable=False) for name in NEEDED]
    columns += [sa.Column(name) for name in OPTIONAL]
    key = str(sa.inspect(op.get_bind()).get_pk_constraint("ai_usage_logs")["name"])
    op.drop_constraint(key, "ai_usage_logs", type_="primary")
    taking_over.settle_nulls("ai_usage_logs", columns, former)
    op.execute("ALTER TABLE ai_usage_logs ALTER created_at SET DEFAULT now()")
    op.execute("ALTER TABLE ai_usage_logs ALTER success SET DEFAULT 'success'")
    op.create_primary_key("pk_ai_usage_logs", "ai_usage_logs", ["id", "tenant_id"])
    op.add_column("ai_usage_logs", sa.Column("provider", sa.String(50)))
    op.add_column("ai_usage_logs", sa.Column("cache_read_tokens", sa.Integer))
    op.add_column("ai_usage_logs", sa.Column("cache_write_tokens", sa.Integer))
    op.add_column("ai_usage_logs", sa.Column("source", sa.String(255)))
    op.add_column("ai_usage_logs", sa.Column("priced_by", sa.String(100)))
    op.create_check_constraint(op.f(COST), "ai_usage_logs", "abs(cost_usd) < 1000000000")
    op.create_check_constraint(op.f(YEARS), "ai_usage_logs", IN_YEARS.format(zone="+00"))


def _rebuild(*, primary_key: str, added: bool) -> None:
    """SQLite: make the table anew."""
    now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"
    columns = (
        " provider VARCHAR(50), cache_read_tokens INTEGER, cache_write_tokens INTEGER,"
        " source VARCHAR(255), priced_by VARCHAR(100),"
    )

    def create(name: str) -> None:
        op.get_bind().exec_driver_sql(
            f"CREATE TABLE {name} (id VARCHAR(36) NOT NULL, tenant_id VARCHAR(36) NOT NULL,"
            " user_id VARCHAR(36), operation VARCHAR(100) NOT NULL, model VARCHAR(100) NOT NULL,"
            " input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, total_tokens INTEGER NOT NULL,"
            " cost_usd FLOAT, assessment_id VARCHAR(36), lead_id VARCHAR(36), duration_ms INTEGER,"
            " success VARCHAR(20) DEFAULT 'success' NOT NULL,"
            f" created_at DATETIME DEFAULT ({now}) NOT NULL,{columns if added else ''}"
            f" CONSTRAINT pk_ai_usage_logs PRIMARY KEY ({primary_key}),"
            " CONSTRAINT fk_ai_usage_logs_tenant_id_tenants"
            " FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,"
            " CONSTRAINT fk_ai_usage_logs_user_id_users"
            " FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,"
            " CONSTRAINT fk_ai_usage_logs_assessment_id_assessments"
            " FOREIGN KEY (assessment_id) REFERENCES assessments (id) ON DELETE SET NULL,"
            " CONSTRAINT fk_ai_usage_logs_lead_id_leads"
            f" FOREIGN KEY (lead_id) REFERENCES leads (id) ON DELETE SET NULL{CHECKS if added else ''})"
        )

    changed = {name: f"coalesce({name}, {value})" for name, value in KEPT.items()}
    changed["created_at"] = f"coalesce(instant(created_at), {now})"
    if added:
        changed |= dict.fromkeys(ADDED, "NULL")
    taking_over.make_anew(
        "ai_usage_logs", create, changed=changed, functions={"instant": instant}, indexes=INDEXES, unique=[]
    )
    for name, of in INDEXES.items():
        op.create_index(name, "ai_usage_logs", of)


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
    """What becomes of rows and sums when their tenant or user goes, of rows too that are kept no more.

    All of it before the tenant or user goes: what the references do then finds nothing left. So it holds
    on SQLite where references rest, and for who comes again in the same transaction.
    """
    tenant = " ".join(f"DELETE FROM {one.table} WHERE tenant_id = old.id;" for one in USAGE.rollups)
    tenant += " DELETE FROM ai_usage_logs WHERE tenant_id = old.id;"
    names = ", ".join([*DETAILS.key, *USAGE.sums])
    nobody = names.replace("user_id", f"'{NOBODY}'")
    theirs = "tenant_id = old.tenant_id AND user_id = old.id"
    user = (
        f"UPDATE ai_usage_logs SET user_id = NULL WHERE {theirs};"
        f" INSERT INTO usage_details ({names}) SELECT {nobody} FROM usage_details AS former"
        f" WHERE {theirs} ON CONFLICT ({', '.join(DETAILS.key)}) DO UPDATE SET {combined};"
        f" DELETE FROM usage_details WHERE {theirs};"
    )
    # With the tenant all of it has gone already.
    alone = "EXISTS (SELECT 1 FROM tenants WHERE id = old.tenant_id)"
    statements = []
    for table, condition, body in (("tenants", "true", tenant), ("users", alone, user)):
        name = f"{table}_sums_leave"
        if op.get_context().dialect.name == "sqlite":
            statements.append(
                f"CREATE TRIGGER {name} BEFORE DELETE ON {table} WHEN {condition} BEGIN {body} END"
            )
        else:
            statements += [
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
                f" SET search_path FROM CURRENT AS $$ BEGIN IF {condition} THEN {body} END IF;"
                " RETURN old; END $$",
                f"CREATE TRIGGER {name} BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()",
            ]
    return statements
