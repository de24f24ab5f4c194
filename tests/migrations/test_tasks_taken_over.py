"""A ``tasks`` table that seed 001's own system has made is taken over in place, with its rows."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    create_engine,
    inspect,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from daicho import Ledger, Outdated, migrations
from daicho.ledger import open_database
from tests.migrations.test_migrations import differences

ABOUT = {"task_source": "github", "owner": "o", "repo": "r", "task_type": "issue", "task_id": "42"}
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


def plain_engine(url: str) -> Engine:
    """An engine without any of Daicho's rules: as another program would open the database."""
    place = make_url(url)
    return create_engine(place.set(drivername="postgresql+psycopg") if url.startswith("postgres") else place)


def make(url: str, table: Table) -> None:
    engine = plain_engine(url)
    uuid = UUID.lower() if isinstance(table.c.uuid.type, Uuid) else UUID
    with engine.begin() as connection:
        table.create(connection)
        for number, counts in enumerate(
            ({"total_tokens": 7}, {"total_tokens": None, "llm_call_count": None})
        ):
            times = {"created_at": BEGUN, "updated_at": BEGUN, "started_at": BEGUN}
            row = {
                **ABOUT,
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


def upgrade(url: str) -> None:
    database = open_database(url)
    try:
        migrations.run(database, "upgrade", "head")
    finally:
        database.close()


def execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as another program would; return what the last one finds."""
    engine = plain_engine(url)
    with engine.begin() as connection:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        found = [tuple(row) for row in results[-1]] if results[-1].returns_rows else []
    engine.dispose()
    return found


def spelled(url: str, *uuids: str | None, kind: str = "VARCHAR(64)") -> None:
    """Make the seed's table with uuids in these spellings, and an ``updated_at`` and a ``notes`` besides."""
    table = seeds_own_table(zoned=False, native=False)
    counts = ", ".join(f"{column.name} INTEGER" for column in table.c if column.default is not None)
    values = "'github', 'o', 'r', 'issue', '42', 'running', '2025-11-21 08:18:22', '2025-11-22 00:00:00'"
    execute(
        url,
        f"CREATE TABLE tasks (uuid {kind} PRIMARY KEY, task_source VARCHAR(50), owner VARCHAR(255),"
        " repo VARCHAR(255), task_type VARCHAR(50), task_id VARCHAR(50), status VARCHAR(20),"
        " created_at TIMESTAMP, updated_at TIMESTAMP NOT NULL, started_at TIMESTAMP, completed_at TIMESTAMP,"
        " process_id INTEGER, hostname VARCHAR(255), llm_provider VARCHAR(50), model VARCHAR(100),"
        f' context_length INTEGER, {counts}, error_message TEXT, "user" VARCHAR(255),'
        ' "my notes" VARCHAR(7))',
        *[
            "INSERT INTO tasks (uuid, task_source, owner, repo, task_type, task_id, status, created_at,"
            f" updated_at, \"my notes\") VALUES ({'NULL' if uuid is None else repr(uuid)}, {values}, '0042')"
            for uuid in uuids
        ],
    )


def contents(url: str) -> list[object]:
    """All that a database holds of tasks: its tables' columns, and the rows."""
    engine = plain_engine(url)
    with engine.connect() as connection:
        inspector = inspect(connection)
        tables = sorted(set(inspector.get_table_names()) - {"alembic_version"})
        shape = [(t, [(c["name"], str(c["type"])) for c in inspector.get_columns(t)]) for t in tables]
    engine.dispose()
    return [*shape, *sorted(execute(url, "SELECT * FROM tasks"), key=repr)]


@pytest.mark.parametrize("zoned", [True, False], ids=["with zone", "without zone"])
@pytest.mark.parametrize("native", [True, False], ids=["uuid", "text"])
def test_the_table_is_taken_over_with_its_rows(empty_url: str, zoned: bool, native: bool) -> None:
    make(empty_url, seeds_own_table(zoned=zoned, native=native))
    with Ledger(empty_url) as ledger, pytest.raises(Outdated, match="run: daicho db upgrade"):
        ledger.tasks.list()
    upgrade(empty_url)
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


def test_an_old_file_with_times_as_text_is_to_be_adopted(unmade_url: str) -> None:
    engine = create_engine(unmade_url)
    with engine.begin() as connection:
        columns = ", ".join(
            f"{column.name} {'INTEGER' if isinstance(column.type, Integer) else 'TEXT'}"
            for column in seeds_own_table(zoned=False, native=False).columns
        )
        connection.exec_driver_sql(f"CREATE TABLE tasks ({columns})")
        connection.exec_driver_sql("INSERT INTO tasks (uuid, created_at) VALUES ('x', '2025-11-21T08:18:22')")
    engine.dispose()
    database = open_database(unmade_url)
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


def test_further_columns_stay_with_their_type_and_data(empty_url: str) -> None:
    spelled(empty_url, UUID)
    if empty_url.startswith("sqlite"):
        execute(
            empty_url,
            "ALTER TABLE tasks ADD COLUMN untyped",
            "ALTER TABLE tasks ADD COLUMN price MONEY NOT NULL DEFAULT '1.50'",
            "UPDATE tasks SET untyped = x'00ff'",
        )
    else:
        execute(empty_url, "ALTER TABLE tasks ADD COLUMN price NUMERIC(6, 2) NOT NULL DEFAULT '1.50'")
    kept = '"my notes", updated_at, price' + (", untyped" if empty_url.startswith("sqlite") else "")
    before = execute(empty_url, f"SELECT {kept} FROM tasks")
    upgrade(empty_url)
    assert execute(empty_url, f"SELECT {kept} FROM tasks") == before
    engine = plain_engine(empty_url)
    further = {column["name"]: column for column in inspect(engine).get_columns("tasks")}
    engine.dispose()
    assert str(further["my notes"]["type"]) == "VARCHAR(7)"
    assert [further[name]["nullable"] for name in ("my notes", "updated_at", "price")] == [True] * 3
    with Ledger(empty_url) as ledger:
        task = ledger.tasks.create(ABOUT)
    assert ("0042",) in execute(empty_url, 'SELECT "my notes" FROM tasks')
    assert execute(empty_url, f"SELECT \"my notes\" FROM tasks WHERE uuid = '{task.uuid}'") == [(None,)]


@pytest.mark.parametrize(
    "spelling",
    [
        UUID,
        UUID.lower(),
        UUID.replace("-", ""),
        "{" + UUID + "}",
        f"urn:uuid:{UUID.lower()}",
        UUID.lower().replace("-", "") + "    ",
    ],
)
@pytest.mark.parametrize("kind", ["VARCHAR(64)", "CHAR(64)", "TEXT"])
def test_uuids_arrive_in_one_spelling(empty_url: str, spelling: str, kind: str) -> None:
    spelled(empty_url, spelling, kind=kind)
    upgrade(empty_url)
    assert [str(uuid) for (uuid,) in execute(empty_url, "SELECT uuid FROM tasks")] == [UUID.lower()]
    with Ledger(empty_url) as ledger:
        assert [task.uuid for task in ledger.tasks.list()] == [UUID.lower()]


def stopped_by(url: str, wrong: str | None) -> None:
    spelled(url, UUID, wrong)
    before = contents(url)
    with pytest.raises(Outdated, match=r"no UUID \(1\): .*\(o/r 42\); correct or delete them") as caught:
        upgrade(url)
    assert repr(str(wrong)) in str(caught.value)
    assert contents(url) == before


@pytest.mark.parametrize(
    "wrong", ["", "42", UUID[:-1], UUID + "0", "+" + UUID.replace("-", "")[1:], "花" * 32]
)
def test_what_is_no_uuid_stops_the_migration(empty_url: str, wrong: str) -> None:
    stopped_by(empty_url, wrong)


def test_a_missing_uuid_which_only_sqlite_allows_stops_the_migration(unmade_url: str) -> None:
    stopped_by(unmade_url, None)


def test_of_many_that_are_no_uuid_the_first_few_are_named(empty_url: str) -> None:
    spelled(empty_url, *[f"task-{number}" for number in range(5)])
    with pytest.raises(Outdated, match=r"no UUID \(5\): 'task-0' .*'task-1' .*'task-2' \(o/r 42\), …;"):
        upgrade(empty_url)


def test_two_spellings_of_one_uuid_stop_the_migration(empty_url: str) -> None:
    bare = UUID.lower().replace("-", "")
    spelled(empty_url, UUID, bare, UUID[:-1] + "0")
    before = contents(empty_url)
    with pytest.raises(Outdated, match=rf"\(1\): {UUID} = {bare}; keep one row of each"):
        upgrade(empty_url)
    assert contents(empty_url) == before
    execute(empty_url, f"DELETE FROM tasks WHERE uuid = '{bare}'")
    upgrade(empty_url)
    with Ledger(empty_url) as ledger:
        assert sorted(task.uuid[-1] for task in ledger.tasks.list()) == ["0", "d"]


@pytest.mark.parametrize("name", ["heartbeat_at", "process_identity"])
def test_a_column_that_daicho_will_add_is_said_before_anything_changes(empty_url: str, name: str) -> None:
    spelled(empty_url, UUID)
    execute(empty_url, f"ALTER TABLE tasks ADD COLUMN {name} TEXT")
    before = contents(empty_url)
    with pytest.raises(Outdated, match=f"columns of its own named {name}.*rename them"):
        upgrade(empty_url)
    assert contents(empty_url) == before


REFERENCING = "CREATE TABLE remarks (id INTEGER PRIMARY KEY, task VARCHAR(64) {}, text TEXT)"


@pytest.mark.parametrize(
    "reference", ["REFERENCES tasks (uuid) ON DELETE CASCADE", "REFERENCES Tasks", "REFERENCES tasks (UUID)"]
)
def test_a_table_that_references_tasks_does_so_afterwards(unmade_url: str, reference: str) -> None:
    spelled(unmade_url, UUID, UUID[:-1] + "0")
    execute(
        unmade_url,
        REFERENCING.format(reference),
        f"INSERT INTO remarks VALUES (1, '{UUID}', 'a'), (2, '{UUID[:-1]}0', 'b'), (3, NULL, 'c')",
        "CREATE VIEW shown AS SELECT uuid, text FROM tasks JOIN remarks ON task = uuid",
    )
    upgrade(unmade_url)
    lower = UUID.lower()
    assert execute(unmade_url, "SELECT task FROM remarks") == [(lower,), (lower[:-1] + "0",), (None,)]
    assert sorted(execute(unmade_url, "SELECT uuid, text FROM shown")) == [
        (lower[:-1] + "0", "b"),
        (lower, "a"),
    ]
    with Ledger(unmade_url) as ledger:
        ledger.tasks.list()
        with (
            pytest.raises(IntegrityError, match="FOREIGN KEY"),
            ledger.database.engine.begin() as connection,
        ):
            connection.exec_driver_sql("INSERT INTO remarks VALUES (4, 'nowhere', 'd')")
        if "CASCADE" in reference:
            ledger.tasks.delete(UUID)
            assert execute(unmade_url, "SELECT id FROM remarks") == [(2,), (3,)]


def test_a_tasks_own_parent_is_kept_and_spelled_alike(unmade_url: str) -> None:
    spelled(unmade_url, UUID, UUID[:-1] + "0")
    execute(
        unmade_url,
        "ALTER TABLE tasks ADD COLUMN parent VARCHAR(36) REFERENCES tasks (uuid)",
        f"UPDATE tasks SET parent = '{UUID}' WHERE uuid <> '{UUID}'",
    )
    upgrade(unmade_url)
    assert sorted(execute(unmade_url, "SELECT uuid, parent FROM tasks")) == [
        (UUID.lower()[:-1] + "0", UUID.lower()),
        (UUID.lower(), None),
    ]


def test_rows_that_reference_no_task_are_named(unmade_url: str) -> None:
    spelled(unmade_url, UUID)
    execute(
        unmade_url,
        REFERENCING.format("REFERENCES tasks (uuid)"),
        f"INSERT INTO remarks VALUES (1, '{UUID}', 'a'), (7, 'nowhere', 'b')",
    )
    before = contents(unmade_url)
    with pytest.raises(Outdated, match=r"do not exist \(1\): remarks \(row 7\); delete these rows"):
        upgrade(unmade_url)
    assert contents(unmade_url) == before


def test_a_reference_to_something_else_of_a_task_is_said(unmade_url: str) -> None:
    spelled(unmade_url, UUID)
    execute(
        unmade_url,
        "CREATE UNIQUE INDEX of_task_id ON tasks (task_id)",
        REFERENCING.format("REFERENCES tasks (task_id)"),
    )
    before = contents(unmade_url)
    with pytest.raises(Outdated, match=r"reference tasks .*: remarks \(task\); drop these foreign keys"):
        upgrade(unmade_url)
    assert contents(unmade_url) == before


@pytest.mark.parametrize("native", [True, False], ids=["uuid", "text"])
def test_on_postgresql_a_reference_stays_where_its_type_does(new_postgres, native: bool) -> None:  # type: ignore[no-untyped-def]
    url = new_postgres(migrated=False)
    make(url, seeds_own_table(zoned=True, native=native))
    kind = "UUID" if native else "VARCHAR(36)"
    execute(url, f"CREATE TABLE remarks (task {kind} REFERENCES tasks (uuid))")
    before = contents(url)
    if native:
        upgrade(url)
        assert execute(
            url,
            "SELECT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND conrelid = 'remarks'::regclass",
        ) == [("tasks",)]
        return
    with pytest.raises(Outdated, match=r"reference tasks .*: remarks \(task\); drop these foreign keys"):
        upgrade(url)
    assert contents(url) == before
