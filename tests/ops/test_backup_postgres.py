"""Backups on a PostgreSQL server: whose rights they need, whose sessions they end, what they leave there."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from daicho import Conflict, DaichoError, Ledger, Unavailable
from daicho.core.engine import Database
from daicho.ops import backup_postgres, restore_postgres
from daicho.ops.backup import backup, listed, restore
from daicho.ops.backup_places import Folder
from daicho.ops.backup_server import Server
from tests.cli.terminal import Here, one_line
from tests.processes import python

pytestmark = pytest.mark.usefixtures("pg_dump")


@pytest.fixture
def server(postgres_server: str) -> Iterator[psycopg.Connection]:
    """The server; what a test has made there goes."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        before = databases(connection)
        yield connection
        for name in databases(connection) - before:
            if "_restor" in name or "scratch" in name:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def login(server: psycopg.Connection) -> Iterator[str]:
    """A login without any rights."""
    name = f"login_{os.getpid()}"
    server.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    for (mine,) in server.execute(
        "SELECT datname FROM pg_database WHERE datdba = %s::regrole", [name]
    ).fetchall():
        server.execute(f'DROP DATABASE "{mine}" WITH (FORCE)')
    for (database,) in server.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall():
        url = make_url("postgresql://").set(host=server.info.host, port=server.info.port, database=database)
        with psycopg.connect(url.set(username=server.info.user).render_as_string(), autocommit=True) as one:
            one.execute(f"DROP OWNED BY {name}")
    server.execute(f"DROP ROLE {name}")


def databases(server: psycopg.Connection) -> set[str]:
    return {name for (name,) in server.execute("SELECT datname FROM pg_database").fetchall()}


def as_(url: str, login: str) -> str:
    return make_url(url).set(username=login).render_as_string(hide_password=False)


def start(url: str, *calls: str) -> None:
    with Ledger(url) as ledger:
        for call in calls:
            ledger.calls.start(call, "c")


def calls_in(url: str) -> list[str]:
    with Ledger(url) as ledger:
        return sorted(call.call_id for call in ledger.calls.list().items)


