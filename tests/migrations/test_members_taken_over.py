"""``human_members`` and ``virtual_members`` that seed 002's own system has made are taken over, with all rows."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from daicho import Ledger, Outdated, migrations
from daicho.core.sections import Storage
from daicho.ledger import open_database
from daicho.members.source import Source
from tests.cli.terminal import daicho
from tests.members.test_sync import synced
from tests.migrations.test_migrations import differences
from tests.migrations.test_tasks_taken_over import execute, plain_engine, upgrade

ON_POSTGRESQL = """
CREATE TABLE human_members (
    id SERIAL PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE, role VARCHAR(255), skills TEXT[], bio TEXT,
    contact_email VARCHAR(255), github_username VARCHAR(255), file_uri VARCHAR(512),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE virtual_members (
    id SERIAL PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE, role VARCHAR(255), llm_model VARCHAR(255) NOT NULL,
    system_prompt TEXT, personality_traits TEXT[], expertise_areas TEXT[], file_uri VARCHAR(512),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
)
"""
ON_SQLITE = (
    ON_POSTGRESQL.replace("SERIAL", "INTEGER").replace("TEXT[]", "JSON").replace("TIMESTAMP D", "DATETIME D")
)
TABLES = ("human_members", "virtual_members")
BEGUN = "2025-11-21 08:18:22"
NAMES = "name, skills, file_uri, created_at, updated_at"


def make(url: str, *statements: str, **other: str) -> None:
    """Make both tables as the seed's system makes them, with some words exchanged; then what is given."""
    tables = ON_SQLITE if url.startswith("sqlite") else ON_POSTGRESQL
    for word, instead in other.items():
        assert word in tables
        tables = tables.replace(word, instead)
    execute(url, *tables.split(";"), *statements)


def person(
    name: str,
    *,
    skills: str = "NULL",
    file: str = "NULL",
    created: str = f"'{BEGUN}'",
    updated: str = f"'{BEGUN}'",
) -> str:
    return f"INSERT INTO human_members ({NAMES}) VALUES ('{name}', {skills}, {file}, {created}, {updated})"


def listed(url: str, *texts: str) -> str:
    """A list of texts as the database's own system has written it."""
    if url.startswith("sqlite"):
        return f"'{json.dumps(texts, ensure_ascii=False)}'"
    return f"ARRAY[{', '.join(map(repr, texts))}]::TEXT[]"


def contents(url: str) -> list[object]:
    """All that a database holds of members: its tables' columns, and the rows."""
    engine = plain_engine(url)
    with engine.connect() as connection:
        inspector = inspect(connection)
        tables = sorted(set(inspector.get_table_names()) - {"alembic_version"})
        shape = [(t, [(c["name"], str(c["type"])) for c in inspector.get_columns(t)]) for t in tables]
    engine.dispose()
    return [*shape, *[execute(url, f"SELECT * FROM {t} ORDER BY id") for t in TABLES]]


def people(url: str) -> dict[str, Any]:
    with Ledger(url) as ledger:
        return {one.name: one for one in ledger.members.list_humans(limit=1000)}


def test_both_tables_are_taken_over_with_their_rows(empty_url: str) -> None:
    make(
        empty_url,
        person(
            "田中 美咲", skills=listed(empty_url, "python", "茶道, 華道"), file="'human_members/misaki.yml'"
        ),
        person("Noah"),
        person("Emma", skills=listed(empty_url)),
        "DELETE FROM human_members WHERE name = 'Noah'",
        "INSERT INTO virtual_members (name, llm_model, personality_traits) VALUES"
        f" ('華扇', 'gpt-5', {listed(empty_url, '厳しい')})",
    )
    with Ledger(empty_url) as ledger, pytest.raises(Outdated, match="run: daicho db upgrade") as caught:
        ledger.members.list_humans()
    assert "of an older system (human_members, virtual_members)" in str(caught.value)
    assert "adopt" not in str(caught.value)
    done = daicho("db", "upgrade", url=empty_url)
    assert (done.returncode, done.stdout) == (0, "")
    assert "stays with" not in done.stderr
    assert differences(empty_url) == []
    with Ledger(empty_url) as ledger:
        misaki = ledger.members.get_human("田中 美咲")
        assert (misaki.id, misaki.skills, misaki.file_uri) == (
            1,
            ["python", "茶道, 華道"],
            "human_members/misaki.yml",
        )
        assert misaki.created_at == misaki.updated_at == datetime.fromisoformat(BEGUN).replace(tzinfo=UTC)
        emma = ledger.members.get_human("Emma")
        assert (emma.id, emma.skills) == (3, [])
        kasen = ledger.members.get_virtual("華扇")
        assert (kasen.id, kasen.personality_traits, kasen.expertise_areas) == (1, ["厳しい"], None)
        assert abs((datetime.now(UTC) - kasen.created_at).total_seconds()) < 60
        assert ledger.members.save_or_update_human_member({"name": "new"}).id == 4
        again = ledger.members.save_or_update_human_member({"name": "Emma", "skills": ["go"]})
        assert (again.id, again.skills) == (3, ["go"])
        assert ledger.members.save_or_update_virtual_member({"name": "new", "llm_model": "x"}).id == 2
    with pytest.raises(IntegrityError):
        execute(empty_url, person("Emma"))


def test_the_next_id_goes_on_where_rows_came_with_theirs(new_postgres: Callable[..., str]) -> None:
    url = new_postgres(migrated=False)
    make(
        url,
        "INSERT INTO human_members (id, name) VALUES (41, 'restored without its sequence')",
        "INSERT INTO virtual_members (name, llm_model) VALUES ('a', 'x'), ('b', 'x'), ('c', 'x')",
        "DELETE FROM virtual_members",
    )
    upgrade(url)
    with Ledger(url) as ledger:
        assert ledger.members.save_or_update_human_member({"name": "new"}).id == 42
        assert ledger.members.save_or_update_virtual_member({"name": "new", "llm_model": "x"}).id == 4


def test_ids_are_counted_where_they_were_not(new_postgres: Callable[..., str]) -> None:
    url = new_postgres(migrated=False)
    make(url, "INSERT INTO human_members (id, name) VALUES (7, 'a')", SERIAL="INTEGER")
    upgrade(url)
    assert differences(url) == []
    with Ledger(url) as ledger:
        assert ledger.members.save_or_update_human_member({"name": "new"}).id == 8
        assert ledger.members.save_or_update_virtual_member({"name": "new", "llm_model": "x"}).id == 1


def test_one_table_alone_is_taken_over_too(empty_url: str) -> None:
    make(empty_url, person("Emma"), "DROP TABLE virtual_members")
    upgrade(empty_url)
    assert differences(empty_url) == []
    assert list(people(empty_url)) == ["Emma"]


def test_down_and_up_again(empty_url: str) -> None:
    make(empty_url, person("Emma", file="'a.yml'"))
    upgrade(empty_url)
    database = open_database(empty_url)
    migrations.run(database, "downgrade", "20261121_05")
    migrations.run(database, "upgrade", "head")
    assert people(empty_url)["Emma"].file_uri == "a.yml"
    migrations.run(database, "downgrade", "base")
    migrations.run(database, "upgrade", "head")
    database.close()
    assert people(empty_url) == {}
    assert differences(empty_url) == []


def test_further_columns_indexes_and_triggers_stay(empty_url: str) -> None:
    sqlite = empty_url.startswith("sqlite")
    make(
        empty_url,
        "ALTER TABLE human_members ADD COLUMN discord_id BIGINT NOT NULL DEFAULT 5",
        "ALTER TABLE human_members ADD COLUMN \"my notes\" VARCHAR(7) DEFAULT '0042'",
        "CREATE INDEX by_mail ON human_members (lower(contact_email)) WHERE contact_email IS NOT NULL",
        'CREATE UNIQUE INDEX "by github" ON human_members (github_username)',
        *(
            ["CREATE TRIGGER noted AFTER INSERT ON human_members BEGIN"
             " UPDATE human_members SET bio = 'noted' WHERE id = new.id; END"]
            if sqlite
            else ["CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS"
                  " $$ BEGIN new.bio := 'noted'; RETURN new; END $$",
                  "CREATE TRIGGER noted BEFORE INSERT ON human_members FOR EACH ROW EXECUTE FUNCTION noted()"]
        ),
        person("Emma"),
        **{"contact_email VARCHAR(255)": "contact_email VARCHAR(255) UNIQUE"},
    )  # fmt: skip
    kept = 'SELECT name, discord_id, "my notes", bio FROM human_members'
    assert execute(empty_url, kept) == [("Emma", 5, "0042", "noted")]
    upgrade(empty_url)
    assert execute(empty_url, kept) == [("Emma", 5, "0042", "noted")]
    engine = plain_engine(empty_url)
    further = {column["name"]: column for column in inspect(engine).get_columns("human_members")}
    engine.dispose()
    catalog = "sqlite_master WHERE type = 'index'" if sqlite else "pg_class WHERE relkind = 'i'"
    indexes = {
        name for (name,) in execute(empty_url, f"SELECT {'name' if sqlite else 'relname'} FROM {catalog}")
    }
    assert [further[name]["nullable"] for name in ("discord_id", "my notes")] == [True, True]
    assert str(further["my notes"]["type"]) == "VARCHAR(7)"
    assert indexes >= {"by_mail", "by github", "uq_human_members_file_uri"}
    with pytest.raises(IntegrityError):
        execute(
            empty_url,
            *[f"INSERT INTO human_members (name, contact_email) VALUES ('{n}', 'm')" for n in "ab"],
        )
    with Ledger(empty_url) as ledger:
        ledger.members.save_or_update_human_member({"name": "Noah", "github_username": "noah"})
        with pytest.raises(Exception, match="(?i)unique"):
            ledger.members.save_or_update_human_member({"name": "other", "github_username": "noah"})
    assert execute(empty_url, "SELECT bio FROM human_members WHERE name = 'Noah'") == [("noted",)]


@pytest.mark.parametrize(
    "instead",
    [
        {"NOT NULL UNIQUE": "NOT NULL"},
        {"NOT NULL UNIQUE": "UNIQUE"},
        {"file_uri VARCHAR(512)": "file_uri VARCHAR(512) UNIQUE"},
        {"llm_model VARCHAR(255) NOT NULL": "llm_model VARCHAR(255)"},
        {"bio TEXT": "bio VARCHAR", "role VARCHAR(255)": "role TEXT"},
        {"DEFAULT CURRENT_TIMESTAMP": "NOT NULL DEFAULT '2025-01-01 00:00:00'"},
    ],
    ids=[
        "names not unique",
        "names may be NULL",
        "files unique",
        "models may be NULL",
        "other texts",
        "times",
    ],
)
def test_tables_that_differ_a_little_end_alike(empty_url: str, instead: dict[str, str]) -> None:
    make(
        empty_url,
        person("Emma", file="'a.yml'"),
        "INSERT INTO virtual_members (name, llm_model) VALUES ('華扇', 'gpt-5')",
        **instead,
    )
    upgrade(empty_url)
    assert differences(empty_url) == []
    assert people(empty_url)["Emma"].file_uri == "a.yml"


def test_an_index_that_made_names_and_files_unique_becomes_ours(empty_url: str) -> None:
    make(
        empty_url,
        *[f"CREATE UNIQUE INDEX ix_{table}_name ON {table} (name)" for table in TABLES],
        *[f"CREATE UNIQUE INDEX uq_{table}_file_uri ON {table} (file_uri)" for table in TABLES],
        person("Emma"),
        **{"NOT NULL UNIQUE": "NOT NULL"},
    )
    upgrade(empty_url)
    assert differences(empty_url) == []


@pytest.mark.parametrize("action", ["ON DELETE CASCADE", ""])
def test_what_references_a_member_still_does(empty_url: str, action: str) -> None:
    make(
        empty_url,
        person("Emma"),
        f"CREATE TABLE notes (member INTEGER REFERENCES human_members (id) {action}, text TEXT)",
        f"CREATE TABLE said (name VARCHAR(255) REFERENCES human_members (name) {action})",
        "INSERT INTO notes VALUES (1, 'a')",
        "INSERT INTO said VALUES ('Emma')",
    )
    upgrade(empty_url)
    database = open_database(empty_url)
    with pytest.raises(IntegrityError, match="(?i)foreign key"), database.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO notes VALUES (99, 'b')")
    with pytest.raises(IntegrityError, match="(?i)foreign key"), database.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO said VALUES ('nobody')")
    database.close()
    assert execute(empty_url, "SELECT * FROM notes") == [(1, "a")]


def test_rows_that_reference_no_member_are_named(unmade_url: str) -> None:
    make(
        unmade_url,
        "CREATE TABLE notes (member INTEGER REFERENCES human_members (id))",
        "INSERT INTO notes VALUES (99)",
    )
    with pytest.raises(
        Outdated, match=r"reference human_members .* \(1\): notes \(row 1\); delete these rows"
    ):
        upgrade(unmade_url)


# -- times ----------------------------------------------------------------------------------------


def test_times_without_a_zone_are_utc_whatever_the_session_says(new_postgres: Callable[..., str]) -> None:
    url = new_postgres(migrated=False)
    name = url.rsplit("/", 1)[1]
    make(url, person("Emma"), f"ALTER DATABASE \"{name}\" SET timezone TO 'Asia/Tokyo'")
    upgrade(url)
    assert people(url)["Emma"].created_at == datetime(2025, 11, 21, 8, 18, 22, tzinfo=UTC)
    execute(url, "INSERT INTO human_members (name) VALUES ('by default')")
    assert abs((datetime.now(UTC) - people(url)["by default"].created_at).total_seconds()) < 60


def test_whoever_had_another_zone_gives_it_first(new_postgres: Callable[..., str]) -> None:
    url = new_postgres(migrated=False)
    way_out = [
        f"ALTER TABLE human_members ALTER {name} TYPE timestamptz USING {name} AT TIME ZONE 'Asia/Tokyo'"
        for name in ("created_at", "updated_at")
    ]
    make(url, person("Emma"), *way_out)
    upgrade(url)
    assert people(url)["Emma"].created_at == datetime(2025, 11, 20, 23, 18, 22, tzinfo=UTC)
    assert differences(url) == []


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        (f"'{BEGUN}'", 8),
        ("'2025-11-21T08:18:22.000000'", 8),
        ("'2025-11-21T08:18:22Z'", 8),
        ("'2025-11-21 17:18:22+09:00'", 8),
        ("'2025-11-21'", 0),
    ],
)
def test_times_that_sqlite_kept_in_any_spelling(unmade_url: str, written: str, hour: int) -> None:
    make(unmade_url, person("Emma", created=written))
    upgrade(unmade_url)
    assert people(unmade_url)["Emma"].created_at.hour == hour
    ((kept,),) = execute(unmade_url, "SELECT created_at FROM human_members")
    assert len(str(kept)) == len("2025-11-21 08:18:22.000000")


