"""docs/migrating.md: the five moves as it tells them, there and back, each with a database of the old program."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url
from sqlmodel import Session as OldSession
from sqlmodel import SQLModel, create_engine

from tests.dropin.printed import run_now
from tests.dropin.test_alembic import INI
from tests.guilds import test_adoption as bot
from tests.members.test_seed import ROWS, MemberDatabase, make_as_printed, member_db  # noqa: F401
from tests.migrations.test_migrations import LIBERTYCALL
from tests.migrations.test_usage_taken_over import DIAGNOLEADS
from tests.postgres import Cluster
from tests.processes import python
from tests.tasks.test_adoption import CONFIG, old, row

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def chapters(name: str) -> list[list[tuple[str, str]]]:
    text = (ROOT / "docs" / name).read_text()
    return [FENCE.findall(chapter) for chapter in text.split("\n## ")[2:]]


LIBERTYCALL_CHAPTER, AGENT, MEMBERS, USAGE, BOT = chapters("migrating.md")


class Mover:
    """Someone who follows a chapter in a folder, with PostgreSQL's programs at hand."""

    def __init__(self, folder: Path, cluster: Cluster, shell: Callable[[str], str]) -> None:
        self._folder, self._cluster, self._shell = folder, cluster, shell
        (folder / "alembic.ini").write_text(INI)

    def follow(self, chapter: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Run the chapter's commands, and yield each with what it has said."""
        for kind, block in chapter:
            if kind == "env":
                address = f"127.0.0.1:{self._cluster.port}"
                (self._folder / ".env").write_text(block.replace("localhost:5432", address))
            elif kind == "sh":
                for line in block.splitlines():
                    yield line, self._run(line)

    def _run(self, line: str) -> str:
        words = line.split()
        own = {"DAICHO_LANG": "en"}
        while "=" in words[0]:
            name, value = words.pop(0).split("=", 1)
            own[name] = value
        if words[0] not in {"daicho", "alembic"}:
            return self._shell(line)
        done = python("-m", *words, environment=own, folder=self._folder)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout + done.stderr


@pytest.fixture
def mover(tmp_path: Path, cluster: Cluster) -> Mover:
    shell = MemberDatabase.shell
    return Mover(tmp_path, cluster, lambda line: shell(SimpleNamespace(_cluster=cluster), line))  # type: ignore[arg-type]


def said(steps: Iterator[tuple[str, str]]) -> dict[str, str]:
    return dict(steps)


def test_libertycall(mover: Mover, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "call_console.db")) as before:
        before.executescript(LIBERTYCALL)
    steps = mover.follow(LIBERTYCALL_CHAPTER)
    answers: dict[str, str] = {}
    for line, answer in steps:
        answers[line] = answer
        if line == "daicho db upgrade":
            code = "from console_backend.service_client import append_call_log as a; a('call-123', 'ai', 'はい', 'x')"
            assert _dropin(code, tmp_path).returncode == 0
    assert "call-124" in answers["daicho calls list"]
    assert "こんにちは" in answers["daicho calls show call-123"]
    assert "はい" in answers["daicho calls show call-123"]
    with closing(sqlite3.connect(tmp_path / "call_console.db")) as after:
        assert after.execute("SELECT version_num FROM alembic_version").fetchone() == ("20251121_01",)
        assert after.execute("SELECT text FROM call_logs ORDER BY id DESC").fetchone() == ("はい",)
    with closing(sqlite3.connect(tmp_path / "call_console.before.db")) as copy:
        assert copy.execute("SELECT count(*) FROM calls").fetchone() == (2,)


