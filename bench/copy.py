"""Copying a ledger from SQLite to PostgreSQL: a million LLM calls with their indexes, 450 MB, against pgloader.

Both get the same rows and indexes; pgloader a file of that table alone, as it stumbles over the defaults and
full-text tables of a whole ledger. Without pgloader on PATH (Debian: ``apt install pgloader``), the driver
is COPY of the same rows into the table with its indexes, from memory.
"""

import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from bench.harness import Place, Row, seconds
from daicho.ledger import open_database
from daicho.ops.copy import compare, copy

CALLS = 1_000_000
TENANTS = 50
TABLE = "ai_usage_logs"
COLUMNS = (
    "id",
    "tenant_id",
    "operation",
    "model",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cost_usd",
    "success",
    "created_at",
    "source",
)


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    (source, target), (_, other) = fresh(), fresh()
    fill(source)
    one, two = open_database(source.url), open_database(target.url)
    ours = CALLS / seconds(lambda: copy(one, two))
    assert all(table.same for table in compare(one, two))
    one.close()
    two.close()
    if shutil.which("pgloader"):
        name, driver = "pgloader", CALLS / by_pgloader(source, other)
    else:
        name, driver = "COPY from memory", CALLS / by_copy(other)
    yield Row(f"db copy of {CALLS:,} LLM calls to PostgreSQL; driver: {name}", "rows/s", ours, driver)


def call(number: int) -> tuple[object, ...]:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=20 * number)
    return (
        str(UUID(int=number + 1)),
        str(UUID(int=number % TENANTS + 1)),
        "chat" if number % 3 else "summary",
        ("gpt-4o", "claude-sonnet-4-5", "gpt-4o-mini")[number % 3],
        number % 5_000,
        number % 2_000,
        number % 5_000 + number % 2_000,
        number % 977 / 1e5,
        "success",
        f"{at:%Y-%m-%d %H:%M:%S.%f}",
        f"call:call-{number // 7}",
    )


def fill(source: Place) -> None:
    """Write the rows past the triggers: what these would add is not in question here."""
    with closing(source.connect()) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", [TABLE]
        ).fetchall()
        connection.execute("BEGIN IMMEDIATE")
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.executemany(
            "INSERT INTO tenants (id, name) VALUES (?, ?)",
            [(str(UUID(int=number + 1)), f"Tenant {number}") for number in range(TENANTS)],
        )
        marks = ", ".join("?" * len(COLUMNS))
        connection.executemany(
            f"INSERT INTO {TABLE} ({', '.join(COLUMNS)}) VALUES ({marks})", map(call, range(CALLS))
        )
        for _, statement in triggers:
            connection.execute(statement)
        connection.execute("COMMIT")


def by_pgloader(source: Place, target: Place) -> float:
    whole = Path(source.url.removeprefix("sqlite:///"))
    alone = whole.with_name("pgloader.db")
    with closing(sqlite3.connect(alone)) as connection:
        connection.execute("ATTACH ? AS whole", [str(whole)])
        made = "SELECT type, sql FROM whole.sqlite_master WHERE tbl_name = ? AND type IN ('table', 'index')"
        statements = connection.execute(f"{made} AND sql IS NOT NULL ORDER BY type DESC", [TABLE]).fetchall()
        for kind, statement in statements:
            connection.execute(re.sub(r"DEFAULT \(strftime\(.*?\)\)", "", statement))
            if kind == "table":
                connection.execute(f"INSERT INTO {TABLE} SELECT * FROM whole.{TABLE}")
        connection.commit()
    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE {TABLE} CASCADE")
    command = ["pgloader", f"sqlite://{alone}", target.url.replace("postgresql://", "pgsql://")]
    took = seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    with psycopg.connect(target.url) as connection:
        assert connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (CALLS,)
    return took


def by_copy(target: Place) -> float:
    values = list(map(call, range(CALLS)))
    with psycopg.connect(target.url) as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        tenants = [(UUID(int=number + 1), f"Tenant {number}") for number in range(TENANTS)]
        connection.cursor().executemany("INSERT INTO tenants (id, name) VALUES (%s, %s)", tenants)

        def work() -> None:
            with connection.cursor().copy(f"COPY {TABLE} ({', '.join(COLUMNS)}) FROM STDIN") as copying:
                for value in values:
                    copying.write_row(value)
            connection.commit()

        return seconds(work)