def test_a_database_in_use_waits_for_force_and_keeps_its_rights(
    postgres_url: str,
    folder: Path,
    server: psycopg.Connection,
    login: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without rows there is nothing to lose, but whoever is in it would be cut off."""
    name = make_url(postgres_url).database
    start(postgres_url, "one")
    here = Here(postgres_url, capsys)
    here("db", "backup", "--to", str(folder), "--no-verify")
    with psycopg.connect(postgres_url) as connection:
        connection.execute("TRUNCATE calls CASCADE")
    server.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
    server.execute(f'GRANT CONNECT ON DATABASE "{name}" TO {login}')
    server.execute(f'ALTER ROLE {login} IN DATABASE "{name}" SET search_path = public, pg_temp')
    server.execute(f"ALTER DATABASE \"{name}\" SET work_mem = '5MB'")
    asked = "SELECT array_agg(r::text ORDER BY r::text) FROM pg_database, unnest(datacl) r WHERE datname = %s"
    rights = server.execute(asked, [name]).fetchone()
    with psycopg.connect(postgres_url, application_name="a session", autocommit=True) as session:
        here("db", "restore", "--from", str(folder), code=1)
        assert "in use" in one_line(here.said)
        assert "a session" in here.said
        here("db", "restore", "--from", str(folder), "--force")
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert calls_in(postgres_url) == ["one"]
    assert server.execute(asked, [name]).fetchone() == rights
    with psycopg.connect(as_(postgres_url, login)) as connection:
        found = connection.execute("SELECT current_setting('search_path'), current_setting('work_mem')")
        assert found.fetchone() == ("public, pg_temp", "5MB")


def test_a_login_that_may_not_create_databases_is_told_what_it_lacks(
    postgres_url: str,
    folder: Path,
    server: psycopg.Connection,
    login: str,
    capsys: pytest.CaptureFixture[str],
    new_postgres: Callable[..., str],
) -> None:
    start(postgres_url, "one")
    here = Here(as_(postgres_url, login), capsys)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {login}")
    here("db", "backup", "--to", str(folder), code=1)
    assert f"ALTER ROLE {login} CREATEDB" in one_line(here.said)
    # Another server that it may make one on; then what it may not read.
    here("db", "backup", "--to", str(folder), "--scratch", postgres_url, code=1)
    assert "BYPASSRLS" in one_line(here.said)
    assert list(folder.iterdir()) == []
    server.execute(f"ALTER ROLE {login} BYPASSRLS")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {login}")
    here("db", "backup", "--to", str(folder), "--scratch", postgres_url)
    (one,) = listed(Folder(folder))
    assert one.manifest is not None
    assert one.manifest.verified
    here("db", "restore", one.name, "--from", str(folder), "--force", code=1)
    assert "does not own the database" in one_line(here.said)
    # Into an empty database of its own it may restore; what belonged to others is its own there.
    empty = new_postgres(migrated=False)
    server.execute(f'ALTER DATABASE "{make_url(empty).database}" OWNER TO {login}')
    fresh = Here(as_(empty, login), capsys)
    fresh("db", "restore", one.name, "--from", str(folder))
    assert "daicho db grant" in fresh.said
    assert calls_in(empty) == ["one"]


def test_a_scratch_database_is_gone_whatever_happens(
    postgres_url: str,
    folder: Path,
    server: psycopg.Connection,
    opened: Callable[[str], Database],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start(postgres_url, "one")
    before = databases(server)

    def scratches() -> set[str]:
        return {name for name in databases(server) - before if name.startswith("daicho_scratch")}

    killed = f"""
import os, signal
from pathlib import Path
from daicho.ledger import open_database
from daicho.ops import backup, backup_places, backup_postgres
backup_postgres.looked_at = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
backup.backup(open_database({postgres_url!r}), backup_places.Folder(Path({str(folder)!r})))
"""
    assert python("-c", killed).returncode == -9
    assert len(scratches()) == 1

    def interrupted(*_: object) -> None:
        assert len(scratches()) == 1  # the killed one's went first
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backup_postgres, "looked_at", interrupted)
        with pytest.raises(KeyboardInterrupt):
            backup(opened(postgres_url), Folder(folder))
    assert not scratches()

    def another(*_: object) -> list[object]:
        return []

    with monkeypatch.context() as patch:
        patch.setattr(backup_postgres, "looked_at", another)
        with pytest.raises(Conflict, match="not kept"):
            backup(opened(postgres_url), Folder(folder))
    assert not scratches()


def test_who_connects_again_and_again_does_not_lose_the_old_database(
    postgres_url: str,
    folder: Path,
    server: psycopg.Connection,
    opened: Callable[[str], Database],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start(postgres_url, "one")
    made = backup(opened(postgres_url), Folder(folder), verify=False)
    start(postgres_url, "late")
    before = databases(server)
    monkeypatch.setattr(restore_postgres, "TRIES", 1)
    fill = restore_postgres._fill
    name = make_url(postgres_url).database

    def somebody_comes(*given: object) -> object:
        sessions.append(psycopg.connect(postgres_url))
        return fill(*given)

    sessions: list[psycopg.Connection] = []
    monkeypatch.setattr(restore_postgres, "_fill", somebody_comes)
    monkeypatch.setattr(restore_postgres, "_check_free", lambda *_, **__: None)
    with pytest.raises(Conflict, match="in use"):
        restore(opened(postgres_url), Folder(folder), made.manifest.file)
    assert databases(server) == before
    assert name in before
    sessions[0].close()
    with Server(make_url(postgres_url), beside=True) as beside, pytest.raises(DaichoError):
        restore_postgres._swap(beside, "not there", str(name), f"{name}_restored", force=True)
    assert databases(server) == before  # both names change, or neither
    assert calls_in(postgres_url) == ["late", "one"]


def test_a_database_that_is_not_there_is_made(
    postgres_url: str, folder: Path, server: psycopg.Connection, opened: Callable[[str], Database]
) -> None:
    start(postgres_url, "one")
    backup(opened(postgres_url), Folder(folder), verify=False)
    url = make_url(postgres_url).set(database=f"{make_url(postgres_url).database}_restored")
    new = url.render_as_string(hide_password=False)
    _, done = restore(opened(new), Folder(folder))
    assert done.old is None
    assert calls_in(new) == ["one"]


def test_a_server_that_is_away_is_one_line(folder: Path, opened: Callable[[str], Database]) -> None:
    with pytest.raises(Unavailable, match="DATABASE_URL"):
        backup(opened("postgresql://nobody@127.0.0.1:1/none"), Folder(folder))
    assert list(folder.iterdir()) == []
