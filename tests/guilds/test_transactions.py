"""Transactions that a caller holds open: seed 004's own examples, on both databases and both faces."""

import asyncio
import gc
import inspect
import logging
import random
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from daicho import AsyncLedger, Conflict, Invalid, Ledger, Unavailable, migrations
from daicho.core.changes import concerns
from daicho.guilds.models import GuildSettings, Log, MusicSession, Ticket
from daicho.ledger import open_database
from tests.postgres import Cluster
from tests.test_house import check_types

GUILD = 123456789012345678


@pytest.fixture(params=["sqlite", "memory", "postgresql"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """A new database, once of each kind, with the one that ends with its connection."""
    if request.param == "memory":
        yield "sqlite://"
    else:
        yield request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


def ticket(title: str) -> Ticket:
    return Ticket(guild_id=GUILD, channel_id=1, user_id=2, title=title)


HOLDERS = ("transaction", "async_session")


def held(ledger: AsyncLedger, kind: str) -> AbstractAsyncContextManager[AsyncSession]:
    opened: AbstractAsyncContextManager[AsyncSession] = getattr(ledger.guilds, kind)()
    return opened


def log(action: str) -> Log:
    return Log(guild_id=GUILD, log_type="system_event", action=action)


def titles(session: Session) -> list[str]:
    return list(session.scalars(select(Ticket.title).order_by(Ticket.id)))


async def kept(ledger: AsyncLedger) -> list[str]:
    async with ledger.guilds.async_session() as session:
        return await session.run_sync(titles)


def kept_plain(ledger: Ledger) -> list[str]:
    with ledger.guilds.transaction() as session:
        return titles(session)


# -- transaction() ---------------------------------------------------------------------------------


def test_what_a_block_writes_is_committed_at_its_end(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            async with ledger.guilds.transaction() as session:
                made = ticket("first")
                session.add(made)
                await session.flush()
                assert made.id is not None
                session.add(log(f"ticket {made.id}"))
            assert made.title == "first"  # readable after the commit, as the seed's examples return it
            async with ledger.guilds.transaction() as session:
                result = await session.execute(select(Ticket).where(Ticket.guild_id == GUILD))
                assert [row.id for row in result.scalars().all()] == [made.id]
                assert (await session.execute(select(func.count(Log.id)))).scalar_one() == 1
            assert (await ledger.guilds.get_ticket(made.id)).title == "first"

    asyncio.run(main())


def test_on_threads_it_is_a_plain_session(place: str) -> None:
    with Ledger(place) as ledger:
        with ledger.guilds.transaction() as session:
            made = ticket("first")
            session.add(made)
            session.flush()
            session.add(log(f"ticket {made.id}"))
        with pytest.raises(KeyError), ledger.guilds.transaction() as session:
            session.add(ticket("second"))
            session.flush()
            raise KeyError("the caller's own")
        with pytest.raises(IntegrityError), ledger.guilds.transaction() as session:
            session.add(ticket("third"))
            session.add_all([GuildSettings(guild_id=1), GuildSettings(guild_id=1)])
        assert kept_plain(ledger) == ["first"]


def test_an_error_takes_everything_back_and_is_the_callers_own(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            with pytest.raises(KeyError):
                async with ledger.guilds.transaction() as session:
                    session.add(ticket("x"))
                    await session.flush()
                    raise KeyError("the caller's own")
            for at_once in (True, False):
                with pytest.raises(IntegrityError):  # as the seed catches it, also when the end writes it
                    async with ledger.guilds.transaction() as session:
                        session.add(ticket("x"))
                        session.add_all([GuildSettings(guild_id=1), GuildSettings(guild_id=1)])
                        if at_once:
                            await session.flush()
            assert await kept(ledger) == []

    asyncio.run(main())


def test_an_unknown_value_is_invalid_here_too(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            for wrong in ({"status": "nope"}, {"user_id": -1}):
                with pytest.raises(Invalid):
                    async with ledger.guilds.transaction() as session:
                        made = ticket("x")
                        for name, value in wrong.items():
                            setattr(made, name, value)
                        session.add(made)
            assert await kept(ledger) == []

    asyncio.run(main())


def test_an_error_that_was_caught_but_undid_the_transaction_is_not_passed_over(
    sqlite_url: str, postgres_url: str
) -> None:
    """PostgreSQL answers COMMIT with a rollback then, and without a word."""

    async def main(url: str, undoing: str) -> None:
        async with AsyncLedger(url) as ledger:
            with pytest.raises(Conflict, match="begin_nested"):
                async with ledger.guilds.transaction() as session:
                    session.add(ticket("x"))
                    await session.flush()
                    with suppress(DBAPIError):
                        await session.execute(text(undoing))
            assert await kept(ledger) == []
            async with ledger.guilds.async_session() as session:
                session.add(ticket("x"))
                await session.flush()
                async with session.begin_nested() as attempt:
                    session.add(GuildSettings(guild_id=GUILD))
                    with pytest.raises(IntegrityError):
                        await session.flush()
                    await attempt.rollback()
                await session.commit()
            assert await kept(ledger) == ["x"]

    asyncio.run(main(postgres_url, "SELECT 1 / 0"))
    asyncio.run(main(sqlite_url, "ROLLBACK"))  # as SQLite does itself when the disk is full


def test_reading_before_writing_is_never_locked_out(sqlite_url: str) -> None:
    async def main() -> None:
        async with AsyncLedger(sqlite_url) as ledger, AsyncLedger(sqlite_url) as other:
            await ledger.guilds.create_or_update_guild_settings(GUILD, prefix="0")

            async def count_up(through: AsyncLedger) -> None:
                async with through.guilds.transaction() as session:
                    settings = (await session.scalars(select(GuildSettings))).one()
                    await asyncio.sleep(0)
                    settings.prefix = str(int(settings.prefix) + 1)

            await asyncio.gather(
                *[count_up(ledger) for _ in range(30)],
                *[count_up(other) for _ in range(30)],
            )
            assert (await ledger.guilds.get_guild_settings(GUILD)).prefix == "60"

    asyncio.run(main())


def test_many_tasks_hold_transactions_while_others_write(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:

            async def one(number: int) -> None:
                async with ledger.guilds.transaction() as session:
                    session.add(ticket(f"held {number}"))
                    await session.flush()

            await asyncio.gather(
                *[one(n) for n in range(60)],
                *[ledger.guilds.create_ticket(GUILD, 1, 2, f"own {n}") for n in range(60)],
            )
            assert len(await kept(ledger)) == 120

    asyncio.run(main())


def test_a_cancelled_task_leaves_nothing_behind_and_blocks_nobody(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(5)

    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            await ledger.guilds.get_open_tickets(GUILD)

            async def one(kind: str) -> None:
                async with held(ledger, kind) as session:
                    await session.execute(select(Ticket).limit(1))
                    await session.rollback()
                    session.add(ticket("first"))
                    await session.flush()
                    await asyncio.sleep(rng.uniform(0, 0.004))
                    session.add(ticket("second"))
                    await session.commit()

            for number in range(60):
                tasks = [asyncio.create_task(one(HOLDERS[number % 2])) for _ in range(3)]
                await asyncio.sleep(rng.uniform(0, 0.012))
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            async with asyncio.timeout(8):
                await ledger.guilds.create_ticket(GUILD, 1, 2, "after")
                async with ledger.guilds.transaction() as session:
                    session.add(ticket("after"))
            for found in await asyncio.gather(*[kept(ledger) for _ in range(10)]):
                assert found.count("first") == found.count("second")
                assert found.count("after") == 2

    asyncio.run(main())
    gc.collect()
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
    assert not [t for t in threading.enumerate() if "_connection_worker_thread" in t.name]


def test_a_task_that_waits_too_long_for_its_turn_is_told_so(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("database: {pool: {timeout: 0.5}}")

    async def main() -> None:
        async with AsyncLedger(sqlite_url) as ledger:

            async def next_in_line() -> None:
                async with ledger.guilds.transaction():
                    pass

            async with ledger.guilds.transaction() as session:
                session.add(ticket("x"))
                with pytest.raises(Unavailable, match="keep transactions short"):
                    await asyncio.create_task(next_in_line())
            async with ledger.guilds.transaction() as session:
                session.add(ticket("y"))
            assert await kept(ledger) == ["x", "y"]

    asyncio.run(main())


def test_connections_that_the_server_has_dropped_do_not_reach_a_block(postgres_url: str) -> None:
    def drop() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def main() -> None:
        async with AsyncLedger(postgres_url) as ledger:
            for title in ("before", "after"):
                async with ledger.guilds.transaction() as session:
                    session.add(ticket(title))
                drop()
            assert await kept_by_block(ledger) == ["before", "after"]

    async def kept_by_block(ledger: AsyncLedger) -> list[str]:
        async with ledger.guilds.transaction() as session:
            return await session.run_sync(titles)

    asyncio.run(main())
    with Ledger(postgres_url) as ledger:
        assert kept_plain(ledger) == ["before", "after"]
        drop()
        assert kept_plain(ledger) == ["before", "after"]


def test_who_watches_hears_of_the_commit(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            await ledger.guilds.get_open_tickets(GUILD)
            for opened in (ledger.guilds.transaction, ledger.guilds.async_session):
                changes = ledger.changes()
                async with opened() as session:
                    session.add(ticket("x"))
                    await session.commit()
                async with asyncio.timeout(5):
                    assert concerns("guilds", await anext(changes))

    asyncio.run(main())


@pytest.mark.parametrize("kind", HOLDERS)
@pytest.mark.parametrize("url", ["sqlite", "memory"])
def test_who_would_wait_for_itself_is_told_at_once(sqlite_url: str, url: str, kind: str) -> None:
    async def second(ledger: AsyncLedger) -> None:
        async with ledger.guilds.transaction():
            pass

    async def begin(ledger: AsyncLedger) -> None:
        async with ledger.begin():
            pass

    async def another_session(ledger: AsyncLedger) -> None:
        async with ledger.guilds.async_session() as session:
            session.add(ticket("x"))
            await session.flush()

    waiting: list[Callable[[AsyncLedger], Awaitable[object]]] = [
        lambda ledger: ledger.guilds.create_ticket(GUILD, 1, 2, "x"),  # over the writer
        lambda ledger: ledger.guilds.update_ticket(1, title="x"),
        second,
        begin,
        another_session,
    ]

    async def main() -> None:
        async with AsyncLedger("sqlite://" if url == "memory" else sqlite_url) as ledger:
            await ledger.guilds.create_ticket(GUILD, 1, 2, "first")
            async with asyncio.timeout(5):
                async with held(ledger, kind) as session:
                    session.add(ticket("held"))
                    await session.flush()
                    for call in waiting:
                        with pytest.raises(Invalid, match="same task"):
                            await call(ledger)
                    if url == "memory":
                        with pytest.raises(Invalid, match="one connection"):
                            await ledger.guilds.get_open_tickets(GUILD)
                    else:
                        assert len(await ledger.guilds.get_open_tickets(GUILD)) == 1
                    other = asyncio.create_task(ledger.guilds.create_ticket(GUILD, 1, 2, "other task"))
                    await asyncio.sleep(0)
                    await session.commit()
                await other
                await ledger.guilds.create_ticket(GUILD, 1, 2, "afterwards")
            assert await kept(ledger) == ["first", "held", "other task", "afterwards"]

    asyncio.run(main())


@pytest.mark.parametrize("url", ["sqlite", "memory"])
def test_a_thread_that_would_wait_for_itself_is_told_too(sqlite_url: str, url: str) -> None:
    began = time.monotonic()
    with Ledger("sqlite://" if url == "memory" else sqlite_url) as ledger, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for opened in (ledger.guilds.transaction, ledger.guilds.get_session):
            with opened() as session:
                session.add(ticket("x"))
                session.flush()
                for second in (ledger.guilds.transaction, ledger.begin):
                    with pytest.raises(Invalid, match="same task or thread"), second():
                        pass
                with pytest.raises(Invalid, match="same task or thread"), ledger.guilds.get_session() as own:
                    own.add(ticket("y"))
                    own.flush()
                with pytest.raises(Invalid, match="same task or thread"):
                    ledger.guilds.create_ticket(GUILD, 1, 2, "y")
        ledger.guilds.create_ticket(GUILD, 1, 2, "afterwards")
        assert kept_plain(ledger) == ["x", "afterwards"]
    assert time.monotonic() - began < 5


def test_memory_that_is_long_in_use_is_not_told_to_raise_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daicho.core.dialect.BUSY_SECONDS", 0.2)

    async def main() -> None:
        async with AsyncLedger("sqlite://") as ledger, ledger.guilds.async_session() as session:
            await session.execute(select(Ticket))
            with pytest.raises(Unavailable, match="one connection"):
                await asyncio.create_task(ledger.guilds.get_open_tickets(GUILD))

    asyncio.run(main())


# -- sessions that the caller commits --------------------------------------------------------------


def test_an_async_session_keeps_what_its_caller_commits(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            async with ledger.guilds.async_session() as session:
                session.add_all([log("one"), log("two")])
                await session.commit()
                session.add(ticket("committed"))
                await session.commit()
                session.add(ticket("forgotten"))
                await session.flush()
            assert await kept(ledger) == ["committed"]
            assert len(await ledger.guilds.get_logs(GUILD)) == 2

    asyncio.run(main())


def test_a_reader_waits_for_no_writer_and_keeps_none_waiting(url: str) -> None:
    async def main() -> None:
        async with AsyncLedger(url) as ledger, asyncio.timeout(5):
            async with ledger.guilds.transaction() as session:
                session.add(ticket("x"))
                await session.flush()
                assert await kept(ledger) == []
            async with ledger.guilds.async_session() as reader:
                assert await reader.run_sync(titles) == ["x"]
                await ledger.guilds.create_ticket(GUILD, 1, 2, "y")
                async with ledger.guilds.transaction() as session:
                    session.add(ticket("z"))
            with pytest.warns(DeprecationWarning, match="get_session"):
                opened = ledger.guilds.get_session()
            with opened as plain:
                assert titles(plain) == ["x", "y", "z"]
                await ledger.guilds.create_ticket(GUILD, 1, 2, "a")
                async with ledger.guilds.transaction() as session:
                    session.add(ticket("b"))

    asyncio.run(main())


def test_a_server_that_has_stopped_is_unavailable_at_begin_and_commit(own_cluster: Cluster) -> None:
    url = own_cluster.url()
    database = open_database(url)
    migrations.run(database, "upgrade", "head")
    database.close()

    def plain(ledger: Ledger) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            with ledger.guilds.get_session() as session:
                titles(session)

    async def main() -> None:
        with Ledger(url) as threads:
            async with AsyncLedger(url) as ledger:
                plain(threads)
                assert await kept(ledger) == []
                await stopped_before_the_commit(ledger)
                for _ in range(2):  # over connections of the pool, and over new ones
                    with pytest.raises(Unavailable):
                        await kept(ledger)
                    with pytest.raises(Unavailable):
                        plain(threads)
                own_cluster.start()
                plain(threads)
                assert await kept(ledger) == []

    async def stopped_before_the_commit(ledger: AsyncLedger) -> None:
        async with ledger.guilds.async_session() as session:
            session.add(ticket("x"))
            await session.flush()
            await asyncio.to_thread(own_cluster.stop)
            with pytest.raises(Unavailable, match="whether it was saved is unknown"):
                await session.commit()

    asyncio.run(main())


def test_a_statements_own_errors_stay_sqlalchemys(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger, ledger.guilds.async_session() as session:
            session.add_all([GuildSettings(guild_id=1), GuildSettings(guild_id=1)])
            with pytest.raises(IntegrityError):
                await session.commit()
            await session.rollback()
            with pytest.raises(DBAPIError):
                await session.execute(text("SELECT * FROM no_such_table"))

    asyncio.run(main())


def test_async_session_on_a_plain_ledger_says_what_to_use(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger, pytest.raises(Invalid, match="transaction"):
        ledger.guilds.async_session()  # type: ignore[misc]


def test_the_old_get_session_works_and_warns_its_caller(place: str) -> None:
    def use(ledger: Ledger | AsyncLedger) -> None:
        with pytest.warns(DeprecationWarning, match="transaction") as warned:
            opened = ledger.guilds.get_session()
        assert warned[0].filename == __file__
        with opened as session:
            session.add(ticket("committed"))
            session.commit()
            session.add(ticket("forgotten"))
            session.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            with ledger.guilds.get_session() as session:
                assert set(titles(session)) == {"committed"}

    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            use(ledger)

    with Ledger(place) as ledger:
        use(ledger)
    asyncio.run(main())


def test_get_session_of_a_guild_is_its_music_session(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            async with ledger.guilds.transaction() as session:
                session.add(MusicSession(guild_id=GUILD, voice_channel_id=1, text_channel_id=2))
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert (await ledger.guilds.get_session(GUILD)).text_channel_id == 2
                assert await ledger.guilds.get_session(guild_id=5) is None

    asyncio.run(main())
    with Ledger(place) as ledger:
        assert ledger.guilds.get_session(5) is None


# -- execute_in_transaction() ----------------------------------------------------------------------


def test_functions_of_every_kind_share_one_transaction(place: str) -> None:
    calls: list[str] = []

    def plain(session: Session) -> Ticket:
        assert isinstance(session, Session)
        calls.append("plain")
        made = ticket("plain")
        session.add(made)
        session.flush()
        assert titles(session) == ["plain"]
        return made

    async def awaited(session: AsyncSession) -> str:
        assert isinstance(session, AsyncSession)
        calls.append("awaited")
        session.add(log("awaited"))
        await session.flush()
        return "awaited"

    async def with_more(session: AsyncSession, title: str) -> list[str]:
        calls.append(title)
        session.add(ticket(title))
        await session.flush()
        return await session.run_sync(titles)

    class Object:
        async def __call__(self, session: AsyncSession) -> int:
            calls.append("object")
            return (await session.execute(select(func.count(Log.id)))).scalar_one()

    def writes_and_returns_an_awaitable(session: Session) -> object:
        session.add(log("once"))
        if isinstance(session, Session):
            session.flush()
        return with_more(session, "both")  # type: ignore[arg-type]

    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            results = await ledger.guilds.execute_in_transaction(
                [
                    plain,
                    awaited,
                    lambda session: with_more(session, "lambda"),
                    Object(),
                    lambda session: len(titles(session)),
                    writes_and_returns_an_awaitable,
                ]
            )
            assert results[0].title == "plain"
            assert results[1:] == ["awaited", ["plain", "lambda"], 1, 2, ["plain", "lambda", "both"]]
            assert calls == ["plain", "awaited", "lambda", "object", "both"]
            assert sorted(row.action for row in await ledger.guilds.get_logs(GUILD)) == ["awaited", "once"]
            assert await ledger.guilds.execute_in_transaction(iter(())) == []

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a coroutine that nobody awaits warns
        asyncio.run(main())
        gc.collect()


def commits(session: Session) -> None:
    session.add(ticket("of one that commits"))
    session.commit()


def rolls_back(session: Session) -> None:
    session.add(ticket("of one that rolls back"))
    session.rollback()


def closes(session: Session) -> None:
    session.add(ticket("of one that closes"))
    session.flush()
    session.close()


def hides_it(session: Session) -> None:
    session.add(ticket("of one that hides it"))
    with suppress(Exception):
        session.commit()


async def commits_async(session: AsyncSession) -> None:
    session.add(ticket("of one that commits"))
    await session.commit()


async def rolls_back_async(session: AsyncSession) -> None:
    session.add(ticket("of one that rolls back"))
    await session.rollback()


ENDING = [commits, rolls_back, closes, hides_it, commits_async, rolls_back_async]


@pytest.mark.parametrize("ending", ENDING, ids=lambda ending: ending.__name__)
def test_a_function_that_ends_the_shared_transaction_is_refused(place: str, ending: Any) -> None:
    def plain(session: Session) -> None:
        session.add(ticket("x"))

    operations = [plain, ending, plain]

    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            with pytest.raises(Invalid, match=rf"{ending.__name__}.*begin_nested"):
                await ledger.guilds.execute_in_transaction(operations)
            async with ledger.begin() as tx:
                with pytest.raises(Invalid, match=rf"{ending.__name__}.*begin_nested"):
                    await tx.guilds.execute_in_transaction(operations)
            assert await kept(ledger) == []

    asyncio.run(main())
    if not inspect.iscoroutinefunction(ending):
        with Ledger(place) as ledger:
            before = kept_plain(ledger)
            with pytest.raises(Invalid, match=rf"{ending.__name__}.*begin_nested"):
                ledger.guilds.execute_in_transaction(operations)
            assert kept_plain(ledger) == before


def test_a_function_may_undo_its_own_work(place: str) -> None:
    def nested(session: Session) -> None:
        with session.begin_nested():
            session.add(ticket("kept"))
        with session.begin_nested() as attempt:
            session.add(ticket("undone"))
            attempt.rollback()

    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            await ledger.guilds.execute_in_transaction([nested])
            assert await kept(ledger) == ["kept"]

    asyncio.run(main())
    with Ledger(place) as ledger:
        before = kept_plain(ledger)
        ledger.guilds.execute_in_transaction([nested])
        assert kept_plain(ledger) == [*before, "kept"] or place == "sqlite://"


@pytest.mark.parametrize("wrong", [None, 5, [5], [None], "ab"], ids=repr)
def test_what_is_no_list_of_functions_is_invalid(sqlite_url: str, wrong: Any) -> None:
    async def main() -> None:
        async with AsyncLedger(sqlite_url) as ledger:
            with pytest.raises(Invalid, match="operations"):
                await ledger.guilds.execute_in_transaction(wrong)

    asyncio.run(main())
    with Ledger(sqlite_url) as ledger, pytest.raises(Invalid, match="operations"):
        ledger.guilds.execute_in_transaction(wrong)


def test_a_backup_needs_a_path(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger, pytest.raises(Invalid, match="folder"):
        ledger.guilds.backup_database(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("together", [asyncio.gather, asyncio.ensure_future], ids=["gather", "task"])
def test_futures_are_awaited_and_leave_no_complaint(
    place: str, together: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def awaited(session: AsyncSession) -> str:
        session.add(ticket("x"))
        return "done"

    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            await ledger.guilds.execute_in_transaction([lambda session: together(awaited(session))])
            assert await kept(ledger) == ["x"]

    asyncio.run(main())
    gc.collect()
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize("bad_at", range(3))
def test_all_functions_happen_or_none(place: str, bad_at: int) -> None:
    def plain(session: Session) -> None:
        session.add(ticket("x"))

    async def awaited(session: AsyncSession) -> None:
        session.add(ticket("y"))

    def bad(session: Session) -> None:
        session.add(ticket("z"))
        session.flush()
        raise ValueError("操作に失敗しました")

    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            operations = [plain, awaited]
            operations.insert(bad_at, bad)
            with pytest.raises(ValueError, match="操作に失敗しました"):
                await ledger.guilds.execute_in_transaction(operations)
            assert await kept(ledger) == []

    asyncio.run(main())


def test_a_plain_ledger_takes_plain_functions_only(place: str) -> None:
    async def awaited(session: AsyncSession) -> None:
        raise AssertionError("never run")

    def first(session: Session) -> str:
        session.add(ticket("x"))
        return "first"

    with Ledger(place) as ledger, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ledger.guilds.execute_in_transaction([first, first]) == ["first", "first"]
        for operation in (awaited, lambda session: awaited(session)):
            with pytest.raises(Invalid, match="AsyncLedger"):
                ledger.guilds.execute_in_transaction([first, operation])
        assert kept_plain(ledger) == ["x", "x"]
        gc.collect()


# -- within begin() --------------------------------------------------------------------------------


def test_within_begin_a_transaction_is_a_part_of_it(place: str) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            async with ledger.begin() as tx:
                made = await tx.guilds.create_ticket(GUILD, 1, 2, "operation")
                first = await tx.guilds.get_ticket(made.id)
                async with tx.guilds.transaction() as session:
                    assert await session.run_sync(titles) == ["operation"]
                    (await session.get_one(Ticket, first.id)).title = "renamed"
                    session.add(ticket("joined"))
                assert (await tx.guilds.get_ticket(first.id)).title == "renamed"
                assert first.title == "operation"  # what was handed out stays as it was
                with pytest.raises(KeyError):
                    async with tx.guilds.transaction() as session:
                        session.add(ticket("undone"))
                        await session.flush()
                        raise KeyError
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05), tx.guilds.transaction() as session:
                        session.add(ticket("undone"))
                        await session.flush()
                        await asyncio.sleep(60)
                results = await tx.guilds.execute_in_transaction([lambda session: len(titles(session))])
                assert results == [2]
            assert await kept(ledger) == ["renamed", "joined"]
            with pytest.raises(KeyError):
                async with ledger.begin() as tx, tx.guilds.transaction() as session:
                    session.add(ticket("undone with all"))
                    raise KeyError
            assert await kept(ledger) == ["renamed", "joined"]

    asyncio.run(main())


@pytest.mark.parametrize("failing", [None, 0, 1, 2], ids=lambda failing: f"failing-{failing}")
def test_tasks_that_join_the_same_begin_do_so_one_after_the_other(place: str, failing: int | None) -> None:
    async def main() -> None:
        async with AsyncLedger(place) as ledger:
            async with ledger.begin() as tx:

                async def join(number: int) -> str:
                    async with tx.guilds.transaction() as session:
                        session.add(ticket(f"{number}"))
                        await session.flush()
                        await asyncio.sleep(0.01 * (3 - number))
                        if number == failing:
                            raise KeyError
                        async with tx.guilds.transaction() as inner:
                            inner.add(log(f"{number}"))
                    return "kept"

                ends = await asyncio.gather(*[join(n) for n in range(3)], return_exceptions=True)
            good = [n for n in range(3) if n != failing]
            assert [ends[n] for n in good] == ["kept"] * len(good)
            assert await kept(ledger) == [str(n) for n in good]
            assert len(await ledger.guilds.get_logs(GUILD)) == len(good)

    asyncio.run(main())


def test_within_begin_on_threads_too(place: str) -> None:
    with Ledger(place) as ledger:
        with ledger.begin() as tx:
            first = tx.guilds.get_ticket(tx.guilds.create_ticket(GUILD, 1, 2, "operation").id)
            with tx.guilds.transaction() as session:
                session.get_one(Ticket, first.id).title = "renamed"
                session.add(ticket("joined"))
            assert tx.guilds.get_ticket(first.id).title == "renamed"
            with pytest.raises(KeyError), tx.guilds.transaction() as session:
                session.add(ticket("undone"))
                session.flush()
                raise KeyError
            for refused in (
                lambda: tx.guilds.backup_database(),
                lambda: tx.guilds.get_session(),
            ):
                with warnings.catch_warnings(), pytest.raises(Invalid, match=r"begin\(\)"):
                    warnings.simplefilter("ignore", DeprecationWarning)
                    refused()
        assert kept_plain(ledger) == ["renamed", "joined"]


# -- the end of a ledger, and of a program ---------------------------------------------------------


def test_closing_a_ledger_lets_an_open_transaction_end_and_begins_no_other(url: str) -> None:
    async def main() -> None:
        ledger = AsyncLedger(url)
        async with ledger.guilds.transaction() as session:
            session.add(ticket("x"))
            await session.flush()
            await ledger.close()
            session.add(ticket("y"))
        with pytest.raises(Unavailable, match="closed"):
            async with ledger.guilds.transaction():
                pass
        async with AsyncLedger(url) as other:
            assert await kept(other) == ["x", "y"]

    asyncio.run(main())


def test_a_session_that_outlives_its_ledger_begins_no_new_transaction(place: str) -> None:
    async def main() -> None:
        ledger = AsyncLedger(place)
        async with ledger.guilds.async_session() as session:
            await session.execute(select(Ticket))
            await ledger.close()
            await session.commit()
            with pytest.raises(Unavailable, match="closed"):
                await session.execute(select(Ticket))

    asyncio.run(main())
    plain = Ledger(place)
    with pytest.warns(DeprecationWarning, match="get_session"):
        opened = plain.guilds.get_session()
    with opened as session:
        session.execute(select(Ticket))
        plain.close()
        session.commit()
        with pytest.raises(Unavailable, match="closed"):
            session.execute(select(Ticket))


def test_a_session_that_nobody_closes_does_not_keep_a_program_from_ending(sqlite_url: str) -> None:
    code = f"""
import asyncio
from sqlalchemy import text
from daicho import AsyncLedger
loop = asyncio.new_event_loop()
async def main():
    global opened
    opened = AsyncLedger({sqlite_url!r}).guilds.async_session()
    session = await opened.__aenter__()
    await session.execute(text("SELECT 1"))
loop.run_until_complete(main())
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n", done.stderr


def test_sqlites_rules_hold_in_held_sessions_too(sqlite_url: str) -> None:
    async def main() -> None:
        async with AsyncLedger(sqlite_url) as ledger:
            async with ledger.guilds.transaction() as session:
                for pragma, value in (("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2)):
                    assert (await session.execute(text(f"PRAGMA {pragma}"))).scalar_one() == value
            with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0)) as other:
                async with ledger.guilds.transaction() as session:
                    await session.execute(update(Ticket).values(title="x"))
                    with pytest.raises(sqlite3.OperationalError, match="locked"):
                        other.execute("BEGIN IMMEDIATE")

    asyncio.run(main())


# -- what type checkers see ------------------------------------------------------------------------

TYPED = """
from pathlib import Path
from typing import Any, assert_type
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from daicho import AsyncLedger, Ledger
from daicho.guilds.models import MusicSession, Ticket

def count(session: Session) -> int:
    return 1

async def titles(session: AsyncSession) -> list[str]:
    return []

def plain(ledger: Ledger) -> None:
    with ledger.guilds.transaction() as session:
        assert_type(session, Session)
    with ledger.guilds.get_session() as session:
        assert_type(session, Session)
    assert_type(ledger.guilds.get_session(5), MusicSession | None)
    assert_type(ledger.guilds.execute_in_transaction([count]), list[int])
    assert_type(ledger.guilds.backup_database("x"), Path)
    with ledger.begin() as tx, tx.guilds.transaction() as session:
        assert_type(session, Session)

async def awaited(ledger: AsyncLedger) -> None:
    async with ledger.guilds.transaction() as session:
        assert_type(session, AsyncSession)
    async with ledger.guilds.async_session() as session:
        assert_type(session, AsyncSession)
    with ledger.guilds.get_session() as blocking:
        assert_type(blocking, Session)
    assert_type(await ledger.guilds.get_session(guild_id=5), MusicSession | None)
    assert_type(await ledger.guilds.execute_in_transaction([titles]), list[list[str]])
    assert_type(await ledger.guilds.execute_in_transaction([titles, count]), list[Any])
    await ledger.guilds.execute_in_transaction([lambda session: titles(session), lambda session: 1])
    assert_type(await ledger.guilds.backup_database(), Path)
"""
WRONG = """
from sqlalchemy.ext.asyncio import AsyncSession
from daicho import AsyncLedger, Ledger

async def titles(session: AsyncSession) -> list[str]: return []
def on_threads(ledger: Ledger) -> object: return ledger.guilds.async_session()
async def not_async(ledger: Ledger) -> None:
    async with ledger.guilds.transaction(): ...
async def not_plain(ledger: AsyncLedger) -> None:
    with ledger.guilds.transaction(): ...
def not_awaited(ledger: Ledger) -> object: return ledger.guilds.execute_in_transaction([titles])
"""


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_type_checkers_see_both_kinds_of_session(tmp_path: Path, checker: str) -> None:
    said, marked = check_types(tmp_path, checker, TYPED, WRONG)
    assert marked >= {6, 8, 10, 11}, said
