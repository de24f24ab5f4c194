"""The history of the schema: up, down and up again with rows in it, and older databases adopted."""

import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import daicho
from daicho import Ledger, Outdated, migrations
from daicho.core.dialect import only_comparable
from daicho.core.model import Base
from daicho.core.types import new_uuid
from daicho.ledger import open_database
from tests.processes import python

ROOT = Path(__file__).parents[2]
ALEMBIC = ["-m", "alembic", "-c", str(ROOT / "alembic.ini")]

LIBERTYCALL = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('20251121_01');
CREATE TABLE calls (
    id INTEGER NOT NULL PRIMARY KEY, call_id VARCHAR(64) NOT NULL, client_id VARCHAR(128) NOT NULL,
    started_at DATETIME NOT NULL, ended_at DATETIME, current_state VARCHAR(64) NOT NULL,
    is_transferred BOOLEAN NOT NULL, handover_summary TEXT
);
CREATE UNIQUE INDEX ix_calls_call_id ON calls (call_id);
CREATE INDEX ix_calls_client_id ON calls (client_id);
CREATE TABLE call_logs (
    id INTEGER NOT NULL PRIMARY KEY, call_id VARCHAR(64) NOT NULL, timestamp DATETIME NOT NULL,
    role VARCHAR(16) NOT NULL, text TEXT NOT NULL, state VARCHAR(64) NOT NULL
);
CREATE INDEX ix_call_logs_call_id ON call_logs (call_id);
INSERT INTO calls VALUES (7, 'call-123', 'client-001', '2025-11-21 08:18:22.000000', NULL, 'greeting', 0, NULL);
INSERT INTO calls VALUES (9, 'call-124', '000', '2025-11-21 09:00:00', '2025-11-21 09:05:00', 'end', 1, '折り返し希望');
INSERT INTO call_logs VALUES (1, 'call-123', '2025-11-21 08:18:25.120000', 'user', 'こんにちは', 'greeting');
INSERT INTO call_logs VALUES (2, 'call-123', '2025-11-21 08:18:26', 'AI', 'お電話ありがとうございます', 'greeting');
INSERT INTO call_logs VALUES (5, 'lost-call', '2025-11-21 10:00:00', 'user', '親のない行', 'init');
"""


def alembic(url: str, *arguments: str) -> str:
    done = python(*ALEMBIC, *arguments, environment={"DATABASE_URL": url, "DAICHO_LANG": "en"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def own_source(folder: Path) -> Path:
    """A copy of the source, for what writes into it: nobody else is to see a revision come and go."""
    shutil.copytree(
        Path(daicho.__file__).parent, folder / "daicho", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


def differences(url: str) -> list[object]:
    database = open_database(url)
    try:
        with database.engine.connect() as connection:
            options = {"include_object": only_comparable(connection)}
            return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))
    finally:
        database.close()


def rows(url: str) -> list[tuple[object, ...]]:
    database = open_database(url)
    try:
        with database.engine.connect() as connection:
            calls = connection.execute(
                text("SELECT id, call_id, client_id, started_at, ended_at FROM calls ORDER BY id")
            )
            logs = connection.execute(
                text("SELECT id, call_id, timestamp, role, text, state FROM call_logs ORDER BY id")
            )
            return [tuple(row) for row in [*calls, *logs]]
    finally:
        database.close()


def fill(url: str) -> None:
    with Ledger(url) as ledger:
        for number in range(3):
            ledger.calls.start(f"call-{number}", "c")
            ledger.calls.append_log(f"call-{number}", "user", "予約をお願いします")
        ledger.calls.complete("call-1")


def test_up_down_and_up_again_keeps_every_row(url: str) -> None:
    fill(url)
    before = rows(url)
    database = open_database(url)
    for revision in reversed(list(ScriptDirectory(str(migrations.FOLDER)).walk_revisions())):
        if revision.down_revision is None:
            continue
        migrations.run(database, "downgrade", revision.down_revision)
        assert rows(url) == before
        migrations.run(database, "upgrade", "head")
        assert rows(url) == before
    database.close()
    assert differences(url) == []
    with Ledger(url) as ledger:
        assert len(ledger.calls.search("予約を")) == 3


def test_down_to_nothing_and_up_again_is_a_new_database(url: str) -> None:
    fill(url)
    database = open_database(url)
    migrations.run(database, "downgrade", "base")
    migrations.run(database, "upgrade", "head")
    database.close()
    assert rows(url) == []
    assert differences(url) == []


def test_months_of_tokyo_come_and_go_with_their_revision(url: str) -> None:
    first, last = (
        datetime(2026, 9, 30, 15, tzinfo=UTC),
        datetime(2026, 10, 31, 14, 59, 59, 999_999, tzinfo=UTC),
    )
    ends = [first - timedelta(microseconds=1), first, last, last + timedelta(microseconds=1)]
    with Ledger(url) as ledger:
        tenant = ledger.usage.create_tenant("Acme").id

        def record(*days: datetime) -> None:
            call = {"tenant_id": tenant, "operation": "o", "model": "m", "cost_usd": 0.0000019}
            ledger.usage.record_many([{**call, "created_at": day} for day in days])

        def months() -> list[tuple[object, ...]]:
            with ledger.database.engine.connect() as connection:
                columns = "bucket, calls, cost_micros, cost_rest"
                found = connection.execute(
                    text(f"SELECT {columns} FROM usage_totals WHERE grain = 'month+9' ORDER BY bucket")
                )
                return [(str(at)[:19], *sums) for at, *sums in found]

        record(*ends, *ends)
        ledger.usage.prune(datetime(2026, 10, 15, tzinfo=UTC))
        kept = months()
        micros, rest = divmod(19 * 4, 10)
        assert kept[1] == ("2026-09-30 15:00:00", 4, micros, rest * 10**11)
        assert [(at, calls) for at, calls, *_ in kept] == [
            ("2026-08-31 15:00:00", 2),
            ("2026-09-30 15:00:00", 4),
            ("2026-10-31 15:00:00", 2),
        ]
        migrations.run(ledger.database, "downgrade", "20261121_11")
        assert months() == []
        with ledger.database.engine.begin() as connection:  # as a program of then
            names = "id, tenant_id, operation, model, input_tokens, output_tokens, total_tokens, created_at"
            connection.execute(
                text(f"INSERT INTO ai_usage_logs ({names}) VALUES (:id, :tenant, 'o', 'm', 0, 0, 0, :at)"),
                {"id": new_uuid(), "tenant": tenant, "at": f"{ends[-1]:%Y-%m-%d %H:%M:%S.%f}"},
            )
        assert months() == []
        migrations.run(ledger.database, "upgrade", "head")
        assert [calls for _, calls, *_ in months()] == [2, 4, 3]
        record(ends[-1])
        assert [calls for _, calls, *_ in months()] == [2, 4, 4]
        assert sum(one.differ for one in ledger.usage.verify()) == 0


def test_autogenerate_finds_nothing(url: str) -> None:
    with Ledger(url) as ledger:
        ledger.calls.list()
    assert differences(url) == []


def test_head_is_the_newest_file_and_history_is_one_line() -> None:
    scripts = ScriptDirectory(str(migrations.FOLDER))
    assert scripts.get_heads() == [migrations.HEAD]
    assert scripts.get_bases() == ["20251121_01"]
    assert all(
        path.stem == scripts.get_revision(path.stem).revision
        for path in (migrations.FOLDER / "versions").glob("*.py")
    )


def test_the_alembic_commands_of_seed_000_work_as_printed(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    alembic(empty_url, "upgrade", "20251121_01")
    assert alembic(empty_url, "current").strip() == "20251121_01"
    alembic(empty_url, "upgrade", "head")
    assert alembic(empty_url, "current").strip() == f"{migrations.HEAD} (head)"
    assert "20251121_01" in alembic(empty_url, "history")
    alembic(empty_url, "downgrade", "-1")
    alembic(empty_url, "upgrade", "+1")
    alembic(empty_url, "downgrade", "20251121_01")
    alembic(empty_url, "upgrade", "head")


def test_the_revision_commands_of_seed_000_write_a_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = own_source(tmp_path / "own" / "src") / "daicho" / "migrations" / "versions"
    shutil.copy(ROOT / "alembic.ini", tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    before = set(versions.glob("*.py"))
    for arguments in (["-m", "説明"], ["--autogenerate", "-m", "説明"]):
        subprocess.run(
            [sys.executable, "-m", "alembic", "revision", *arguments],
            env=os.environ | {"DATABASE_URL": url, "PYTHONPATH": "src"},
            check=True,
        )
        (made,) = set(versions.glob("*.py")) - before
        assert "説明" in made.read_text()
        assert "    pass" in made.read_text()
        made.unlink()


def test_a_libertycall_file_is_upgraded_in_place(tmp_path: Path) -> None:
    path = tmp_path / "call_console.db"
    with sqlite3.connect(path) as old:
        old.executescript(LIBERTYCALL)
    url = f"sqlite:///{path}"
    with Ledger(url) as ledger, pytest.raises(Outdated, match="run: daicho db upgrade"):
        ledger.calls.list()
    alembic(url, "upgrade", "head")
    assert differences(url) == []
    with Ledger(url) as ledger:
        call = ledger.calls.get("call-123")
        assert (call.id, call.started_at) == (7, datetime(2025, 11, 21, 8, 18, 22, tzinfo=UTC))
        assert ledger.calls.get("call-124").handover_summary == "折り返し希望"
        lines = ledger.calls.transcript("call-123").items
        assert [(line.id, line.role) for line in lines] == [(1, "user"), (2, "ai")]
        assert ledger.calls.transcript("call-123").items[0].timestamp.microsecond == 120_000
        lost = ledger.calls.get("lost-call")
        assert (lost.client_id, lost.current_state) == ("", "unknown")
        assert [hit.log.text for hit in ledger.calls.search("親のない")] == ["親のない行"]
        assert ledger.calls.append_log("call-123", "user", "続き", state="x").id == 6
        assert [c.call_id for c in ledger.calls.list()] == ["lost-call", "call-124", "call-123"]
    alembic(url, "downgrade", "20251121_01")
    with sqlite3.connect(path) as old:
        assert old.execute("SELECT started_at FROM calls WHERE call_id = 'call-123'").fetchone() == (
            "2025-11-21 08:18:22.000000",
        )


def test_a_database_newer_than_the_code_is_said(url: str) -> None:
    with Ledger(url) as ledger:
        ledger.calls.list()
        with ledger.database.engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '20991231_99'"))
    with Ledger(url) as ledger, pytest.raises(Outdated, match="20991231_99, newer than this Daicho"):
        ledger.calls.list()


def test_pending_migrations_are_said(url: str) -> None:
    with Ledger(url) as ledger:
        ledger.calls.list()
        migrations.run(ledger.database, "downgrade", "20251121_01")
    with Ledger(url) as ledger, pytest.raises(Outdated, match="at revision 20251121_01.*daicho db upgrade"):
        ledger.calls.list()


def test_an_empty_postgresql_is_not_set_up_behind_ones_back(new_postgres) -> None:  # type: ignore[no-untyped-def]
    with (
        Ledger(new_postgres(migrated=False)) as ledger,
        pytest.raises(Outdated, match=r"\(none\).*db upgrade"),
    ):
        ledger.calls.list()


def test_somebody_elses_database_is_said(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE things (uuid TEXT)")
    with (
        Ledger(f"sqlite:///{tmp_path / 'other.db'}") as ledger,
        pytest.raises(Outdated, match="things.*no revision"),
    ):
        ledger.calls.list()


def test_an_unknown_revision_is_said(url: str) -> None:
    database = open_database(url)
    with pytest.raises(Outdated, match="nowhere"):
        migrations.run(database, "upgrade", "nowhere")
    database.close()


def test_processes_that_open_a_new_file_together_set_it_up_once(unmade_url: str) -> None:
    start = "import sys; from daicho import Ledger; Ledger(sys.argv[1]).calls.start(sys.argv[2], 'c')"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", start, unmade_url, f"call-{n}"], stderr=subprocess.PIPE, text=True
        )
        for n in range(5)
    ]
    assert [(child.wait(), child.stderr and child.stderr.read()) for child in children] == [(0, "")] * 5
    with Ledger(unmade_url) as ledger:
        assert len(ledger.calls.list()) == 5


def test_processes_that_upgrade_postgresql_together_do_it_once(new_postgres) -> None:  # type: ignore[no-untyped-def]
    url = new_postgres(migrated=False)
    upgrade = "import sys; from daicho import migrations; from daicho.ledger import open_database; migrations.run(open_database(sys.argv[1]), 'upgrade', 'head')"
    children = [
        subprocess.Popen([sys.executable, "-c", upgrade, url], stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    assert [(child.wait(), child.stderr and child.stderr.read()) for child in children] == [(0, "")] * 4
    assert differences(url) == []
