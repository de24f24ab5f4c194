"""Fixtures for every test: a real SQLite file and a real PostgreSQL database, fresh each time."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from daicho import Ledger, Settings, migrations
from daicho.ledger import open_database
from tests.faces import Faces, both_faces
from tests.postgres import Cluster

pytest_plugins = ["tests.serving"]

DATABASES = ("sqlite", "postgresql")


def pytest_configure() -> None:
    """Let Ctrl+C reach the processes that tests start, also where the suite runs in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's machine reaches a test; messages are English."""
    for name in list(os.environ):
        if name.startswith(("DATABASE_", "DAICHO_")) and name != "DAICHO_TEST_POSTGRES_URL":
            monkeypatch.delenv(name)
    monkeypatch.delenv("DB_ECHO", raising=False)
    monkeypatch.setenv("DAICHO_LANG", "en")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The embedded PostgreSQL server of this run, for tests that also stop and start one."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> str:
    """The URL of the server's ``postgres`` database: ``DAICHO_TEST_POSTGRES_URL`` or our own cluster."""
    given = os.environ.get("DAICHO_TEST_POSTGRES_URL")
    return given or request.getfixturevalue("cluster").url()


@pytest.fixture(scope="session")
def new_postgres(postgres_server: str) -> Iterator[Callable[..., str]]:
    """Make a database: migrated (a clone of one template), or empty."""
    template = f"daicho_template_{uuid4().hex[:8]}"
    made = [template]
    _execute(postgres_server, f'CREATE DATABASE "{template}"')
    database = open_database(_named(postgres_server, template), Settings())
    migrations.run(database, "upgrade", "head")
    database.close()

    def new(*, migrated: bool = True) -> str:
        name = f"daicho_test_{uuid4().hex[:12]}"
        source = template if migrated else "template0"
        _execute(postgres_server, f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        made.append(name)
        return _named(postgres_server, name)

    yield new
    for name in reversed(made):
        _execute(postgres_server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A new SQLite file, not made yet."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def postgres_url(new_postgres: Callable[..., str]) -> str:
    """A new PostgreSQL database at the newest revision."""
    return new_postgres()


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    """A new database, once of each kind."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest) -> str:
    """A new database without a single table, once of each kind."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    return request.getfixturevalue("new_postgres")(migrated=False)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """A ledger for threads, on each database."""
    with Ledger(url) as ledger:
        yield ledger


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest, url: str) -> Iterator[Faces]:
    """A ledger on each database and each face, called alike: a test that takes it runs four times."""
    with both_faces(url, asynchronous=request.param == "async") as face:
        yield face


def _named(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _execute(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)
