"""The change feed wakes watchers when any process has written."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import psycopg
import pytest

from daicho import AsyncLedger, Ledger
from daicho.core.changes import concerns

WRITER = "import sys; from daicho import Ledger; l = Ledger(sys.argv[1]); l.calls.start(sys.argv[2], 'c'); l.close()"


async def first_about(room: str, changes: AsyncIterator[frozenset[str]]) -> frozenset[str]:
    async for rooms in changes:
        if concerns(room, rooms):
            return rooms
    raise AssertionError("the feed ended")


def test_a_write_by_another_process_wakes_a_watcher(url: str) -> None:
    async def main() -> None:
        async with AsyncLedger(url) as ledger:
            await ledger.calls.list()
            feed = ledger.changes()
            await first_about("calls", feed)  # it listens now: what was written before is known
            woken = asyncio.create_task(first_about("calls", feed))
            await asyncio.sleep(0.5)  # nothing has changed: nobody is woken
            assert not woken.done()
            writer = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, url, "call-1")
            await asyncio.wait_for(woken, 20)
            assert await writer.wait() == 0
            assert (await ledger.calls.get("call-1")).client_id == "c"

    asyncio.run(main())


def test_a_write_by_this_process_wakes_its_watchers(url: str) -> None:
    async def main() -> None:
        async with AsyncLedger(url) as ledger, asyncio.timeout(20):
            feeds = [ledger.changes() for _ in range(3)]
            woken = [asyncio.create_task(first_about("calls", feed)) for feed in feeds]
            await asyncio.sleep(0)
            await ledger.calls.start("call-1", "c")
            await asyncio.gather(*woken)

    asyncio.run(main())


def test_a_memory_ledger_wakes_its_watchers() -> None:
    async def main() -> None:
        async with AsyncLedger("sqlite://") as ledger, asyncio.timeout(20):
            woken = asyncio.create_task(first_about("calls", ledger.changes()))
            await asyncio.sleep(0)
            await ledger.calls.start("call-1", "c")
            await woken
            assert len((await ledger.calls.list()).items) == 1

    asyncio.run(main())


def test_closing_the_ledger_ends_its_feeds(url: str) -> None:
    async def main() -> None:
        ledger = AsyncLedger(url)
        await ledger.calls.list()

        async def watch() -> int:
            return len([rooms async for rooms in ledger.changes()])

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.05)
        await ledger.close()
        async with asyncio.timeout(10):
            await watching

    asyncio.run(main())


def test_postgresql_is_notified_a_few_times_a_second_and_never_in_a_writers_transaction(
    postgres_url: str,
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as listener, Ledger(postgres_url) as ledger:
        listener.execute("LISTEN daicho_changes")
        ledger.calls.start("call-1", "c")
        begun = time.monotonic()
        for n in range(300):
            ledger.calls.append_log("call-1", "ai", str(n), state="s")
        seconds = time.monotonic() - begun
        notes = list(listener.notifies(timeout=1.0))
        writer = ledger.database.writer._thread.name
        assert writer == "daicho-writer"
        assert 1 <= len(notes) <= 4 * seconds + 3
        assert {note.payload for note in notes} == {"calls"}
        # NOTIFY comes from a session of its own.
        sessions = {note.pid for note in notes}
        with ledger.database.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() not in sessions


def test_a_lost_listener_comes_back(postgres_url: str) -> None:
    async def main() -> None:
        async with AsyncLedger(postgres_url) as ledger, asyncio.timeout(30):
            feed = ledger.changes()
            await ledger.calls.start("call-1", "c")
            await first_about("calls", feed)
            with psycopg.connect(postgres_url, autocommit=True) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            assert concerns("calls", await first_about("calls", feed))
            subprocess.run([sys.executable, "-c", WRITER, postgres_url, "call-2"], check=True)
            await first_about("calls", feed)

    asyncio.run(main())


@pytest.mark.parametrize(("changed", "expected"), [({"calls"}, True), ({"*"}, True), ({"tasks"}, False)])
def test_a_wake_up_concerns_a_room_or_any(changed: set[str], expected: bool) -> None:
    assert concerns("calls", frozenset(changed)) is expected
