"""A ``tasks`` table that seed 001's own system has made is taken over in place, with its rows."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, Text, Uuid, create_engine, inspect
from sqlalchemy.engine import make_url

from daicho import Ledger, Outdated, migrations
from daicho.ledger import open_database
from tests.migrations.test_migrations import differences

UUID = "5F0C5D2E-9A55-4F7E-8D65-0D6A3F1B2C3D"
BEGUN = datetime(2025, 11, 21, 8, 18, 22)  # noqa: DTZ001  (as SQLAlchemy keeps it on SQLite: UTC without saying so)


def seeds_own_table(*, zoned: bool, native: bool) -> Table:
    """The seed's model as its authors would write it, with the mixin's ``updated_at``."""
    counts = [
        Column(name, Integer, default=0)
        for name in ("llm_call_count", "tool_call_count", "total_tokens", "compression_count")
    ]
    return Table(
        "tasks",
        MetaData(),
        Column("uuid", Uuid(as_uuid=False) if native else String(36), primary_key=True),
        Column("task_source", String(50), nullable=False),
        Column("owner", String(255), nullable=False),
        Column("repo", String(255), nullable=False),
        Column("task_type", String(50), nullable=False),
        Column("task_id", String(50), nullable=False),
        Column("status", String(20), nullable=False, index=True),
        Column("created_at", DateTime(timezone=zoned), nullable=False, index=True),
        Column("updated_at", DateTime(timezone=zoned), nullable=False),
        Column("started_at", DateTime(timezone=zoned)),
        Column("completed_at", DateTime(timezone=zoned)),
        Column("process_id", Integer),
        Column("hostname", String(255)),
        Column("llm_provider", String(50)),
        Column("model", String(100)),
        Column("context_length", Integer),
        *counts,
        Column("error_message", Text),
        Column("user", String(255), index=True),
    )


def make(url: str, table: Table) -> None:
    place = (
        make_url(url).set(drivername="postgresql+psycopg") if url.startswith("postgresql") else make_url(url)
    )
    engine = create_engine(place)
    about = {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "42"}
    uuid = UUID.lower() if isinstance(table.c.uuid.type, Uuid) else UUID
    with engine.begin() as connection:
        table.create(connection)
        for number, counts in enumerate(
            ({"total_tokens": 7}, {"total_tokens": None, "llm_call_count": None})
        ):
            times = {"created_at": BEGUN, "updated_at": BEGUN, "started_at": BEGUN}
            row = {
                **about,
                **times,
                **counts,
                "uuid": uuid[:-1] + str(number),
                "status": "running",
                "user": "花子",
            }
            connection.execute(table.insert().values(row))
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("UPDATE tasks SET created_at = '2025-11-21 08:18:22'")
    engine.dispose()


@pytest.mark.parametrize("zoned", [True, False], ids=["with zone", "without zone"])
@pytest.mark.parametrize("native", [True, False], ids=["uuid", "text"])
def test_the_table_is_taken_over_with_its_rows(empty_url: str, zoned: bool, native: bool) -> None:
    if native and empty_url.startswith("sqlite"):
        pytest.skip("SQLite has no UUID of its own: the seed keeps 36 characters")
    make(empty_url, seeds_own_table(zoned=zoned, native=native))
    with Ledger(empty_url) as ledger, pytest.raises(Outdated, match="run: daicho db upgrade"):
        ledger.tasks.list()
    database = open_database(empty_url)
    migrations.run(database, "upgrade", "head")
    database.close()
    with Ledger(empty_url) as ledger:
        first, second = sorted(ledger.tasks.list(), key=lambda task: task.uuid)
        assert first.uuid == UUID.lower()[:-1] + "0"
        assert first.created_at == BEGUN.replace(tzinfo=UTC)
        assert (first.user, first.total_tokens, second.total_tokens, second.llm_call_count) == (
            "花子",
            7,
            0,
            0,
        )
        assert ledger.tasks.update_statistics(second.uuid, tokens=5) is True
        assert (
            ledger.tasks.create(
                {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "43"}
            ).status
            == "running"
        )
        indexes = {index["name"] for index in inspect(ledger.database.engine).get_indexes("tasks")}
        assert indexes >= {
            "ix_tasks_status",
            "ix_tasks_created_at",
            "ix_tasks_user",
            "ix_tasks_task_source_owner_repo",
        }
    left = [one for one in differences(empty_url) if "updated_at" not in str(one)]
    assert left == []


def test_an_old_file_with_times_as_text_is_to_be_adopted(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        columns = ", ".join(
            f"{column.name} {'INTEGER' if isinstance(column.type, Integer) else 'TEXT'}"
            for column in seeds_own_table(zoned=False, native=False).columns
        )
        connection.exec_driver_sql(f"CREATE TABLE tasks ({columns})")
        connection.exec_driver_sql("INSERT INTO tasks (uuid, created_at) VALUES ('x', '2025-11-21T08:18:22')")
    engine.dispose()
    database = open_database(sqlite_url)
    with pytest.raises(Outdated, match="run: daicho tasks adopt FILE"):
        migrations.run(database, "upgrade", "head")
    with database.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"tasks", "alembic_version"}
    database.close()


def test_a_table_of_that_name_that_is_not_the_seeds_is_left_alone(empty_url: str) -> None:
    database = open_database(empty_url)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE tasks (uuid VARCHAR(36) PRIMARY KEY, title TEXT)")
    with pytest.raises(Outdated, match=r"a table tasks already, without .*owner.*; rename it"):
        migrations.run(database, "upgrade", "head")
    with database.engine.connect() as connection:
        assert [column["name"] for column in inspect(connection).get_columns("tasks")] == ["uuid", "title"]
    database.close()
