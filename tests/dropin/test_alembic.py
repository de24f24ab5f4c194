"""The designs' Alembic commands as printed, by the ``alembic.ini`` of docs/migrating.md: no repository, no source.

``tests/migrations`` and ``tests/usage/test_seed.py`` run them at the repository's root, on both databases, and
``tests/usage`` and ``tests/members`` the SQL of seeds 003 and 002 on PostgreSQL.
"""

import re
import sqlite3
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from daicho import Ledger, migrations
from tests.dropin.printed import blocks, printed
from tests.processes import python

ROOT = Path(__file__).parents[2]
INI = re.findall(r"```ini\n(.*?)```", (ROOT / "docs" / "migrating.md").read_text(), re.DOTALL)[0]
HEREDOC = re.compile(r"python << 'EOF'\n(.*?)^EOF", re.DOTALL | re.MULTILINE)
ONE_LINER = re.compile(r'^python -c "(.*)"$', re.MULTILINE)


def lines(seed: str) -> list[list[str]]:
    """The ``alembic`` commands that a design prints, each as its arguments."""
    text = "".join(blocks(seed, "bash").values())
    return [line.split() for line in re.findall(r"^(?:\S*/)?alembic (.+)$", text, re.MULTILINE)]


def programs() -> list[str]:
    """The programs that seed 003 prints within its commands."""
    text = "".join(blocks("003", "bash").values())
    return HEREDOC.findall(text) + ONE_LINER.findall(text)


def test_the_commands_of_both_designs_as_printed(unmade_url: str, tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text(INI)
    environment = {"DATABASE_URL": unmade_url, "DAICHO_LANG": "en"}

    def run(*arguments: str) -> str:
        done = python(*arguments, environment=environment, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def at() -> str:
        with sqlite3.connect(make_url(unmade_url).database or "") as connection:
            return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])

    assert lines("003") == [["upgrade", "head"], ["downgrade", "a1b2c3d4e5f6"]]
    for command, revision in zip(lines("003"), (migrations.HEAD, "a1b2c3d4e5f6"), strict=True):
        run("-m", "alembic", *command)
        assert at() == revision
    after = [(run("-c", program) and at()) or at() for program in programs()]
    assert after == ["a1b2c3d4e5f6", migrations.HEAD, "a1b2c3d4e5f6", "a1b2c3d4e5f6", migrations.HEAD]
    assert run("-m", "alembic", "current") == f"{migrations.HEAD} (head)\n"
    with Ledger(unmade_url) as ledger:
        ledger.calls.start("call-1", "c")
    ran = (ROOT / "tests" / "migrations" / "test_migrations.py").read_text()
    for command in lines("000"):  # run there on both databases
        wanted = command[:2] if command[0] in {"upgrade", "downgrade"} else command[:1]
        assert ", ".join(f'"{word}"' for word in wanted).replace("<revision>", "20251121_01") in ran


def test_the_indexes_as_printed_are_there(postgres_url: str) -> None:
    sql = printed("004", "-- 既存インデックス", "sql")
    shape = (
        "SELECT indexname, regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE schemaname = %s"
    )
    tables = sorted(set(re.findall(r"ON (\w+)\(", sql)))
    with psycopg.connect(postgres_url) as connection:
        ours = dict(connection.execute(shape, ["public"]).fetchall())
        connection.execute("CREATE SCHEMA printed")
        for table in tables:
            connection.execute(f"CREATE TABLE printed.{table} (LIKE public.{table})")
        connection.execute("SET search_path = printed")
        connection.execute(sql)
        theirs = dict(connection.execute(shape, ["printed"]).fetchall())
        connection.rollback()
    assert len(theirs) == sql.count("CREATE INDEX") == 14
    assert theirs.items() <= ours.items()