def test_a_missing_time_is_the_rows_other_one_or_that_of_the_upgrade(empty_url: str) -> None:
    make(
        empty_url,
        person("no created", created="NULL"),
        person("no updated", updated="NULL"),
        person("neither", created="NULL", updated="NULL"),
    )
    upgrade(empty_url)
    found = people(empty_url)
    for name in ("no created", "no updated"):
        assert (
            found[name].created_at == found[name].updated_at == datetime(2025, 11, 21, 8, 18, 22, tzinfo=UTC)
        )
    assert abs((datetime.now(UTC) - found["neither"].created_at).total_seconds()) < 60


# -- files that several members name --------------------------------------------------------------


def test_a_file_stays_with_the_member_that_was_changed_last(empty_url: str) -> None:
    make(
        empty_url,
        person("older", file="'human_members/a.yml'", updated="'2025-11-21 00:00:00'"),
        person("newest", file="'human_members/a.yml'", updated="'2025-11-23 00:00:00'"),
        person("middle", file="'human_members/a.yml'", updated="'2025-11-22 00:00:00'"),
        person("same time, first", file="'b.yml'"),
        person("same time, second", file="'b.yml'"),
        person("alone", file="'c.yml'"),
        person("empty", file="''"),
        person("empty too", file="''"),
        "INSERT INTO virtual_members (name, llm_model, file_uri) VALUES ('華扇', 'x', 'c.yml')",
    )
    said = daicho("db", "upgrade", url=empty_url).stderr
    assert (
        "daicho: human_members: human_members/a.yml stays with newest (id 2), changed last; "
        "without a file now: middle (id 3), older (id 1)\n"
    ) in said
    assert said.count("stays with") == 2
    assert {name: one.file_uri for name, one in people(empty_url).items() if one.file_uri} == {
        "newest": "human_members/a.yml",
        "same time, second": "b.yml",
        "alone": "c.yml",
    }
    with Ledger(empty_url) as ledger:
        assert ledger.members.get_virtual("華扇").file_uri == "c.yml"
    assert differences(empty_url) == []


