"""Seed 002's chapters on PostgreSQL: each block runs as printed, without ``docker exec`` before it."""

import logging
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from daicho import Invalid, Ledger, migrations
from daicho.ledger import open_database
from daicho.members.models import HumanMember
from tests.migrations.test_migrations import differences
from tests.migrations.test_tasks_taken_over import upgrade
from tests.postgres import Cluster, programs

logger = logging.getLogger("member_db")

TABLES = """
CREATE TABLE human_members (
    id SERIAL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    role VARCHAR(255),
    skills TEXT[],
    bio TEXT,
    contact_email VARCHAR(255),
    github_username VARCHAR(255),
    file_uri VARCHAR(512),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE virtual_members (
    id SERIAL PRIMARY KEY,
    name VARCHAR(255) NOT NULL UNIQUE,
    role VARCHAR(255),
    llm_model VARCHAR(255) NOT NULL,
    system_prompt TEXT,
    personality_traits TEXT[],
    expertise_areas TEXT[],
    file_uri VARCHAR(512),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
"""
LOOKING = r"""
-- テーブル一覧表示
\dt

-- テーブル構造確認
\d human_members
\d virtual_members

-- データ確認
SELECT * FROM human_members;
SELECT * FROM virtual_members;

-- 件数確認
SELECT COUNT(*) FROM human_members;
SELECT COUNT(*) FROM virtual_members;
"""
ROWS = """
INSERT INTO human_members (name, role, skills, bio, contact_email, github_username, file_uri) VALUES
    ('田中 美咲', 'エンジニア', ARRAY['python', '茶道, 華道'], E'1 行目\\n2 行目', 'misaki@example.com', 'misaki',
     'human_members/misaki.yml'),
    ('Noah', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO virtual_members (name, llm_model, personality_traits, expertise_areas) VALUES
    ('華扇', 'gpt-5', '{厳しい,優しい}', '{}');
"""
COLUMNS = {
    "human_members": "id name role skills bio contact_email github_username file_uri created_at updated_at",
    "virtual_members": "id name role llm_model system_prompt personality_traits expertise_areas file_uri"
    " created_at updated_at",
}
PSQL = "psql -U testuser -d member_db"


class MemberDatabase:
    """``member_db`` of ``testuser``, in a server of our own, with PostgreSQL's own programs at hand."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.url = f"postgresql://testuser:password@127.0.0.1:{cluster.port}/member_db"
        self._administer("CREATE ROLE testuser LOGIN PASSWORD 'password'")
        self.create()

    def create(self) -> None:
        self._administer("CREATE DATABASE member_db OWNER testuser TEMPLATE template0")

    def drop(self) -> None:
        self._administer("DROP DATABASE IF EXISTS member_db WITH (FORCE)")

    def close(self) -> None:
        self.drop()
        self._administer("DROP ROLE testuser")

    def shell(self, command: str, given: str = "") -> str:
        """Run a line as it is printed; return what it writes. It must not write any error."""
        done = subprocess.run(
            ["sh", "-c", command],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ
            | {
                "PATH": f"{programs()}:{os.environ['PATH']}",
                "PGHOST": "127.0.0.1",
                "PGCLIENTENCODING": "UTF8",
            }
            | {"PGPORT": str(self._cluster.port), "PGPASSWORD": "password", "LC_ALL": "C"},
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._cluster.url(), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture
def member_db(cluster: Cluster) -> Iterator[MemberDatabase]:
    database = MemberDatabase(cluster)
    yield database
    database.close()


def make_as_printed(database: MemberDatabase) -> None:
    assert database.shell(PSQL, TABLES) == "CREATE TABLE\nCREATE TABLE\n"


def make_by_daicho(database: MemberDatabase) -> None:
    upgrade(database.url)


def make_and_take_over(database: MemberDatabase) -> None:
    make_as_printed(database)
    upgrade(database.url)


def described(shown: str, table: str) -> list[str]:
    """The columns that psql's ``\\d`` shows of a table."""
    block = shown.split(f'Table "public.{table}"', 1)[1].split("Indexes:", 1)[0]
    return re.findall(r"^ (\w+) +\|", block, re.MULTILINE)


@pytest.mark.parametrize("make", [make_as_printed, make_by_daicho, make_and_take_over])
def test_the_tables_are_looked_at_as_printed(
    member_db: MemberDatabase, make: Callable[[MemberDatabase], None]
) -> None:
    make(member_db)
    assert member_db.shell(PSQL, ROWS) == "INSERT 0 2\nINSERT 0 1\n"
    shown = member_db.shell(PSQL, LOOKING)
    for table, columns in COLUMNS.items():
        assert re.search(rf"^ public \| {table} +\| table \| testuser$", shown, re.MULTILINE)
        assert described(shown, table) == columns.split()
        assert re.search(rf'"\w*{table}_name\w*" UNIQUE CONSTRAINT, btree \(name\)', shown)
    assert shown.count("character varying(512)") == 2
    assert '{python,"茶道, 華道"}' in shown
    assert "{厳しい,優しい}" in shown
    assert re.findall(r"count \n-+\n +(\d+)\n", shown) == ["2", "1"]


