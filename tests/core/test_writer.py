"""Group commit: shared commits, answers only when durable, errors only to their own caller."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection

from daicho import AsyncLedger, DaichoError, Invalid, Ledger, NotFound, Settings, Unavailable
from daicho.core.sections import Database, Writer


def small(queue: int, batch: int = 500) -> Settings:
    return Settings(database=Database(writer=Writer(queue=queue, batch=batch)))


def test_eight_threads_lose_nothing(ledger: Ledger) -> None:
    def append(number: int) -> list[int]:
        call = f"call-{number % 3}"
        return [ledger.calls.append_log(call, "user", f"{number}/{n}", client_id="c").id for n in range(100)]

    with ThreadPoolExecutor(8) as threads:
        acknowledged = [number for numbers in threads.map(append, range(8)) for number in numbers]
    stored = [
        (log.id, log.text) for n in range(3) for log in ledger.calls.transcript(f"call-{n}", limit=1000)
    ]
    assert sorted(number for number, _ in stored) == sorted(acknowledged)
    assert len({text for _, text in stored}) == 800


def test_waiting_appends_share_a_commit(url: str) -> None:
    async def main() -> int:
        async with AsyncLedger(url) as ledger:
            await ledger.calls.start("call-1", "c")
            commits = 0
            run = ledger.database.run_batch

            def counted(work: object) -> object:
                nonlocal commits
                commits += 1
                return run(work)  # type: ignore[arg-type]

            ledger.database.writer._run = counted  # type: ignore[assignment]
            await asyncio.gather(
                *[ledger.calls.append_log("call-1", "ai", str(n), state="s") for n in range(400)]
            )
            assert len((await ledger.calls.transcript("call-1", limit=1000)).items) == 400
            return commits

    assert asyncio.run(main()) <= 20


def test_a_bad_row_fails_its_own_caller_alone(url: str) -> None:
    async def main() -> list[object]:
        async with AsyncLedger(url) as ledger:
            await ledger.calls.start("call-1", "c")
            asked = [
                ledger.calls.append_log("call-1" if n % 10 else "nowhere", "user", str(n), state="s")
                for n in range(50)
            ]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert len((await ledger.calls.transcript("call-1")).items) == 45
            return list(answers)

    answers = asyncio.run(main())
    assert [n for n, answer in enumerate(answers) if isinstance(answer, NotFound)] == [0, 10, 20, 30, 40]


def test_a_row_that_the_database_itself_refuses_fails_its_own_caller_alone(ledger: Ledger) -> None:
    def write(connection: Connection, items: Sequence[int]) -> list[int | DaichoError]:
        for item in items:
            connection.exec_driver_sql(f"SELECT {1 if item != 3 else 'no_such_column'}")
        return list(items)

    started = threading.Barrier(6)

    def submit(item: int) -> object:
        started.wait()
        try:
            return ledger.database.writer.submit(write, item)
        except DaichoError as error:
            return error

    ledger.calls.list()
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(submit, range(6)))
    assert [answer for answer in answers if isinstance(answer, int)] == [0, 1, 2, 4, 5]
    assert isinstance(answers[3], DaichoError)


def test_a_full_queue_makes_callers_wait_and_loses_nothing(url: str) -> None:
    async def main() -> int:
        async with AsyncLedger(url, settings=small(queue=2, batch=2)) as ledger:
            await ledger.calls.start("call-1", "c")
            await asyncio.gather(
                *[ledger.calls.append_log("call-1", "ai", str(n), state="s") for n in range(60)]
            )
            return len((await ledger.calls.transcript("call-1")).items)

    assert asyncio.run(main()) == 60
    with Ledger(url, settings=small(queue=1, batch=1)) as ledger, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: ledger.calls.append_log("call-1", "ai", str(n), state="s"), range(60)))
        assert len(ledger.calls.transcript("call-1")) == 120


def test_closing_writes_what_is_queued(url: str) -> None:
    async def main() -> None:
        ledger = AsyncLedger(url)
        await ledger.calls.start("call-1", "c")
        asked = [
            asyncio.ensure_future(ledger.calls.append_log("call-1", "ai", str(n), state="s"))
            for n in range(50)
        ]
        await asyncio.sleep(0)
        await ledger.close()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        done = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert all(isinstance(answer, Unavailable) for answer in answers if answer not in done)
        async with AsyncLedger(url) as again:
            kept = await again.calls.transcript("call-1")
        assert [line.id for line in kept] == [line.id for line in done]  # type: ignore[union-attr]
        assert done

    asyncio.run(main())


def test_a_closed_ledger_says_so(url: str) -> None:
    ledger = Ledger(url)
    ledger.calls.append_log("call-1", "user", "x", client_id="c")
    ledger.close()
    ledger.close()
    with pytest.raises(Unavailable, match="closed"):
        ledger.calls.append_log("call-1", "user", "x")
    with pytest.raises(Unavailable, match="closed"):
        ledger.calls.list()


def test_arguments_are_checked_before_anything_is_queued(ledger: Ledger) -> None:
    with pytest.raises(Invalid):
        ledger.calls.append_log("call-1", "cat", "x", client_id="c")
    assert len(ledger.calls.list()) == 0


def test_a_cancelled_task_leaves_the_others_alone(url: str) -> None:
    async def main() -> int:
        async with AsyncLedger(url) as ledger:
            await ledger.calls.start("call-1", "c")
            tasks = [
                asyncio.ensure_future(ledger.calls.append_log("call-1", "ai", str(n), state="s"))
                for n in range(40)
            ]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            lines = {line.text for line in await ledger.calls.transcript("call-1")}
            assert {str(n) for n in range(1, 40, 2)} <= lines
            return sum(isinstance(answer, asyncio.CancelledError) for answer in answers)

    assert asyncio.run(main()) == 20


def test_two_ledgers_of_one_call_number_its_lines_in_commit_order(url: str) -> None:
    with Ledger(url) as one, Ledger(url) as other:
        one.calls.start("call-1", "c")
        seen: list[int] = []
        turn = threading.Lock()

        def append(ledger: Ledger) -> None:
            for n in range(50):
                log = ledger.calls.append_log("call-1", "user", str(n), state="s")
                with turn:
                    newest = ledger.calls.transcript("call-1", newest_first=True, limit=1).items[0].id
                    assert newest >= log.id
                    assert newest >= max(seen, default=0)
                    seen.append(newest)

        threads = [threading.Thread(target=append, args=(ledger,)) for ledger in (one, other) for _ in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 200
        assert len(one.calls.transcript("call-1", limit=1000)) == 200