def test_it_is_said_in_japanese_too(unmade_url: str) -> None:
    make(unmade_url, person("古い", file="'a.yml'"), person("新しい", file="'a.yml'"))
    said = daicho("db", "upgrade", url=unmade_url, DAICHO_LANG="ja").stderr
    assert (
        "a.yml は最後に更新された 新しい (id 2) のものとします。ファイルなしになったもの: 古い (id 1)" in said
    )


def test_a_sync_after_the_take_over_finds_the_members(empty_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "source" / "human_members"
    folder.mkdir(parents=True)
    for name in ("emma", "noah"):
        (folder / f"{name}.yml").write_text(f"name: {name}\n")
    source = Source(str(tmp_path / "source"), Storage())
    make(empty_url, person("emma", file="'human_members/emma.yml'"), person("noah"))
    upgrade(empty_url)
    execute(empty_url, f"UPDATE human_members SET file_uri = '{source.base}/' || file_uri")
    _, done = synced(empty_url, source)
    assert {saved.file_uri.rsplit("/")[-1]: str(saved.outcome) for saved in done} == {
        "emma.yml": "unchanged",
        "noah.yml": "changed",
    }
    assert {name: one.id for name, one in people(empty_url).items()} == {"emma": 1, "noah": 2}


# -- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("NULL", None),
        ("'{}'", []),
        ("ARRAY['a', NULL, 'b']", ["a", "b"]),
        ("ARRAY[NULL]::TEXT[]", []),
        ("ARRAY[['a', 'b'], ['c', NULL]]", ["a", "b", "c"]),
        ("'[5:6]={a,b}'", ["a", "b"]),
        ("ARRAY['a,b', '{', '\"']", ["a,b", "{", '"']),
    ],
)
def test_arrays_that_postgresql_kept(
    new_postgres: Callable[..., str], written: str, read: list[str] | None
) -> None:
    url = new_postgres(migrated=False)
    make(url, person("Emma", skills=written), person("other", skills="ARRAY['x']"))
    upgrade(url)
    assert people(url)["Emma"].skills == read
    assert people(url)["other"].skills == ["x"]