def test_what_plain_sql_wrote_is_a_member(member_db: MemberDatabase) -> None:
    make_by_daicho(member_db)
    member_db.shell(PSQL, ROWS)
    with Ledger(member_db.url) as ledger:
        misaki = ledger.members.get_human("田中 美咲")
        assert (misaki.id, misaki.skills, misaki.bio) == (1, ["python", "茶道, 華道"], "1 行目\n2 行目")
        assert datetime.now(UTC) - misaki.created_at < timedelta(minutes=1)
        assert ledger.members.get_virtual("華扇").expertise_areas == []


def test_a_file_is_a_unique_key_for_on_conflict(member_db: MemberDatabase) -> None:
    make_by_daicho(member_db)
    save = (
        "INSERT INTO human_members (name, file_uri) VALUES ('{}', 's3://members/human_members/a.yml')"
        " ON CONFLICT (file_uri) DO UPDATE SET name = excluded.name RETURNING id, name;"
    )
    rows = member_db.shell(f"{PSQL} -At", save.format("before") + save.format("after"))
    assert re.findall(r"^\d+\|\w+$", rows, re.MULTILINE) == ["1|before", "1|after"]


# -- saving ---------------------------------------------------------------------------------------


def create_member(data: dict) -> HumanMember:  # type: ignore[type-arg]
    return HumanMember(**data)


def process_member_data(session: Session, data: dict):  # type: ignore[no-untyped-def,type-arg]
    try:
        # データベース操作
        member = create_member(data)
        session.add(member)
        session.commit()
        return member
    except Exception as e:
        session.rollback()
        logger.error(f"データベースエラー: {e}")
        raise
    finally:
        session.close()


def test_process_member_data_as_printed(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with Ledger(url) as ledger:
        assert ledger.members.counts()["human"] == 0
        session = Session(ledger.database.engine, expire_on_commit=False)
        member = process_member_data(session, {"name": "華扇", "skills": ["茶道"], "file_uri": "a.yml"})
        assert (member.id, member.skills) == (1, ["茶道"])
        with pytest.raises(IntegrityError):
            process_member_data(Session(ledger.database.engine), {"name": "華扇"})
        assert "データベースエラー: " in caplog.text
        saved = ledger.members.get_human("華扇")
        assert (saved.id, saved.skills, saved.file_uri) == (1, ["茶道"], "a.yml")
        assert datetime.now(UTC) - saved.created_at < timedelta(minutes=1)
        assert session.execute(select(HumanMember.name)).scalars().all() == ["華扇"]
        session.close()


def test_members_are_saved_or_updated_by_name(ledger: Ledger) -> None:
    first = ledger.members.save_or_update_human_member({"name": "田中", "role": "見習い", "skills": ["sql"]})
    again = ledger.members.save_or_update_human_member({"name": "田中", "role": "エンジニア"})
    assert (again.id, again.role, again.skills) == (first.id, "エンジニア", ["sql"])
    assert (again.created_at, again.updated_at > first.updated_at) == (first.created_at, True)
    kasen = ledger.members.save_or_update_virtual_member({"name": "華扇", "llm_model": "gpt-4o"})
    moved = ledger.members.save_or_update_virtual_member({"name": "華扇", "llm_model": "gpt-5"})
    assert (moved.id, moved.llm_model) == (kasen.id, "gpt-5")
    assert dict(ledger.members.counts()) == {"human": 1, "virtual": 1, "troubled": 0}


def test_an_error_rolls_all_of_a_transaction_back(ledger: Ledger) -> None:
    with pytest.raises(Invalid, match="llm_model is missing"), ledger.begin() as tx:
        tx.members.save_or_update_human_member({"name": "田中"})
        tx.members.save_or_update_virtual_member({"name": "華扇"})
    assert dict(ledger.members.counts()) == {"human": 0, "virtual": 0, "troubled": 0}


# -- operation ------------------------------------------------------------------------------------


def test_the_server_is_asked_whether_it_is_ready(member_db: MemberDatabase) -> None:
    assert member_db.shell("pg_isready -U testuser").endswith("accepting connections\n")


BACKUP = "pg_dump -U testuser member_db > backup.sql"
RESTORE = "psql -U testuser member_db < backup.sql"


def test_a_backup_is_restored_as_printed(member_db: MemberDatabase) -> None:
    make_by_daicho(member_db)
    member_db.shell(PSQL, ROWS)
    before = member_db.shell(PSQL, LOOKING)
    member_db.shell(BACKUP)
    member_db.drop()
    member_db.create()
    assert "COPY 2\n" in member_db.shell(RESTORE)
    assert member_db.shell(PSQL, LOOKING) == before
    assert differences(member_db.url) == []
    database = open_database(member_db.url)
    assert migrations.current(database) == migrations.HEAD
    database.close()
    with Ledger(member_db.url) as ledger:
        assert ledger.members.save_or_update_human_member({"name": "new"}).id == 3


def test_the_older_systems_backup_is_restored_and_taken_over(member_db: MemberDatabase) -> None:
    make_as_printed(member_db)
    member_db.shell(PSQL, ROWS)
    member_db.shell(BACKUP)
    member_db.drop()
    member_db.create()
    member_db.shell(RESTORE)
    upgrade(member_db.url)
    assert differences(member_db.url) == []
    with Ledger(member_db.url) as ledger:
        assert [one.name for one in ledger.members.list_humans()] == ["Noah", "田中 美咲"]
        assert ledger.members.get_human("田中 美咲").skills == ["python", "茶道, 華道"]
        assert ledger.members.save_or_update_human_member({"name": "new"}).id == 3
