"""A PostgreSQL that is there and refuses: in use, full, read-only, stopped by its administrator."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from daicho import Ledger, Settings, Unavailable
from daicho.core import retry
from daicho.core.sections import Database, Pool
from tests.databases import PostgresDatabases
from tests.postgres import Cluster
from tests.survival.writes import line, message, ticket

ONE = Settings(database=Database(pool=Pool(size=1, max_overflow=0, timeout=0.2)))
"""A pool of one connection."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that pass are told of at once."""
    monkeypatch.setattr(retry, "SECONDS", 0.0)


@pytest.fixture
def admin(postgres_url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def standby() -> Iterator[Cluster]:
    """A cluster that can be made a standby: it replays and takes no writes."""
    cluster = Cluster()
    yield cluster
    cluster.close()


def backend(session: Session) -> int:
    """Which connection this is."""
    number: int = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return number


def test_a_pool_that_is_used_up_is_said(postgres_url: str) -> None:
    with Ledger(postgres_url, settings=ONE) as ledger:
        line(ledger, "a/line/1")
        with ledger.begin() as tx:
            line(tx, "a/line/2")
            with (
                ThreadPoolExecutor(1) as other,
                pytest.raises(Unavailable, match="every connection is in use"),
            ):
                other.submit(line, ledger, "a/line/3").result()
        assert line(ledger, "a/line/3").id == line(ledger, "a/line/3").id


@pytest.mark.usefixtures("quick")
def test_a_server_with_too_many_connections_is_said_and_comes_back(
    new_postgres: Callable[..., str], admin: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    url = new_postgres()
    name = make_url(url).database
    admin.execute("CREATE ROLE crowd LOGIN")
    admin.execute(f'GRANT ALL ON DATABASE "{name}" TO crowd')
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO crowd")
        owner.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO crowd")
    try:
        with Ledger(url.replace("postgres@", "crowd@")) as ledger:
            admin.execute("ALTER ROLE crowd CONNECTION LIMIT 0")
            with pytest.raises(
                Unavailable, match="takes no further connection.*too many connections for role"
            ):
                ledger.calls.list()
            admin.execute("ALTER ROLE crowd CONNECTION LIMIT -1")
            first = ticket(ledger, "a/ticket/1")
            admin.execute("ALTER ROLE crowd NOLOGIN")
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crowd'")
            with pytest.raises(Unavailable):  # the connection is gone
                ticket(ledger, "a/ticket/1")
            with pytest.raises(Unavailable, match="login refused.*not permitted to log in"):
                ticket(ledger, "a/ticket/1")
            admin.execute("ALTER ROLE crowd LOGIN")
            assert ticket(ledger, "a/ticket/1").id == first.id
    finally:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        admin.execute("DROP ROLE crowd")


def test_a_standby_is_said_and_once_promoted_takes_the_same_write(
    standby: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = PostgresDatabases(standby.url()).new()
    with Ledger(url, settings=ONE) as ledger:
        first = line(ledger, "a/line/1")
        standby.stop()
        (standby.data / "standby.signal").touch()
        standby.start()
        assert ledger.calls.get("a").call_id == "a"  # reading goes on
        connected = ledger.database.run(backend, writes=False)
        monkeypatch.setattr(retry, "SECONDS", 0.0)
        for write in (line, message):
            with pytest.raises(Unavailable, match="takes no writes.*target_session_attrs") as error:
                write(ledger, "a/line/1")
            assert "プライマリー" in error.value.message.ja
        # Connections to it are left: the next one may lead to the primary.
        assert ledger.database.run(backend, writes=False) != connected
        monkeypatch.undo()
        with psycopg.connect(standby.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true, 30)")
        assert line(ledger, "a/line/1").id == first.id


def test_a_statement_that_an_administrator_stops_is_said(
    postgres_url: str, admin: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    with Ledger(postgres_url) as ledger:
        line(ledger, "a/line/1")
        with ThreadPoolExecutor(1) as other:
            admin.execute("BEGIN")
            admin.execute("LOCK TABLE call_logs")
            waiting = other.submit(line, ledger, "a/line/2")
            while not _stop_waiting(admin):
                time.sleep(0.01)
            with pytest.raises(Unavailable, match="an administrator or a time limit"):
                waiting.result()
            admin.execute("ROLLBACK")
        line(ledger, "a/line/2")
        assert len(ledger.calls.transcript("a")) == 2


def _stop_waiting(admin: "psycopg.Connection[tuple[object, ...]]") -> bool:
    waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(admin.execute(waiting).fetchall())


def test_a_transaction_that_the_server_ended_for_idling_is_said_and_left_nothing(postgres_url: str) -> None:
    with Ledger(postgres_url) as ledger:
        with (
            pytest.raises(Unavailable, match="open for too long; nothing of it was saved"),
            ledger.begin() as tx,
        ):
            line(tx, "a/line/1")
            tx.calls.runner.call(
                "calls",
                lambda session: session.execute(text("SET idle_in_transaction_session_timeout = 50")),
                writes=True,
                idempotent=False,
            )
            time.sleep(0.3)
        line(ledger, "a/line/2")
        assert [one.text for one in ledger.calls.transcript("a")] == ["a/line/2"]


def test_a_commit_of_ones_own_transaction_that_went_unanswered_is_said_to_be_unknown(
    postgres_url: str, admin: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    with Ledger(postgres_url) as ledger:
        line(ledger, "a/line/1")
        with pytest.raises(Unavailable, match="whether it was saved is unknown"), ledger.begin() as tx:
            line(tx, "a/line/2")
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def test_what_repeats_ends_in_time(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "SECONDS", 0.0)
    tries: list[threading.Event] = []

    def work(session: Session) -> None:
        tries.append(threading.Event())
        raise psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")

    with Ledger(postgres_url) as ledger, pytest.raises(Unavailable, match="others have been writing"):
        ledger.database.run(work)
    assert len(tries) == 1