@pytest.mark.parametrize("kind", ["VARCHAR(20)[] DEFAULT '{}'", "JSONB DEFAULT '[]'", "JSON", "TEXT"])
def test_lists_of_another_type_on_postgresql(new_postgres: Callable[..., str], kind: str) -> None:
    url = new_postgres(migrated=False)
    value = "ARRAY['a', 'b']" if "[]" in kind.split(" ")[0] else '\'["a", "b"]\''
    make(url, person("Emma", skills=value), person("none"), **{"TEXT[]": kind})
    upgrade(url)
    assert [people(url)[name].skills for name in ("Emma", "none")] == [["a", "b"], None]
    assert differences(url) == []


@pytest.mark.parametrize("kind", ["JSON", "TEXT", "VARCHAR(255)"])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('["python", "茶道"]', ["python", "茶道"]),
        ('["a", null, 1.50, true, ["b"]]', ["a", "1.50", "true", "b"]),
        ("null", None),
        ('"one"', ["one"]),
        ("python, sql、茶道\n007", ["python", "sql", "茶道", "007"]),
        ("", []),
    ],
)
def test_lists_that_sqlite_kept(unmade_url: str, kind: str, written: str, read: list[str] | None) -> None:
    make(unmade_url, person("Emma", skills=f"'{written}'"), JSON=kind)
    upgrade(unmade_url)
    assert people(unmade_url)["Emma"].skills == read
    assert differences(unmade_url) == []
    with Ledger(unmade_url) as ledger:
        before = ledger.members.get_human("Emma").updated_at
        if read:
            same = ledger.members.save_or_update_human_member({"name": "Emma", "skills": read})
            assert same.updated_at == before


