"""Seed 001, the coding agent: its folders of names, on each database."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from sqlalchemy import String, text
from sqlalchemy.orm import Mapped, mapped_column

import daicho_dropin
import db
from context_storage import MessageStore, SummaryStore, ToolStore
from context_storage.task_context_manager import TaskContextManager
from daicho import Invalid, Ledger
from db.config import get_database_url, get_settings
from db.connection import DatabaseConnection
from db.models.base import Base, TimestampMixin
from db.models.task import Task
from db.repositories.task_repository import TaskRepository
from tests.dropin.printed import printed

ISSUE = {"task_source": "github", "owner": "daicho", "repo": "ledger", "task_type": "issue", "task_id": "42"}


def test_the_table_of_the_repository(configured: str) -> None:
    tasks = TaskRepository()
    task = tasks.create({**ISSUE, "user": "花子", "created_at": datetime.now()})
    assert (type(task), task.status) == (Task, "running")
    assert abs((datetime.now(UTC) - task.created_at).total_seconds()) < 60
    assert tasks.get_by_uuid(task.uuid).uuid == task.uuid
    assert tasks.update(task.uuid, {"model": "gpt-5", "started_at": datetime.now()}).model == "gpt-5"
    assert tasks.update_statistics(task.uuid, llm_calls=1, tool_calls=2, tokens=3, compressions=4)
    assert tasks.update_status(task.uuid, "paused", error_message=None)
    assert [one.uuid for one in tasks.list_by_status("paused", limit=10, offset=0)] == [task.uuid]
    assert [one.uuid for one in tasks.list_by_user("花子", 10, 0)] == [task.uuid]
    assert tasks.complete(task.uuid)
    other = TaskRepository(DatabaseConnection()).create({**ISSUE, "uuid": str(uuid4())})
    assert tasks.fail(other.uuid, "駄目")
    assert tasks.delete(other.uuid)
    nobody = str(uuid4())
    assert tasks.get_by_uuid(nobody) is tasks.update(nobody, {"model": "x"}) is None
    assert (tasks.complete(nobody), tasks.fail(nobody, "x"), tasks.delete(nobody)) == (False, False, False)
    with Ledger(configured) as ledger:
        kept = ledger.tasks.get_by_uuid(task.uuid)
        assert (kept.status, kept.llm_call_count, kept.tool_call_count) == ("completed", 1, 2)
        assert (kept.total_tokens, kept.compression_count) == (3, 4)


def test_one_connection_with_a_session_for_each_thread(configured: str) -> None:
    connection = DatabaseConnection()
    assert connection is DatabaseConnection.get_instance() is db.DatabaseConnection()
    at = datetime.now(UTC)

    def new(uuid: str) -> Task:
        return Task(uuid=uuid, status="running", created_at=at, **ISSUE)

    first, second, third = (str(uuid4()) for _ in range(3))
    with connection.get_session() as session:
        session.add(made := new(first))
        assert connection.session_factory() is session
        others: list[bool] = []
        thread = threading.Thread(target=lambda: others.append(connection.session_factory() is session))
        thread.start()
        thread.join()
        assert others == [False]
        with pytest.raises(ZeroDivisionError), connection.get_session() as inner:  # undoes itself alone
            inner.add(new(second))
            inner.flush()
            raise ZeroDivisionError
    assert (made.uuid, made.llm_call_count) == (first, 0)
    with pytest.raises(ZeroDivisionError), connection.session_scope() as session:
        session.add(new(third))
        session.flush()
        raise ZeroDivisionError
    assert [bool(TaskRepository().get_by_uuid(uuid)) for uuid in (first, second, third)] == [
        True,
        False,
        False,
    ]
    with connection.engine.connect() as statements:
        assert statements.execute(text("SELECT count(*) FROM tasks")).scalar() == 1
        pool = statements.engine.pool
        assert (pool.size(), pool._max_overflow, pool._timeout, pool._recycle) == (5, 10, 30, 3600)


def test_tables_are_made_for_development(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_url)
    DatabaseConnection().create_tables()
    assert TaskRepository().list_by_status("running") == []


def test_the_file_as_printed_says_where_the_database_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text(printed("001", "# データベース設定", "yaml"))
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert get_database_url(config) == get_database_url() == "sqlite+pysqlite:///contexts/tasks.db"
    assert get_settings().database.pool.recycle == 3600
    TaskRepository(DatabaseConnection(config)).create(ISSUE)
    assert (tmp_path / "contexts" / "tasks.db").is_file()
    monkeypatch.setenv("DATABASE_TYPE", "postgresql")
    monkeypatch.setenv("DATABASE_USER", "agent")
    monkeypatch.setenv("DATABASE_PASSWORD", "himitsu")
    assert get_database_url(config) == "postgresql+psycopg://agent:himitsu@localhost:5432/coding_agent"
    with pytest.raises(Invalid, match="databse"):
        get_settings({"database": {"databse": 1}})


def test_a_task_with_its_stores(configured: str, tmp_path: Path) -> None:
    uuid = str(uuid4())
    config = {"context_storage": {"base_dir": str(tmp_path / "contexts")}, "llm": {"provider": "openai"}}
    with TaskContextManager(ISSUE, uuid, config, user="花子", is_resumed=False) as task:
        messages, summaries, tools = task.get_message_store(), task.get_summary_store(), task.get_tool_store()
        assert (type(messages), type(summaries), type(tools)) == (MessageStore, SummaryStore, ToolStore)
        messages.add_message("user", "失敗するテストを直してください", tokens=12)
        task.update_statistics(llm_calls=1, tokens=12)
    assert TaskRepository().get_by_uuid(uuid).status == "completed"
    (line,) = (tmp_path / "contexts" / "completed" / uuid / "messages.jsonl").read_text().splitlines()
    assert json.loads(line)["content"] == "失敗するテストを直してください"


def test_models_of_ones_own_stand_on_the_same_base(configured: str) -> None:
    class Note(TimestampMixin, Base):
        __tablename__ = "own_notes"
        id: Mapped[int] = mapped_column(primary_key=True)
        text: Mapped[str] = mapped_column(String(20), index=True)

    try:
        connection = DatabaseConnection()
        Base.metadata.create_all(connection.engine)
        with connection.get_session() as session:
            session.add(note := Note(text="a"))
        with connection.get_session() as session:
            session.get_one(Note, note.id).text = "b"
        with connection.get_session() as session:
            kept = session.query(Note).filter(Note.created_at <= datetime.now()).one()
        assert kept.created_at < kept.updated_at
        assert [index.name for index in Note.__table__.indexes] == ["ix_own_notes_text"]
    finally:
        Base.metadata.remove(Note.__table__)
        Base.registry._dispose_cls(Note)


def test_the_ledger_is_opened_anew_after_closing(configured: str) -> None:
    DatabaseConnection().close()
    assert TaskRepository().list_by_user("x") == []
    daicho_dropin.close()
    assert TaskRepository().list_by_user("x") == []
