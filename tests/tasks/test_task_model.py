"""The model of seed 001: its columns, types, limits and indexes on both databases (test_task_model.py)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite

from daicho import Invalid, Ledger
from daicho.tasks.models import ADDED, Task
from tests.tasks.conftest import ABOUT

SEED = {
    "uuid": ("VARCHAR(36)", "UUID", False),
    "task_source": ("VARCHAR(50)", "VARCHAR(50)", False),
    "owner": ("VARCHAR(255)", "VARCHAR(255)", False),
    "repo": ("VARCHAR(255)", "VARCHAR(255)", False),
    "task_type": ("VARCHAR(50)", "VARCHAR(50)", False),
    "task_id": ("VARCHAR(50)", "VARCHAR(50)", False),
    "status": ("VARCHAR(20)", "VARCHAR(20)", False),
    "created_at": ("DATETIME", "TIMESTAMP WITH TIME ZONE", False),
    "started_at": ("DATETIME", "TIMESTAMP WITH TIME ZONE", True),
    "completed_at": ("DATETIME", "TIMESTAMP WITH TIME ZONE", True),
    "process_id": ("INTEGER", "INTEGER", True),
    "hostname": ("VARCHAR(255)", "VARCHAR(255)", True),
    "llm_provider": ("VARCHAR(50)", "VARCHAR(50)", True),
    "model": ("VARCHAR(100)", "VARCHAR(100)", True),
    "context_length": ("INTEGER", "INTEGER", True),
    "llm_call_count": ("INTEGER", "INTEGER", True),
    "tool_call_count": ("INTEGER", "INTEGER", True),
    "total_tokens": ("INTEGER", "INTEGER", True),
    "compression_count": ("INTEGER", "INTEGER", True),
    "error_message": ("TEXT", "TEXT", True),
    "user": ("VARCHAR(255)", "VARCHAR(255)", True),
}
INDEXES = {
    "ix_tasks_status": ["status"],
    "ix_tasks_created_at": ["created_at"],
    "ix_tasks_user": ["user"],
    "ix_tasks_task_source_owner_repo": ["task_source", "owner", "repo"],
}
TOKYO = timezone(timedelta(hours=9))


def test_the_columns_are_those_of_the_seed_and_two_more() -> None:
    columns = Task.__table__.columns
    assert {column.name for column in columns} == SEED.keys() | ADDED
    for name, (lite, full, nullable) in SEED.items():
        column = columns[name]
        assert column.type.compile(sqlite.dialect()) == lite
        assert column.type.compile(postgresql.dialect()) == full
        assert column.nullable is nullable
    assert all(columns[name].nullable for name in ADDED)
    assert [column.name for column in Task.__table__.primary_key] == ["uuid"]


def test_the_database_has_the_seeds_columns_and_its_four_indexes(ledger: Ledger) -> None:
    ledger.tasks.list()
    found = inspect(ledger.database.engine)
    kind = 0 if ledger.database.in_threads else 1
    for column in found.get_columns("tasks"):
        if column["name"] in SEED:
            wanted = SEED[column["name"]]
            assert column["type"].compile(ledger.database.engine.dialect) == wanted[kind]
            assert column["nullable"] is wanted[2]
    assert {index["name"]: index["column_names"] for index in found.get_indexes("tasks")} == INDEXES


def test_counts_that_nobody_gives_are_zero_in_the_database_too(ledger: Ledger) -> None:
    ledger.tasks.list()
    with ledger.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO tasks (uuid, task_source, owner, repo, task_type, task_id, status, created_at)"
            " VALUES ('5f0c5d2e-9a55-4f7e-8d65-0d6a3f1b2c3d', 'github', 'o', 'r', 'issue', '1', 'running',"
            " '2026-11-21 08:00:00')"
        )
    task = ledger.tasks.get_by_uuid("5f0c5d2e-9a55-4f7e-8d65-0d6a3f1b2c3d")
    assert task is not None
    counts = (task.llm_call_count, task.tool_call_count, task.total_tokens, task.compression_count)
    assert counts == (0, 0, 0, 0)


SPELLINGS: dict[str, Callable[[UUID], object]] = {
    "text": str,
    "upper case": lambda uuid: str(uuid).upper(),
    "digits": lambda uuid: uuid.hex,
    "braces": lambda uuid: f"{{{uuid}}}",
    "UUID": lambda uuid: uuid,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_uuid_is_the_same_in_every_spelling(ledger: Ledger, spelling: str) -> None:
    uuid = uuid4()
    given = SPELLINGS[spelling](uuid)
    assert ledger.tasks.create({**ABOUT, "uuid": given}).uuid == str(uuid)
    assert ledger.tasks.get_by_uuid(given) is not None  # type: ignore[arg-type]


def test_instants_come_back_in_utc(ledger: Ledger) -> None:
    at = datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=TOKYO)
    task = ledger.tasks.create({**ABOUT, "created_at": at})
    kept = ledger.tasks.get_by_uuid(task.uuid)
    assert kept is not None
    assert kept.created_at == at
    assert kept.created_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"uuid": "not-a-uuid"}, "uuid is not a UUID"),
        ({"owner": "o" * 256}, "owner is 256 characters long; at most 255 fit"),
        ({"owner": "a\x00b"}, "owner has a NUL byte"),
        ({"process_id": 2**31}, "process_id is 2,147,483,648"),
        ({"process_id": "12"}, "process_id must be a whole number, not str"),
        ({"created_at": datetime(2026, 11, 21)}, "has no time zone"),  # noqa: DTZ001
        ({"created_at": "2026-11-21"}, "created_at must be a datetime, not str"),
        ({"ownr": "x"}, "did you mean 'owner'"),
        ({"task_id": 42}, "task_id must be text, not int"),
    ],
)
def test_what_does_not_fit_names_the_column_and_the_reason(values: dict[str, object], reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        Task.row(**{**ABOUT, **values})