# -- what stops it --------------------------------------------------------------------------------


def stopped(url: str, reason: str) -> None:
    before = contents(url)
    with pytest.raises(Outdated, match=reason):
        upgrade(url)
    assert contents(url) == before


@pytest.mark.parametrize("written", ["['a', 'b']", "{a,b}", '{"a": 1}', '[{"a": 1}]', '["a"'])
def test_what_is_no_list_is_named(unmade_url: str, written: str) -> None:
    quoted = written.replace("'", "''")
    make(unmade_url, person("good", skills="'[]'"), person("bad", skills=f"'{quoted}'"))
    stopped(unmade_url, r'\(1\): id 2: skills is no list of texts like \["one", "two"\]: .*; correct them')


def test_a_time_that_is_none_is_named(unmade_url: str) -> None:
    make(unmade_url, person("Emma", updated="'yesterday'"))
    stopped(unmade_url, r"\(1\): id 1: updated_at is no time: 'yesterday'; correct them")


def test_names_that_are_missing_or_twice_are_named(empty_url: str) -> None:
    make(
        empty_url,
        person("Emma"),
        person("Emma"),
        "INSERT INTO human_members (role) VALUES ('nobody')",
        **{"NOT NULL UNIQUE": ""},
    )
    stopped(empty_url, r"\(2\): id 2: name is that of id 1 too, id 3: name is NULL; correct them")


