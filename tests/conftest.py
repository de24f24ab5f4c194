"""Fixtures for every test: a real SQLite file and a real PostgreSQL database, without rows each time."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daicho import Ledger
from tests.cli.terminal import Here
from tests.databases import PostgresDatabases, SqliteDatabases
from tests.faces import Faces, both_faces
from tests.postgres import Cluster, programs

pytest_plugins = ["tests.serving", "tests.tls_server"]

DATABASES = ("sqlite", "postgresql")


def pytest_configure() -> None:
    """Let Ctrl+C reach the processes that tests start, also where the suite runs in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where a module says ``in_turns`` each of its tests runs on one database, the next one on the next.

    Such are tests of what stands above the stores, whose own tests run on every database.
    """
    tests: dict[object, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("in_turns") and place_of(item):
            tests.setdefault((item.module, item.originalname), []).append(item)
    left = set[pytest.Item]()
    for turn, every in enumerate(tests.values()):
        places = list(dict.fromkeys(map(place_of, every)))
        left |= {one for one in every if place_of(one) != places[turn % len(places)]}
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def place_of(item: pytest.Function) -> str | None:
    """The database that a test is to run on, where it may run on several."""
    chosen = item.callspec.params if hasattr(item, "callspec") else {}
    place = chosen.get("url") or chosen.get("place_url")
    return place if isinstance(place, str) else None


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's machine reaches a test; messages are English."""
    for name in list(os.environ):
        if (
            name.startswith(("DATABASE_", "DAICHO_", "CHATLOG_", "AWS_"))
            and name != "DAICHO_TEST_POSTGRES_URL"
        ):
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
def postgres_databases(postgres_server: str) -> Iterator[PostgresDatabases]:
    """The server's databases for tests. Those of our own cluster end with it."""
    databases = PostgresDatabases(postgres_server)
    yield databases
    if "DAICHO_TEST_POSTGRES_URL" in os.environ:
        databases.close()


@pytest.fixture(scope="session")
def new_postgres(postgres_databases: PostgresDatabases) -> Callable[..., str]:
    """Make a PostgreSQL database: migrated, or (``migrated=False``) empty."""
    return postgres_databases.new


@pytest.fixture(scope="session")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Put an SQLite database at the newest revision at a path."""
    return SqliteDatabases(tmp_path_factory.mktemp("sqlite")).new


@pytest.fixture
def pg_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs are on PATH."""
    monkeypatch.setenv("PATH", f"{programs()}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def unmade_url(tmp_path: Path) -> str:
    """An SQLite file that is not made yet."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def sqlite_url(new_sqlite: Callable[[Path], str], tmp_path: Path) -> str:
    """A new SQLite file at the newest revision."""
    return new_sqlite(tmp_path / "ledger.db")


@pytest.fixture
def postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """A PostgreSQL database at the newest revision, without any rows."""
    url = postgres_databases.borrow()
    yield url
    postgres_databases.give_back(url)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    """A new database at the newest revision, once of each kind."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest) -> str:
    """A new database without a single table, once of each kind."""
    if request.param == "sqlite":
        return request.getfixturevalue("unmade_url")
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


@pytest.fixture
def here(url: str, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command line in this process, on each database."""
    return Here(url, capsys)
