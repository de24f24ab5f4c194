"""PostgreSQL goes away under load: stopped, killed, cut off in the middle of a commit, silent."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from daicho import AsyncLedger, Ledger, Settings, Unavailable
from daicho.core import answering, changes, retry
from daicho.core.sections import Database, Pool
from tests.databases import PostgresDatabases
from tests.faces import both_faces
from tests.postgres import Cluster
from tests.survival.load import finished, load
from tests.survival.proxy import Fault, Proxy
from tests.survival.writes import line

SHORT = Settings(database=Database(pool=Pool(size=1, max_overflow=0, connect_timeout=2, silence=0.3)))
"""A ledger with one connection and little patience."""


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster that may be stopped and killed, and waits for the disk."""
    cluster = Cluster(durable=True)
    yield cluster
    cluster.close()


@pytest.fixture
def own_url(own: Cluster) -> str:
    """A migrated database in it."""
    return PostgresDatabases(own.url()).new()


def test_nothing_is_lost_or_doubled_while_postgresql_stops_crashes_and_is_killed(
    own: Cluster, own_url: str, tmp_path: Path
) -> None:
    with load(own_url, tmp_path) as running:
        running.start(own_url)
        running.wait_for(50)
        for end in (lambda: own.stop("fast"), lambda: own.stop("immediate"), own.kill):
            end()
            running.wait_for_away()
            own.start()
            running.wait_for(50)
        finished(running, own_url)


def test_connections_cut_in_the_middle_of_commits_leave_each_write_once(
    proxy: Proxy, behind: str, postgres_url: str, tmp_path: Path
) -> None:
    with load(postgres_url, tmp_path) as running:
        running.start(behind)
        running.wait_for(10)
        for number, fault in enumerate(Fault, 1):
            proxy.at_commit(fault, every=7, times=20)
            while proxy.cuts < 20 * number:
                running.wait_for(5)
        said = finished(running, postgres_url)
        assert any("whether it was saved is unknown" in away for away in said.away)


def test_a_server_that_swallows_everything_is_noticed_and_each_write_is_there_once(
    proxy: Proxy, behind: str, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("database: {pool: {silence: 0.3, connect_timeout: 2}}")
    with load(postgres_url, tmp_path) as running:
        running.start(behind)
        running.wait_for(30)
        proxy.swallow()
        proxy.heal()  # for new connections alone: the old ones swallow for ever
        running.wait_for(30)
        finished(running, postgres_url)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_server_that_answers_nobody_is_unavailable(
    proxy: Proxy, behind: str, asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "SECONDS", 0.0)
    with both_faces(behind, asynchronous=asynchronous, settings=SHORT) as face:
        face.calls.start("call-1", "c")
        line(face, "a/line/1")
        proxy.swallow()
        with pytest.raises(Unavailable, match="said nothing for 0 s, and answers nobody else"):
            face.calls.start("call-1", "c")
        with pytest.raises(Unavailable, match="timeout"):
            line(face, "a/line/2")
        proxy.heal()
        assert line(face, "a/line/2").id == line(face, "a/line/2").id


def test_what_rightly_takes_long_is_waited_for(postgres_url: str) -> None:
    sleep = text("SELECT pg_sleep(1.2), 42")
    with Ledger(postgres_url, settings=SHORT) as ledger:
        assert ledger.database.run(lambda session: session.execute(sleep).one()[1]) == 42

    async def main() -> None:
        async with AsyncLedger(postgres_url, settings=SHORT) as ledger:
            assert await ledger.database.run_async(lambda session: session.execute(sleep).one()[1]) == 42

    asyncio.run(main())


def test_a_listener_that_hears_nothing_any_more_listens_anew(
    proxy: Proxy, behind: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(answering.Answered, "seconds", 0.8)

    async def main() -> None:
        async with AsyncLedger(behind) as watching, asyncio.timeout(30):
            feed = watching.changes()
            await anext(feed)
            proxy.swallow()
            await asyncio.sleep(0.5)
            proxy.heal()
            await anext(feed)  # it listens again
            with Ledger(postgres_url) as writing:
                writing.calls.start("call-1", "c")
                while "calls" not in await anext(feed):
                    pass

    asyncio.run(main())


def test_a_change_that_could_not_be_announced_is_announced_later(
    proxy: Proxy, behind: str, postgres_url: str
) -> None:
    async def main() -> None:
        async with AsyncLedger(postgres_url) as watching, asyncio.timeout(30):
            feed = watching.changes()
            await anext(feed)
            with Ledger(behind) as writing:
                for call in ("call-1", "call-2"):  # the second time there is a connection, and it is gone
                    writing.calls.start(call, "c")
                    proxy.cut()
                    while "calls" not in await anext(feed):
                        pass

    asyncio.run(main())