def test_a_text_that_is_too_long_is_named(empty_url: str) -> None:
    make(empty_url, person("x" * 256), **{"name VARCHAR(255)": "name TEXT"})
    stopped(empty_url, r"\(1\): id 1: name is longer than 255; correct them")


def test_a_table_of_that_name_that_is_not_the_seeds_is_left_alone(empty_url: str) -> None:
    make(
        empty_url,
        "ALTER TABLE virtual_members RENAME TO former",
        "CREATE TABLE virtual_members (id INTEGER, title TEXT)",
    )
    stopped(empty_url, r"a table virtual_members already, without .*llm_model.*; rename it")


def test_another_key_and_other_types_are_said(new_postgres: Callable[..., str]) -> None:
    url = new_postgres(migrated=False)
    make(url, **{"id SERIAL PRIMARY KEY": "id UUID PRIMARY KEY", "created_at TIMESTAMP": "created_at TEXT"})
    stopped(url, r"columns of another type: id \(UUID\), created_at \(TEXT\); make id an INTEGER")
    url = new_postgres(migrated=False)
    make(
        url,
        **{"id SERIAL PRIMARY KEY, name VARCHAR(255) NOT NULL": "id SERIAL, name VARCHAR(255) PRIMARY KEY"},
    )
    stopped(url, r"the primary key of human_members is \(name\), not \(id\)")


def test_a_view_on_a_time_is_said(new_postgres: Callable[..., str]) -> None:
    url = new_postgres(migrated=False)
    make(url, "CREATE VIEW recent AS SELECT name FROM human_members WHERE created_at > '2025-01-01'")
    stopped(url, r"type of human_members.created_at cannot change: .*view recent.*; drop what depends on it")


def test_a_table_that_daicho_will_make_is_said(empty_url: str) -> None:
    make(empty_url, "CREATE TABLE member_files (id INTEGER)")
    stopped(empty_url, "there is a table member_files already; rename it")