def test_the_coding_agent(mover: Mover, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    old(tmp_path / "contexts" / "tasks.db", row(1), row(2, created_at="2025-11-21 17:18:22"))
    for line, answer in mover.follow(AGENT):
        if line == "daicho tasks list":
            assert "daicho/ledger" in answer
            code = "from db import TaskRepository as T; print(T().list_by_status('completed')[0].created_at)"
            assert _dropin(code, tmp_path).stdout == "2025-11-21 08:18:22+00:00\n"
    with closing(sqlite3.connect(tmp_path / "contexts" / "tasks.db")) as back:
        assert back.execute("SELECT typeof(created_at) FROM tasks LIMIT 1").fetchone() == ("text",)
        assert back.execute("SELECT count(*) FROM sqlite_master WHERE name = 'calls'").fetchone() == (0,)


def test_vecr_garage(mover: Mover, member_db: MemberDatabase, tmp_path: Path, monkeypatch: Any) -> None:  # noqa: F811
    make_as_printed(member_db)
    member_db.shell("psql -U testuser -d member_db", ROWS)
    with psycopg.connect(member_db._cluster.url(), autocommit=True) as server:
        server.execute("ALTER ROLE testuser CREATEDB")
    try:
        answers = said(mover.follow(MEMBERS))
        assert "田中 美咲" in answers["daicho members list"]
        assert "2" in answers['psql -U testuser -d member_db -c "SELECT COUNT(*) FROM human_members"']
        code = "from db.database import *\nwith SessionLocal() as s: print(save_or_update_human_member(s, {'name': 'Noah', 'role': 'x'}).id)"
        assert _dropin(code, tmp_path).stdout == "2\n"
        with psycopg.connect(member_db.url.replace("member_db", "member_db_before")) as back:
            assert back.execute("SELECT count(*) FROM human_members").fetchone() == (2,)
    finally:
        with psycopg.connect(member_db._cluster.url(), autocommit=True) as server:
            server.execute("DROP DATABASE IF EXISTS member_db_before WITH (FORCE)")


def test_diagnoleads(mover: Mover, cluster: Cluster, tmp_path: Path) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as server:
        server.execute("CREATE DATABASE diagnoleads TEMPLATE template0")
    try:
        with psycopg.connect(cluster.url("diagnoleads"), autocommit=True) as before:
            before.execute(DIAGNOLEADS)
        answers = said(mover.follow(USAGE))
        assert "analyze_lead_insights" in answers["daicho usage list"]
        assert "3,000" in answers["daicho usage report --month 2025-11"]
        with psycopg.connect(cluster.url("diagnoleads")) as after:
            assert after.execute("SELECT version_num FROM alembic_version").fetchone() == ("b2c3d4e5f6g7",)
            assert after.execute("SELECT sum(total_tokens) FROM ai_usage_logs").fetchone() == (3000,)
        assert (tmp_path / "backup.sql").stat().st_size > 1000
    finally:
        with psycopg.connect(cluster.url(), autocommit=True) as server:
            server.execute("DROP DATABASE diagnoleads WITH (FORCE)")


def test_kyrios(mover: Mover, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'kyrios.db'}")
    tables = [model.__table__ for model in (bot.GuildSettings, bot.Ticket)]  # type: ignore[attr-defined]
    SQLModel.metadata.create_all(engine, tables=tables)
    with OldSession(engine) as session:
        session.add_all([bot.GuildSettings(guild_id=bot.GUILD), bot.Ticket(title="壊れた")])
        session.commit()
    engine.dispose()
    for line, answer in mover.follow(BOT):
        if line.endswith("guilds tickets"):
            assert "壊れた" in answer
            code = (
                "import asyncio; from database.manager import DatabaseManager\n"
                "print(asyncio.run(DatabaseManager('kyrios.db').get_ticket(ticket_id=1)).created_at)"
            )
            assert _dropin(code, tmp_path).stdout.startswith(str(bot.MOMENT)[:19])
    with closing(sqlite3.connect(tmp_path / "kyrios.db")) as back:
        assert back.execute("SELECT title FROM ticket").fetchone() == ("壊れた",)
    assert (tmp_path / "kyrios.daicho.db").is_file()


def _dropin(code: str, folder: Path) -> Any:
    """Run existing code in a process of its own, in the folder with its settings."""
    path = str(ROOT / "dropin")
    done = python("-c", f"import sys; sys.path.insert(0, {path!r})\n{code}", environment={}, folder=folder)
    assert done.returncode == 0, done.stderr
    return done


def test_both_languages_say_the_same() -> None:
    strip = re.compile(r" +#.*")
    english, japanese = (
        [strip.sub("", code) for _, code in FENCE.findall((ROOT / "docs" / name).read_text())]
        for name in ("migrating.md", "migrating.ja.md")
    )
    assert english == japanese
    for kind, code in FENCE.findall((ROOT / "docs" / "migrating.md").read_text()):
        if kind == "python":
            run_now(code)
    assert make_url("sqlite:///daicho.db").database == "daicho.db"
