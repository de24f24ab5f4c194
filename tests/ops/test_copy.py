"""Copying a ledger between databases: all of it, once, also after a kill, and the proof that it is the same."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from daicho import Conflict, Invalid, Ledger, Outdated, migrations
from daicho.calls import demo as calls
from daicho.core.engine import Database
from daicho.guilds import demo as guilds
from daicho.ledger import open_database
from daicho.members import demo as members
from daicho.ops.copy import BUILDING, COPYING, compare, copy, size
from daicho.tasks import demo as tasks
from daicho.usage import demo as usage
from tests.cli.terminal import Here, daicho
from tests.databases import on_sqlite

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KINDS = ("sqlite", "postgresql")
KILLED = """
import os, signal, sys
from daicho.ledger import open_database
from daicho.ops import copy as copying, copy_ends, copy_postgres, copy_sqlite
for module in (copy_ends, copy_postgres, copy_sqlite):
    module.AT_ONCE = 100
left = int(sys.argv[4])
def advance(step, count):
    global left
    left -= step == sys.argv[3]
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
copying.copy(open_database(sys.argv[1]), open_database(sys.argv[2]), advance)
"""


@pytest.fixture
def empty(tmp_path: Path, new_postgres: Callable[..., str]) -> Callable[[str], str]:
    """Make a database without a table, of a kind."""
    count = iter(range(100))
    return lambda kind: (
        f"sqlite:///{tmp_path / f'copy-{next(count)}.db'}"
        if kind == "sqlite"
        else new_postgres(migrated=False)
    )


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, new_sqlite: Callable[[Path], str]) -> Path:
    """An SQLite file with something in every room, with what is hard to carry over."""
    path = tmp_path_factory.mktemp("copy") / "ready.db"
    write(new_sqlite(path))
    return path


@pytest.fixture
def filled(ready: Path, tmp_path: Path) -> str:
    """A copy of that file."""
    shutil.copyfile(ready, tmp_path / "filled.db")
    return f"sqlite:///{tmp_path / 'filled.db'}"


def write(url: str) -> None:
    with Ledger(url) as ledger:
        for demo in (calls, tasks, members, usage, guilds):
            demo.fill(ledger, random.Random(3), NOW)
        ledger.calls.append_log("odd", "user", 'tab\tnew\nline\\back "quoted" \\N 台帳 \x7f', client_id="")
        ledger.guilds.create_log(
            7, "member_join", "", 2**63 - 1, details={"b": [1, 1.5e300], "a": None, "台": "\\"}
        )
        ledger.chats.append("s/1", "user", "", details={"z": 1e2, "deep": [[True]]}, timestamp=NOW)
        ledger.chats.append("s/1", "assistant", "同じ時刻", timestamp=NOW)
        gone = ledger.guilds.create_ticket(7, 8, 9, "the last number is never another's")
    database = open_database(url)
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM tickets WHERE id = :id"), {"id": gone.id})
    database.close()


@pytest.mark.parametrize(("kind", "into"), [(kind, into) for kind in KINDS for into in KINDS])
def test_a_copy_holds_every_row_and_goes_on_as_a_ledger(
    filled: str, kind: str, into: str, empty: Callable[[str], str], opened: Callable[[str], Database]
) -> None:
    url = filled if kind == "sqlite" else empty(kind)
    if url != filled:
        copy(opened(filled), opened(url))
    source, target = opened(url), opened(empty(into))
    steps: list[tuple[str, int]] = []
    done = copy(source, target, lambda *step: steps.append(step))
    assert done.rows == size(source) == size(target) == sum(n for step, n in steps if step == COPYING)
    assert all(table.same for table in compare(source, target))
    with Ledger(url) as old, Ledger(target.url) as new:
        assert new.calls.transcript("odd").items[0].text == old.calls.transcript("odd").items[0].text
        assert new.calls.start("another", "c").id == old.calls.start("another", "c").id
        assert new.guilds.create_ticket(7, 8, 9, "x").id == old.guilds.create_ticket(7, 8, 9, "x").id
        assert len(new.calls.search("予約")) == len(old.calls.search("予約")) > 0
        new.chats.append("s/1", "user", "その後")
        assert new.chats.session("s/1").messages == 3
        tenant = new.usage.list_tenants().items[0].id
        before = new.usage.cost_of("call:new").api_calls
        new.usage.record(
            tenant_id=tenant,
            operation="x",
            model="gpt-4o",
            input_tokens=1,
            output_tokens=1,
            source="call:new",
        )
        assert new.usage.cost_of("call:new").api_calls == before + 1


def test_both_kinds_have_the_schema_that_migrations_make(
    filled: str, empty: Callable[[str], str], opened: Callable[[str], Database]
) -> None:
    for kind in KINDS:
        copied, made = opened(empty(kind)), opened(empty(kind))
        copy(opened(filled), copied)
        migrations.run(made, "upgrade", "head")
        assert schema(copied) == schema(made)


def schema(database: Database) -> list[tuple[object, ...]]:
    query = (
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%'"
        if database.in_threads
        else "SELECT 'i', indexname, tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL"
        " SELECT 'c', conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace UNION ALL SELECT 't', tgname, tgrelid::regclass::text, tgenabled::text"
        " FROM pg_trigger WHERE NOT tgisinternal"
    )
    with database.engine.connect() as connection:
        return sorted(tuple(map(str, row)) for row in connection.execute(text(query)))


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize(("step", "after"), [(COPYING, 9), (COPYING, 40), (BUILDING, 20)])
def test_a_copy_that_was_killed_goes_on(
    filled: str,
    into: str,
    step: str,
    after: int,
    empty: Callable[[str], str],
    opened: Callable[[str], Database],
) -> None:
    url = empty(into)
    arguments = [sys.executable, "-c", KILLED, filled, url, step, str(after)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(Outdated, match="run the same daicho db copy again"), Ledger(url) as ledger:
        ledger.calls.list()
    source, target = opened(filled), opened(url)
    rest = copy(source, target).rows
    assert rest == 0 if step == BUILDING else 0 < rest <= size(source)
    assert rest < size(source)
    assert all(table.same for table in compare(source, target))
    with Ledger(url) as ledger:
        assert len(ledger.calls.search("予約")) > 0


def test_a_target_that_holds_anything_is_left_alone(
    url: str, empty: Callable[[str], str], opened: Callable[[str], Database], tmp_path: Path
) -> None:
    source, other = opened(url), opened(empty("sqlite"))
    with Ledger(other.url) as ledger:
        ledger.calls.start("call-1", "c")
    with pytest.raises(Conflict, match=r"has rows already \(calls\)"):
        copy(source, other)
    assert size(other) == 2  # the call, and one that migrations make
    with pytest.raises(Invalid, match="both source and target"):
        copy(source, opened(url))
    with pytest.raises(Invalid, match="in memory"):
        copy(source, opened("sqlite://"))
    with pytest.raises(Invalid, match="there is no such file"):
        copy(opened(f"sqlite:///{tmp_path / 'nothing.db'}"), opened(empty("sqlite")))
    assert not (tmp_path / "nothing.db").exists()


def test_the_copy_of_another_source_is_not_gone_on_with(
    filled: str, empty: Callable[[str], str], opened: Callable[[str], Database]
) -> None:
    url, other = empty("sqlite"), empty("sqlite")
    subprocess.run(
        [sys.executable, "-c", KILLED, filled, url, COPYING, "5"], capture_output=True, timeout=100
    )
    with Ledger(other) as ledger:
        ledger.calls.start("call-1", "c")
    with pytest.raises(Conflict, match="unfinished copy of sqlite"):
        copy(opened(other), opened(url))


def test_rows_that_refer_to_nothing_are_told_of_before_they_are_copied(
    sqlite_url: str, empty: Callable[[str], str], opened: Callable[[str], Database]
) -> None:
    source = opened(sqlite_url)
    with Ledger(sqlite_url) as ledger:
        ledger.calls.append_log("call-1", "user", "x", client_id="c")
    with source.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA foreign_keys = OFF")
        driver.execute("DELETE FROM calls")
        driver.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(Invalid, match="call_logs: row 1 refers to a row of calls"):
        copy(source, opened(empty("postgresql")))


def test_what_differs_is_found(
    filled: str, empty: Callable[[str], str], opened: Callable[[str], Database]
) -> None:
    source, target = opened(filled), opened(empty("sqlite"))
    copy(source, target)
    for statement, table in (
        ("UPDATE call_logs SET text = text || ' ' WHERE id = 5", "call_logs"),
        (
            "UPDATE ai_usage_logs SET cost_usd = cost_usd * 1.0000001 WHERE id = (SELECT min(id) FROM ai_usage_logs WHERE cost_usd > 0)",
            "ai_usage_logs",
        ),
        ("DELETE FROM logs WHERE id = 3", "logs"),
    ):
        with target.engine.begin() as connection:
            connection.execute(text(statement))
        assert table in {one.table for one in compare(source, target) if not one.same}


@on_sqlite
def test_the_command_copies_compares_and_says_so(
    here: Here, filled: str, empty: Callable[[str], str]
) -> None:
    other = empty("sqlite")
    said = here("db", "copy", filled, other)
    assert "call_logs" in said
    assert "DIFFERENT" not in said
    answer = json.loads(here("db", "copy", filled, other, "--verify-only", "--json"))
    assert answer["same"] is True
    assert {table["table"]: table["rows"] for table in answer["tables"]}["calls"] == 124
    with Ledger(other) as ledger:
        ledger.calls.complete("odd")
    done = daicho("db", "copy", filled, other, "--verify-only")
    assert done.returncode == 1
    assert "not the same: calls" in done.stderr
    assert "DIFFERENT" in done.stdout
